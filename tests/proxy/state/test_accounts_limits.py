"""The checks of caps and budgets, against the memory and against the scripts of Redis."""

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.strategies import integers, sampled_from

from proxy.judge.claims import (
    NONE,
    Answer,
    BreakerRule,
    Change,
    Claim,
    Level,
    Mode,
    Permit,
    Phase,
    Scope,
    Settle,
    Signal,
    Take,
    Turned,
    Undo,
    owner_of,
)
from proxy.state.accounts import Accounts
from tests.helpers.keepers import keeper_of
from tests.helpers.reserving import ENDS, World

NOW_US = 1_790_000_000_000_000
HOUR_US = 3_600_000_000
RUN = owner_of("t", "r")
OWNERS = ("", RUN, RUN, owner_of("t", "s"))
CENT = 10_000_000
"""In nano-dollars."""


@pytest.fixture(params=["memory", "redis"])
def keeper(request):
    return keeper_of(request.param)


def dollars(amount: int, limit: int, key: int = 1) -> Take:
    return Take(key, Scope.ROOT, amount, limit, NONE, Mode.ENFORCE, True, HOUR_US)


def steps(limit: int, key: int = 2) -> Take:
    return Take(key, Scope.ROOT, 1, limit, NONE, Mode.ENFORCE, False, HOUR_US)


def settle(keeper, answers: list[Answer], actual: int) -> None:
    for answer in answers:
        keeper.apply([Settle(each.key, each.owner, each.amount, actual, HOUR_US) for each in answer.holds], NOW_US)  # fmt: skip


def test_C01_of_a_hundred_at_once_ten_are_admitted_and_spend_within_the_bound(keeper):
    claims = [dollars(CENT, 10 * CENT), steps(1000)]
    answers = [keeper.claim(claims, OWNERS, NOW_US) for _ in range(100)]
    admitted = [each for each in answers if each.admitted]
    assert len(admitted) == 10
    assert {each.findings[0].level for each in answers if not each.admitted} == {Level.BUSY}  # fmt: skip
    assert keeper.used(1, RUN, NOW_US) == (0, 10 * CENT)
    assert keeper.used(2, RUN, NOW_US) == (10, 0)  # nothing of a refused call counts
    settle(keeper, admitted, CENT + 3)
    assert keeper.used(1, RUN, NOW_US) == (
        10 * CENT + 10 * 3,
        0,
    )  # limit + what exceeds the estimates
    final = keeper.claim(claims, OWNERS, NOW_US)
    assert [(each.level, each.value) for each in final.findings] == [(Level.OVER, 10 * CENT + 30)]  # fmt: skip


def test_C01_of_a_hundred_at_once_a_cap_of_ten_steps_admits_ten(keeper):
    answers = [keeper.claim([steps(10)], OWNERS, NOW_US) for _ in range(100)]
    assert [each.admitted for each in answers] == [True] * 10 + [False] * 90
    assert {each.findings[0].level for each in answers[10:]} == {Level.OVER}


def test_C01_a_call_that_begins_alone_may_exceed_the_limit_by_all_but_one_unit(keeper):
    settle(keeper, [keeper.claim([dollars(9, 10)], OWNERS, NOW_US)], 9)
    alone = keeper.claim([dollars(100, 10)], OWNERS, NOW_US)
    assert alone.admitted
    assert keeper.claim([dollars(1, 10)], OWNERS, NOW_US).findings[0].level is Level.BUSY  # fmt: skip
    settle(keeper, [alone], 100)
    assert keeper.used(1, RUN, NOW_US) == (10 + 100 - 1, 0)
    assert not keeper.claim([dollars(0, 10)], OWNERS, NOW_US).admitted


def test_C02_what_remains_is_exact_whatever_becomes_of_a_call(keeper):
    claims = [dollars(7, 1000)]
    answers = [keeper.claim(claims, OWNERS, NOW_US) for _ in range(4)]
    settle(keeper, answers[:1], 0)  # a 4xx, or no connection: nothing was billed
    settle(keeper, answers[1:2], 7)  # cancelled or out of time: the estimate
    settle(keeper, answers[2:3], 12)
    assert keeper.used(1, RUN, NOW_US) == (19, 7)


def test_C02_what_was_in_flight_in_a_crash_is_settled_at_the_estimate():
    before, after = Accounts(100), Accounts(100)
    answers = [before.claim([dollars(7, 1000)], OWNERS, NOW_US) for _ in range(3)]
    for piece in before.books.snapshot():
        after.books.restore(piece, NOW_US)
    settle(after, answers[:1], 5)  # its end is in the spool
    after.books.abandon()
    assert after.used(1, RUN, NOW_US) == (5 + 7 + 7, 0)


def test_C03_the_first_calls_of_a_new_run_share_its_cap(keeper):
    new = ("", owner_of("t", "new"), owner_of("t", "new"), "")
    answers = [keeper.claim([dollars(5, 12), steps(99)], new, NOW_US) for _ in range(9)]
    assert sum(each.admitted for each in answers) == 2
    others = keeper.claim([dollars(5, 12)], ("", owner_of("u", "new"), owner_of("u", "new"), ""), NOW_US)  # fmt: skip
    assert others.admitted  # another tenant's run of that name


@pytest.mark.parametrize(
    ("claim", "used", "admitted"),
    [
        (steps(10), 9, True),
        (steps(10), 10, False),
        (steps(0), 0, False),
        (steps(NONE), 10**15, True),
        (dollars(100, 10), 9, True),
        (dollars(0, 10), 10, False),
        (dollars(1, 0), 0, False),
        (dollars(1, NONE), 10**15, True),
    ],
    ids=["count-at", "count-above", "count-zero", "count-unset", "lone-below", "reserve-at", "reserve-zero", "reserve-unset"],
)  # fmt: skip
def test_C04_a_count_may_reach_its_limit_and_a_reserve_must_begin_below_it(keeper, claim, used, admitted):  # fmt: skip
    keeper.apply([Settle(claim.key, RUN, 0, used, HOUR_US)], NOW_US)
    assert keeper.claim([claim], OWNERS, NOW_US).admitted is admitted


def test_C05_ten_thousand_calls_within_their_budget_are_never_refused():
    accounts, dice, flying = Accounts(1000), Random(5), []
    costs = [dice.randrange(1, 10**7) for _ in range(10_000)]
    limit = sum(costs) * 100 // 99
    for cost in costs:
        answer = accounts.claim([dollars(cost, limit), steps(10_000)], OWNERS, NOW_US)
        assert answer.admitted
        flying.append((answer, cost))
        while len(flying) > 50:
            answer, actual = flying.pop(dice.randrange(50))
            settle(accounts, [answer], actual)
    for answer, actual in flying:
        settle(accounts, [answer], actual)
    assert accounts.used(1, RUN, NOW_US) == (sum(costs), 0)


@pytest.mark.parametrize("seed", range(20))
def test_C06_a_restart_finds_what_it_left_before_it_admits(seed):
    """A snapshot at any moment, the calls and changes after it again: equal to a life without a restart."""
    dice = Random(seed)
    lived, again = Accounts(1000), Accounts(1000)
    snapshot: Iterator[bytes] = iter(())
    moments = {0, dice.randrange(200), dice.randrange(200)}
    log: list[tuple[list[Claim], bool, int, list[Change]]] = []
    for number in range(200):
        if number in moments:
            snapshot, log = lived.books.snapshot(), []  # written while calls go on
        claims: list[Claim] = [dollars(dice.randrange(9), 900), steps(500), Permit(3, Mode.OBSERVE, BreakerRule())]  # fmt: skip
        answer = lived.claim(claims, OWNERS, NOW_US + number)
        log.append((claims, answer.admitted, NOW_US + number, []))
        for hold in answer.holds:
            if hold.permit:
                log[-1][3].append(Signal(3, dice.choice([1, -1]), hold.permit, BreakerRule(), 9))  # fmt: skip
            elif dice.random() < 0.9:
                log[-1][3].append(Settle(1, RUN, hold.amount, dice.randrange(9), HOUR_US))  # fmt: skip
        lived.apply(log[-1][3], NOW_US + number)
    for piece in snapshot:
        again.books.restore(piece, NOW_US)
    for claims, admitted, now_us, changes in log:
        if admitted:
            again.replay(claims, OWNERS, now_us)
        again.apply(changes, now_us)
    assert list(map(dict, again.books.shelves)) == list(map(dict, lived.books.shelves))


def test_C16_a_breaker_of_one_model_leaves_the_others_of_its_host_alone(keeper):
    permit_of = {
        key: Permit(key, Mode.ENFORCE, BreakerRule(consecutive=1)) for key in (1, 2)
    }
    keeper.apply([Signal(1, -1, 0, permit_of[1].rule, 0)], NOW_US)
    assert not keeper.claim([permit_of[1]], OWNERS, NOW_US).admitted
    assert keeper.claim([permit_of[2]], OWNERS, NOW_US).admitted


def test_C09_and_C10_many_wait_while_it_is_open_and_one_probes_then(keeper):
    many = 1000 if isinstance(keeper, Accounts) else 100
    permit = Permit(1, Mode.ENFORCE, BreakerRule())
    first = keeper.claim([permit], OWNERS, NOW_US).holds[0].permit
    failures = [Signal(1, -1, first, permit.rule, 0)] * 5
    turned = keeper.apply(failures, NOW_US)
    until_us = NOW_US + permit.rule.open_us
    assert turned == (Turned(1, Phase.CLOSED, Phase.OPEN, until_us),)
    while_open = [keeper.claim([permit], OWNERS, NOW_US + each) for each in range(many)]
    assert not any(each.admitted for each in while_open)
    assert [each.findings[0].wait_us for each in while_open] == [permit.rule.open_us - each for each in range(many)]  # fmt: skip
    answers = [keeper.claim([permit], OWNERS, until_us) for _ in range(many)]
    assert [each.admitted for each in answers] == [True] + [False] * (many - 1)
    assert [each.turned for each in answers if each.turned] == [(Turned(1, Phase.OPEN, Phase.HALF_OPEN),)]  # fmt: skip
    [probe] = answers[0].holds
    assert probe.amount == Phase.HALF_OPEN
    told = [Signal(1, 1, probe.permit, permit.rule, 0)] * 2
    assert keeper.apply(told, until_us) == ()
    answers = [keeper.claim([permit], OWNERS, until_us) for _ in range(many)]
    assert sum(each.admitted for each in answers) == 2


@pytest.mark.parametrize("seed", range(10))
def test_ten_thousand_interleavings_lose_and_double_nothing_in_memory(seed):
    """In ten parts of a thousand; each answer and each sum is checked as it comes."""
    refused = set()
    for number in range(1000):
        world = World(Random(seed * 1000 + number), Accounts(1000), scale=10 ** (number % 15))  # fmt: skip
        for _ in range(40):
            world.step()
            world.check()
        world.finish()
        refused |= {each.limit < each.settled for each in world.accounts.values()}
    assert refused == {True, False}


class Machine(RuleBasedStateMachine):
    """The same, where a failure is made as short as can be."""

    @initialize(seed=integers(0, 1000))
    def start(self, seed):
        self.world = World(Random(seed), Accounts(1000))

    @rule(end=sampled_from(ENDS))
    def begin(self, end):
        self.world.begin(end)

    @rule()
    def end(self):
        self.world.end()

    @rule()
    def refuse_after_all(self):
        self.world.refuse_after_all()

    @invariant()
    def holds(self):
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self):
        if hasattr(self, "world"):
            self.world.finish()


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


def test_what_was_counted_at_once_can_be_taken_back(keeper):
    keeper.claim([steps(10)], OWNERS, NOW_US)
    keeper.apply([Undo(2, RUN, 1), Undo(2, RUN, 1), Undo(77, RUN, 1)], NOW_US)
    assert keeper.used(2, RUN, NOW_US) == (0, 0)
    assert keeper.used(77, RUN, NOW_US) == (0, 0)
