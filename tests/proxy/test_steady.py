import time

from proxy.judge.claims import Age, BreakerRule, Mode, Permit, Scope, Signal, Take
from proxy.state.accounts import Accounts
from proxy.steady import SteadyClock

HOUR_NS = 3_600_000_000_000
NOBODY = ("", "", "", "")


class Clocks:
    """A wall clock that jumps, and a counter that does not."""

    def __init__(self) -> None:
        self.wall = 1_790_000_000 * 10**9
        self.counter = 5 * 10**9

    def steady(self) -> SteadyClock:
        return SteadyClock(lambda: self.wall, lambda: self.counter)

    def pass_by(self, nanoseconds: int) -> None:
        self.wall += nanoseconds
        self.counter += nanoseconds


def test_it_begins_with_the_wall_clock_and_goes_on_with_the_counter():
    clocks = Clocks()
    clock = clocks.steady()
    assert clock.now_us() == clocks.wall // 1000
    clocks.pass_by(1_500)
    assert clock.now_us() == 1_790_000_000_000_001


def test_the_machines_clocks_are_taken_unless_others_are_given():
    before = time.time_ns() // 1000
    clock = SteadyClock()
    first, second = clock.now_us(), clock.now_us()
    assert first <= second
    assert abs(first - before) < 60 * 10**6


def test_C17_a_jump_of_the_wall_clock_by_an_hour_changes_nothing():
    for jump in (-HOUR_NS, HOUR_NS):
        clocks, rule = Clocks(), BreakerRule()
        clock, accounts = clocks.steady(), Accounts(100)
        claims = (
            Take(1, Scope.OWN, 1, 10, -1, Mode.ENFORCE, False, 60_000_000),
            Age(2, Scope.OWN, 90_000_000, -1, Mode.ENFORCE, 60_000_000),
            Permit(3, Mode.ENFORCE, rule),
        )
        permit = accounts.claim(claims, NOBODY, clock.now_us()).holds[0].permit
        opened = [Signal(3, -1, permit, rule, 0)] * rule.consecutive
        accounts.apply(opened, clock.now_us())
        clocks.wall += jump
        clocks.pass_by(1_000_000_000)
        now_us = clock.now_us()
        assert accounts.used(1, "", now_us) == (1, 0)  # no mass expiry
        refused = accounts.claim(claims, NOBODY, now_us)
        assert [each.wait_us for each in refused.findings] == [rule.open_us - 10**6]
        clocks.pass_by(rule.open_us * 1000)  # and no breaker stays open
        assert accounts.claim(claims, NOBODY, clock.now_us()).admitted
