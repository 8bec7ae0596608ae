"""What a call says to the patterns of loops: which series it extends, and which patterns it completes.

What lives here: the `Tail` claims of a site, and findings from the series that come back. What does not: the patterns themselves
(`loops.py`), verdicts (`bench.py`).
"""

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Protocol

import msgspec

from proxy.judge.case import Case
from proxy.judge.claims import Scope, Tail
from proxy.judge.lines import Terms
from proxy.judge.loops import MAX_SERIES, cycled, repeated, same_errors, unchanged
from proxy.judge.matching import ModeName, Site, effective
from proxy.judge.settings import PolicySettings
from proxy.judge.verdict import Reason
from proxy.model import Kind

_MASK = (1 << 64) - 1


class Threshold(msgspec.Struct, frozen=True, gc=False):
    """One pattern as it is judged at a site."""

    policy: str
    reason: Reason
    mode: ModeName
    warn: int | None
    block: int | None


class Seen(msgspec.Struct, frozen=True, gc=False):
    """A pattern that reached its threshold."""

    threshold: Threshold
    times: int
    period: int
    is_over: bool


class Circles(msgspec.Struct, frozen=True, gc=False):
    """The patterns of a site; the three series are claimed where one of their patterns is on, in this order."""

    repeat: Threshold
    cycle: Threshold
    same_error: Threshold
    no_progress: Threshold
    max_period: int
    calls: Tail | None
    errors: Tail | None
    steps: Tail | None

    def claims(self, case: Case, is_polled: Callable[[str], bool]) -> list[Tail]:
        """Give what a call adds to the series; a retry adds nothing, and is judged by what stands there."""
        if case.is_retry:
            return [each for each in (self.calls, self.errors, self.steps) if each]
        calls, results = case.calls, case.results
        if case.tools and any(map(is_polled, case.tools)):
            kept = [not is_polled(tool) for tool in case.tools]
            calls, results = _kept(calls, kept), _kept(results, kept)
            asked: tuple[int, ...] = ()
        else:
            asked = (case.body,) if case.body else ()
        found = []
        if self.calls is not None:
            found.append(_pushed(self.calls, calls or asked))
        if self.errors is not None:
            found.append(_pushed(self.errors, tuple(sorted(case.errors)) or (0,)))
        if self.steps is not None:
            found.append(_pushed(self.steps, _step(calls, results) or asked))
        return found

    def seen(self, case: Case, tails: Sequence[Sequence[int]]) -> list[Seen]:
        """Say which patterns the series that came back complete, in the order of the policies."""
        rest = iter(tails)
        calls = next(rest) if self.calls is not None else ()
        errors = next(rest) if self.errors is not None else ()
        steps = next(rest) if self.steps is not None else ()
        found: list[Seen | None] = []
        if self.repeat.mode != "off":
            found.append(_judged(self.repeat, repeated(calls), 1))
        if self.cycle.mode != "off":
            found.append(_judged(self.cycle, *cycled(calls, self.max_period)))
        if errors:
            found.append(_judged(self.same_error, same_errors(errors, case.errors), 1))
        if steps:
            found.append(_judged(self.no_progress, unchanged(steps), 1))
        return [each for each in found if each is not None]


def circles_of(settings: PolicySettings, site: Site, terms: Terms) -> Circles | None:
    """Give the patterns of a site; `None` where none is on, and for calls that are no steps of a model."""
    if site.kind is not Kind.LLM:
        return None
    repeat = effective(settings.repeat, settings.repeat.when, site)
    cycle = effective(settings.cycle, settings.cycle.when, site)
    error = effective(settings.same_error, settings.same_error.when, site)
    progress = effective(settings.no_progress, settings.no_progress.when, site)
    if all(each.mode == "off" for each in (repeat, cycle, error, progress)):
        return None
    rounds = _most(cycle) * cycle.max_period if cycle.mode != "off" else 0
    steps = progress.window + _most(progress)
    return Circles(
        _threshold("repeat", Reason.REPEAT, repeat),
        _threshold("cycle", Reason.CYCLE, cycle),
        _threshold("same_error", Reason.SAME_ERROR, error),
        _threshold("no_progress", Reason.NO_PROGRESS, progress),
        cycle.max_period,
        _tail(site, terms, "calls", max(_most(repeat), rounds), repeat, cycle),
        # A step may bring several errors; what is counted are those of one sort.
        _tail(site, terms, "errors", 4 * _most(error), error),
        _tail(site, terms, "steps", steps, progress),
    )


class _Loop(Protocol):
    """What the settings of all four have."""

    @property
    def mode(self) -> ModeName: ...
    @property
    def warn(self) -> int | None: ...
    @property
    def block(self) -> int | None: ...


def _threshold(policy: str, reason: Reason, now: _Loop) -> Threshold:
    return Threshold(policy, reason, now.mode, now.warn, now.block)


def _most(now: _Loop) -> int:
    return max(now.warn or 0, now.block or 0)


def _tail(site: Site, terms: Terms, name: str, size: int, *used_by: _Loop) -> Tail | None:  # fmt: skip
    if all(each.mode == "off" for each in used_by):
        return None
    key = terms.key(b"series", site.tenant, name)
    return Tail(key, Scope.RUN, (), min(size, MAX_SERIES), terms.run_ttl_us)


def _pushed(tail: Tail, push: tuple[int, ...]) -> Tail:
    return Tail(tail.key, tail.scope, push, tail.size, tail.ttl_us) if push else tail


def _step(calls: tuple[int, ...], results: tuple[int, ...]) -> tuple[int, ...]:
    """Put the calls of a step and their results into one entry, in whatever order they came."""
    pairs = zip_longest(calls, results, fillvalue=0)
    # A tuple of whole numbers has the same hash in all processes (`identify/hashing.py`).
    return ((sum(map(hash, pairs)) & _MASK) or 1,) if calls else ()


def _kept(found: tuple[int, ...], kept: Sequence[bool]) -> tuple[int, ...]:
    return tuple(each for each, keep in zip(found, kept, strict=False) if keep)


def _judged(threshold: Threshold, times: int, period: int) -> Seen | None:
    if threshold.block is not None and times >= threshold.block:
        return Seen(threshold, times, period, is_over=True)
    if threshold.warn is not None and times >= threshold.warn:
        return Seen(threshold, times, period, is_over=False)
    return None
