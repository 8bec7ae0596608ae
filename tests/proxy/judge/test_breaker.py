from random import Random

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.strategies import integers, sampled_from

from proxy.judge.breaker import Breaker, fresh, lasting_us, taken, told, wait_us
from proxy.judge.claims import BreakerRule, Phase
from tests.helpers.breakers import SECOND_US, World, rule_of

RULE = BreakerRule()
NOW_US = 1_790_000_000 * SECOND_US


def failed(breaker: Breaker, count: int, rule: BreakerRule = RULE) -> Breaker:
    for _ in range(count):
        breaker = told(breaker, rule, -1, breaker.base, NOW_US, 0)
    return breaker


def opened(rule: BreakerRule = RULE) -> Breaker:
    return failed(fresh(NOW_US), rule.consecutive, rule)


def succeeded(breaker: Breaker, now_us: int, rule: BreakerRule = RULE) -> Breaker:
    breaker, permit = taken(breaker, rule, now_us)
    return told(breaker, rule, 1, permit, now_us, 0)


def test_C09_five_failures_in_a_row_open_it_and_the_rest_waits_what_remains():
    breaker = failed(fresh(NOW_US), 4)
    assert breaker.phase is Phase.CLOSED
    breaker = failed(breaker, 1)
    assert (breaker.phase, breaker.until_us) == (Phase.OPEN, NOW_US + RULE.open_us)
    for elapsed in range(0, RULE.open_us, RULE.open_us // 1000):
        assert wait_us(breaker, NOW_US + elapsed) == RULE.open_us - elapsed
    assert wait_us(breaker, NOW_US + RULE.open_us) == 0


def test_a_success_in_between_begins_the_row_anew():
    breaker = failed(fresh(NOW_US), 4)
    breaker = told(breaker, RULE, 1, 0, NOW_US, 0)
    assert failed(breaker, 4).phase is Phase.CLOSED


@pytest.mark.parametrize(
    ("good", "bad", "phase"),
    [(8, 1, Phase.CLOSED), (5, 5, Phase.OPEN), (6, 5, Phase.CLOSED), (4, 5, Phase.CLOSED)],
)  # fmt: skip
def test_a_share_of_failures_opens_it_from_a_minimum_of_calls_on(good, bad, phase):
    rule = BreakerRule(consecutive=0)
    breaker = fresh(NOW_US)
    for _ in range(good):
        breaker = told(breaker, rule, 1, 0, NOW_US, 0)
    assert failed(breaker, bad, rule).phase is phase


@pytest.mark.parametrize(
    ("later_us", "phase"),
    [(0, Phase.OPEN), (RULE.window_us // 2, Phase.OPEN), (RULE.window_us, Phase.CLOSED)],
)  # fmt: skip
def test_what_lies_outside_the_window_no_longer_counts(later_us, phase):
    rule = BreakerRule(consecutive=0)
    start_us = NOW_US - NOW_US % (rule.window_us // 2)
    breaker = fresh(start_us)
    for _ in range(9):
        breaker = told(breaker, rule, -1, 0, start_us, 0)
    breaker = told(breaker, rule, -1, 0, start_us + later_us, 0)
    assert breaker.phase is phase


def test_neither_kind_of_limit_may_be_set():
    rule = BreakerRule(consecutive=0, percent=0)
    assert failed(fresh(NOW_US), 1000, rule).phase is Phase.CLOSED


def test_C10_a_thousand_that_wait_get_one_probe_then_two_then_four():
    breaker, now_us, given = opened(), NOW_US + RULE.open_us, []
    for width in (1, 2, 4):
        permits = []
        for _ in range(1000):
            if not wait_us(breaker, now_us):
                breaker, permit = taken(breaker, RULE, now_us)
                permits.append(permit)
        given.append(len(permits))
        assert wait_us(breaker, now_us) == SECOND_US
        assert breaker.width == width
        for permit in permits:
            assert breaker.phase is Phase.HALF_OPEN
            breaker = told(breaker, RULE, 1, permit, now_us, 0)
    assert given == [1, 2, 4]
    assert breaker.phase is Phase.CLOSED


def test_C10_a_probe_that_fails_opens_it_for_longer_up_to_a_longest_time():
    breaker, now_us, times = opened(), NOW_US, []
    for _ in range(8):
        now_us = breaker.until_us
        breaker, permit = taken(breaker, RULE, now_us)
        breaker = told(breaker, RULE, -1, permit, now_us, 0)
        times.append((breaker.until_us - now_us) // SECOND_US)
    assert times == [10, 20, 40, 80, 120, 120, 120, 120]
    jittered = {
        told(failed(fresh(NOW_US), 4), RULE, -1, 0, NOW_US, each).until_us - NOW_US
        for each in (0, 2**15, 2**16 - 1)
    }
    assert jittered == {5_000_000, 4_500_000, 4_000_016}


def test_C11_a_cancelled_probe_gives_its_permit_back_and_says_nothing():
    breaker, permit = taken(opened(), RULE, NOW_US + RULE.open_us)
    assert wait_us(breaker, NOW_US + RULE.open_us) == SECOND_US
    breaker = told(breaker, RULE, 0, permit, NOW_US + RULE.open_us, 0)
    assert wait_us(breaker, NOW_US + RULE.open_us) == 0
    assert (breaker.phase, breaker.width) == (Phase.HALF_OPEN, 1)


def test_C11_a_probe_of_which_nobody_tells_is_taken_back():
    now_us = NOW_US + RULE.open_us
    breaker, lost = taken(opened(), RULE, now_us)
    assert wait_us(breaker, now_us + RULE.probe_us - 5) == 5
    now_us += RULE.probe_us
    assert wait_us(breaker, now_us) == 0
    breaker, permit = taken(breaker, RULE, now_us)
    breaker = told(breaker, RULE, 1, lost, now_us, 0)  # late: takes nobody else's
    assert [each for each, _ in breaker.probes] == [permit]
    assert breaker.width == 1
    assert told(breaker, RULE, -1, lost, now_us, 0).phase is Phase.OPEN


def test_C15_a_stream_recovers_it_at_its_first_event_and_its_end_says_no_more():
    now_us = NOW_US + RULE.open_us
    breaker, permit = taken(opened(), RULE, now_us)
    breaker = told(breaker, RULE, 1, permit, now_us, 0)
    assert breaker.width == 2
    assert told(breaker, RULE, 1, permit, now_us, 0) == breaker
    assert (
        told(breaker, RULE, -1, permit, now_us, 0).phase is Phase.OPEN
    )  # it broke off
    for _ in range(6):
        breaker = succeeded(breaker, now_us)
    assert breaker.phase is Phase.CLOSED
    assert told(breaker, RULE, -1, permit, now_us + 600 * SECOND_US, 0) == breaker


def test_what_was_under_way_when_it_opened_says_nothing_later():
    old, later_us = fresh(NOW_US).base, NOW_US + RULE.open_us
    is_open = opened()
    half_open = closed = succeeded(is_open, later_us)
    for _ in range(6):
        closed = succeeded(closed, later_us)
    histories = (is_open, half_open, closed)
    assert [each.phase for each in histories] == [Phase.OPEN, Phase.HALF_OPEN, Phase.CLOSED]  # fmt: skip
    for breaker in histories:
        assert told(breaker, RULE, -1, old, later_us, 0) == breaker
    for breaker in (is_open, half_open):  # nor does what had no permit
        assert told(breaker, RULE, -1, 0, later_us, 0) == breaker


def test_neither_success_nor_failure_leaves_a_closed_one_as_it_is():
    breaker = fresh(NOW_US)
    assert told(breaker, RULE, 0, breaker.base, NOW_US, 0) is breaker


def test_a_breaker_is_remembered_for_longer_than_it_is_open():
    assert lasting_us(RULE) > RULE.longest_us + RULE.probe_us


@pytest.mark.parametrize("seed", range(10))
def test_C11_ten_thousand_histories_leave_nothing_stuck_and_leak_no_permit(seed):
    """In ten parts of a thousand; each call, end, cancellation, loss and pause is checked as it comes."""
    phases = set()
    for number in range(1000):
        dice = Random(seed * 1000 + number)
        world = World(dice, rule_of(dice))
        for _ in range(60):
            world.step()
            phases.add(world.breaker.phase)
        world.recover()
    assert phases == set(Phase)


class Machine(RuleBasedStateMachine):
    """The same, where a failure is made as short as can be."""

    @initialize(seed=integers(0, 1000))
    def begin(self, seed):
        dice = Random(seed)
        self.world = World(dice, rule_of(dice))

    @rule()
    def ask(self):
        self.world.ask()

    @rule(health=sampled_from([1, -1, 0]))
    def end(self, health):
        self.world.end(health)

    @rule()
    def first_event(self):
        self.world.first_event()

    @rule()
    def late(self):
        self.world.late()

    @rule()
    def lose(self):
        self.world.lose()

    @rule()
    def wait(self):
        self.world.wait()

    @invariant()
    def holds(self):
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self):
        if hasattr(self, "world"):
            self.world.recover()


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
