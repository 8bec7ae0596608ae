"""A health breaker: closed, open, half open, and what leads from one to the other.

What lives here: the states and the transitions, pure. What does not: what counts as a failure (`signals.py`), where the state is kept
(`proxy/state`: in memory with these functions, in Redis with the same ones in Lua, `proxy/state/redis_breaker.py`).

- Closed: all pass. So many failures in a row open it, or a share of the calls of a sliding window (two halves of it are counted, so it is
  between half and all of it that is looked at).
- Open: nobody passes until its time is over, which is jittered and doubles, up to a longest one, each time that a probe fails.
- Half open: `width` probes at once, first one. As many successes double the width; at `probes` it closes. One failure opens it.

A permit has a number. Numbers grow with each phase and each probe, so that a signal of a call of an earlier phase is recognised: what was
under way when the breaker opened says nothing of an upstream that has recovered. So a permit given back twice, or late, takes nobody
else's, and one that never comes back is taken back after `probe_us`: no permit leaks, and half open never lasts.
"""

import msgspec

from proxy.judge.claims import BreakerRule, Phase

BUSY_US = 1_000_000
"""Who finds all probes under way is told to wait so long at most: their end says more."""
MAX_DOUBLINGS = 20


class Breaker(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The state of a breaker."""

    phase: Phase
    base: int
    """The number of this phase; probes have greater ones."""
    last: int
    """The greatest number given so far."""
    failures: int = 0
    """In a row, while closed."""
    half: int = 0
    """Which half window is counted now."""
    good: int = 0
    bad: int = 0
    good_before: int = 0
    bad_before: int = 0
    until_us: int = 0
    """While open."""
    opened: int = 0
    """How often since it was closed."""
    width: int = 0
    passed: int = 0
    """Probes that succeeded at this width."""
    probes: tuple[tuple[int, int], ...] = ()
    """Permits under way: number, until when."""


def fresh(now_us: int) -> Breaker:
    """Give a closed breaker; that it numbers from the time lets a forgotten one begin anew above all numbers given before."""
    return Breaker(Phase.CLOSED, now_us, now_us)


def lasting_us(rule: BreakerRule) -> int:
    """Say how long a breaker that nobody asks is remembered."""
    return 2 * (rule.longest_us + rule.window_us + rule.probe_us)


def wait_us(breaker: Breaker, now_us: int) -> int:
    """Say how long to wait for a permit; 0: it may be had now."""
    if breaker.phase is Phase.CLOSED:
        return 0
    if breaker.phase is Phase.OPEN:
        return max(breaker.until_us - now_us, 0)
    live = [until for _, until in breaker.probes if until > now_us]
    if len(live) < breaker.width:
        return 0
    return min(min(live) - now_us, BUSY_US)


def taken(breaker: Breaker, rule: BreakerRule, now_us: int) -> tuple[Breaker, int]:
    """Give a permit, where there is nothing to wait for, and its number."""
    if breaker.phase is Phase.CLOSED:
        return breaker, breaker.base
    if breaker.phase is Phase.OPEN:
        base = breaker.last + 1
        probe = (base + 1, now_us + rule.probe_us)
        half_open = Breaker(
            Phase.HALF_OPEN, base, base + 1, opened=breaker.opened, width=1, probes=(probe,)
        )  # fmt: skip
        return half_open, base + 1
    number = breaker.last + 1
    probes = (*_live(breaker, now_us), (number, now_us + rule.probe_us))
    return msgspec.structs.replace(breaker, last=number, probes=probes), number


def told(
    breaker: Breaker,
    rule: BreakerRule,
    health: int,
    permit: int,
    now_us: int,
    random: int,
) -> Breaker:
    """Take in how a call went (see `Signal`)."""
    if 0 < permit < breaker.base or breaker.phase is Phase.OPEN:
        return breaker
    if breaker.phase is Phase.CLOSED:
        return _counted(breaker, rule, health, now_us, random) if health else breaker
    if not permit:
        return breaker
    if health < 0:
        return _opened(breaker, rule, now_us, random)
    live = _live(breaker, now_us)
    kept = tuple(each for each in live if each[0] != permit)
    if len(kept) == len(live) or not health:
        return msgspec.structs.replace(breaker, probes=kept)
    return _widened(breaker, rule, kept)


def _live(breaker: Breaker, now_us: int) -> tuple[tuple[int, int], ...]:
    return tuple(each for each in breaker.probes if each[1] > now_us)


def _counted(
    breaker: Breaker, rule: BreakerRule, health: int, now_us: int, random: int
) -> Breaker:
    half = max(now_us // max(rule.window_us // 2, 1), breaker.half)
    good, bad, good_before, bad_before = breaker.good, breaker.bad, breaker.good_before, breaker.bad_before  # fmt: skip
    if half > breaker.half:
        is_next = half == breaker.half + 1
        good_before, bad_before = (good, bad) if is_next else (0, 0)
        good = bad = 0
    if health > 0:
        return Breaker(
            Phase.CLOSED, breaker.base, breaker.last, 0, half, good + 1, bad, good_before, bad_before
        )  # fmt: skip
    failures = breaker.failures + 1
    bad += 1
    failed = bad + bad_before
    calls = failed + good + good_before
    if (0 < rule.consecutive <= failures) or (
        rule.percent > 0 and rule.minimum <= calls and rule.percent * calls <= 100 * failed
    ):  # fmt: skip
        return _opened(breaker, rule, now_us, random)
    return Breaker(
        Phase.CLOSED, breaker.base, breaker.last, failures, half, good, bad, good_before, bad_before
    )  # fmt: skip


def _opened(breaker: Breaker, rule: BreakerRule, now_us: int, random: int) -> Breaker:
    doubled = rule.open_us << min(breaker.opened, MAX_DOUBLINGS)
    longest = min(doubled, rule.longest_us)
    until = now_us + longest - (longest * rule.jitter_percent // 100 * random >> 16)
    number = breaker.last + 1
    return Breaker(Phase.OPEN, number, number, until_us=until, opened=breaker.opened + 1)  # fmt: skip


def _widened(
    breaker: Breaker, rule: BreakerRule, kept: tuple[tuple[int, int], ...]
) -> Breaker:
    passed = breaker.passed + 1
    if passed < breaker.width:
        return msgspec.structs.replace(breaker, passed=passed, probes=kept)
    if breaker.width >= rule.probes:
        return Breaker(Phase.CLOSED, breaker.last + 1, breaker.last + 1)
    width = min(2 * breaker.width, rule.probes)
    return msgspec.structs.replace(breaker, width=width, passed=0, probes=kept)
