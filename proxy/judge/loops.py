"""The policies `repeat`, `cycle`, `same_error` and `no_progress`: what an agent that runs in circles looks like.

What lives here: their settings, and what each sees in a series of hashes. What does not: keeping series (`proxy.state`), how a call or a
result becomes a hash (`masking.py` says what of it does not count), what follows (`bench.py`).

A series belongs to one run (a subagent's calls do not add up with another's), and is as long as the patterns need:

- calls: name and arguments of each call whose result is new in a request. A request that brings no result, as the first one of a turn,
  is an entry itself: what a user says between two equal calls thus ends a repetition, and a request sent again and again is one.
- errors: the errors among these results; a step without any is a 0.
- steps: all calls of a step with their results as one entry, or its request where it brings none.

Retries and calls of tools that are polled (`polling_tools`) are no entries. Each pattern is judged where a request brings what
completes it: with `block: 10` the tenth call of the same passes to the tool, and the request with its result is refused.
"""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, UnsetType

from proxy.judge.matching import ModeName

MAX_SERIES = 256
"""Longer patterns are not looked for: a series is kept for each run."""
_FEWEST_IN_A_CYCLE = 2


class LoopOverride(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Other thresholds for some calls."""

    tenant: str = ""
    agent: str = ""
    route: str = ""
    model: str = ""
    mode: ModeName | UnsetType = UNSET
    warn: int | UnsetType | None = UNSET
    block: int | UnsetType | None = UNSET


class RepeatSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same call with the same arguments, so many times one right after the other.

    Only in a row: tests are run and files are read again and again between edits. Three or four times happens to agents that
    wait for something without saying so; `polling_tools` are for those that do it for longer.
    """

    mode: ModeName = "observe"
    warn: int | None = 5
    block: int | None = 10
    when: tuple[LoopOverride, ...] = ()


class CycleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same two or more calls in the same order, so many times around (A B A B is twice).

    Arguments must be equal, too: edit and test in turn is no cycle as long as the edits differ.
    """

    mode: ModeName = "observe"
    warn: int | None = 3
    block: int | None = 6
    max_period: int = 6
    """How many calls a cycle may have."""
    when: tuple[LoopOverride, ...] = ()


class SameErrorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same error so many times without a step in between that had none; arguments may differ.

    Agents try another way after two or three; a service that is down for a minute is asked more often than that.
    """

    mode: ModeName = "observe"
    warn: int | None = 4
    block: int | None = 8
    when: tuple[LoopOverride, ...] = ()


class NoProgressSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So many steps in a row whose calls and results, as a whole, stood among the newest `window` before: nothing new came into the conversation.

    It sees what the others do not: cycles longer than `max_period`, and a few calls in no order at all. Calls count beside results because
    writing ten files brings ten times "done". A job that is asked how far it is brings something new each time that it is further.
    """

    mode: ModeName = "observe"
    warn: int | None = 8
    block: int | None = 16
    window: int = 64
    """Steps."""
    when: tuple[LoopOverride, ...] = ()


def repeated(series: Sequence[int]) -> int:
    """Say how many times the newest entry stands at the end in a row."""
    if not series:
        return 0
    newest, count = series[-1], 1
    while count < len(series) and series[-1 - count] == newest:
        count += 1
    return count


def cycled(series: Sequence[int], max_period: int) -> tuple[int, int]:
    """Say how many whole times the pattern at the end has gone around, and how many entries it has; (1, 0) without one.

    Of several the one that has gone around most often counts, of these the shortest. One entry repeated is no cycle.
    """
    times, found = 1, 0
    for period in range(_FEWEST_IN_A_CYCLE, min(max_period, len(series) // 2) + 1):
        if series[-1] != series[-1 - period]:
            continue
        same = 1
        longest = len(series) - period
        while same < longest and series[-1 - same] == series[-1 - same - period]:
            same += 1
        around = (same + period) // period
        if around > times and repeated(series) < period:
            times, found = around, period
    return times, found


def same_errors(series: Sequence[int], errors: Sequence[int]) -> int:
    """Say how many times the most frequent of the newest step's errors stands behind the newest step without any."""
    if not errors:
        return 0
    start = len(series)
    while start and series[start - 1]:
        start -= 1
    newest = series[start:]
    return max(newest.count(each) for each in errors)


def unchanged(series: Sequence[int]) -> int:
    """Say how many entries at the end in a row stood in the series before."""
    count = 0
    for at in range(len(series) - 1, 0, -1):
        if series[at] not in series[:at]:
            break
        count += 1
    return count
