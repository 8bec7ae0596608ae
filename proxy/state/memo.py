"""What was learned of a run at one moment, as bytes: what came after the last snapshot.

What lives here: writing and reading the changes of one admission or one answer. What does not: where the bytes are kept
(`proxy/record`), all that is remembered at once (`snapshot.py`).

What follows from the rest is left out: the run's id and session where they are the memo's own, the keys under which a call stands, and
all of the call before this one but that this one went on from it. A memo takes some three hundred bytes, half of what it says.
"""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from proxy.identify.changes import (
    Change,
    Keep,
    Lead,
    Push,
    Shelf,
    Wait,
    continued,
    pushes,
)
from proxy.identify.facts import Asked, Run
from proxy.state.memory import MemoryState

_Other = Lead | Wait | Keep


class _Memo(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """One admission, or one answer. An empty run or session is the memo's own."""

    run: Run
    begins: bool
    """An admission: it may begin a run. An answer finds its run, or nobody."""
    calls: tuple[Asked, ...]
    others: tuple[_Other, ...] = ()
    pushed: tuple[tuple[int, int, int], ...] = ()
    """(Key, shelf, which call), of calls that do not stand under all of their keys."""
    went_on: tuple[tuple[int, str, int], ...] = ()
    """(Key, step, which call): the run's step before, and the call that went on from it."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Memo).decode


def written(run: Run, changes: Sequence[Change], *, begins: bool) -> bytes:
    """Write changes of a run as it was when they were made."""
    grouped: dict[int, list[Push]] = {}
    for change in changes:
        if isinstance(change, Push):
            grouped.setdefault(id(change.asked), []).append(change)
    calls: list[Asked] = []
    pushed: list[tuple[int, int, int]] = []
    went_on: list[tuple[int, str, int]] = []
    for group in grouped.values():
        asked = group[0].asked
        is_usual = group == pushes(asked)
        by = next((n for n, each in enumerate(calls) if each.step_id == asked.continued_by), None)  # fmt: skip
        if by is not None and not asked.keys and _is_before(asked, run):
            went_on.append((group[-1].key, asked.step_id, by))
            continue
        if not is_usual:
            pushed += [(each.key, each.shelf, len(calls)) for each in group]
        calls.append(replace(asked, run_id=_short(asked.run_id, run.run_id)))
    others = tuple(_shortened(each, run) for each in changes if not isinstance(each, Push))  # fmt: skip
    root = _short(run.root_run_id, run.run_id)
    memo = _Memo(replace(run, root_run_id=root), begins, tuple(calls), others, tuple(pushed), tuple(went_on))  # fmt: skip
    return _encode(memo)


def replay(state: MemoryState, said: bytes) -> None:
    """Take over one memo. Raises `msgspec.MsgspecError` where it is broken or of another version."""
    memo = _decode(said)
    run = replace(memo.run, root_run_id=memo.run.root_run_id or memo.run.run_id)
    calls = [replace(each, run_id=each.run_id or run.run_id) for each in memo.calls]
    odd = {at for _, _, at in memo.pushed}
    changes: list[Change] = []
    for at, asked in enumerate(calls):
        if at not in odd:
            changes += pushes(asked)
    changes += [Push(key, Shelf(shelf), calls[at]) for key, shelf, at in memo.pushed]
    for key, step_id, at in memo.went_on:
        before = state.call(key, step_id)
        if before is not None:
            changes += continued(before, calls[at].step_id)
    changes += [_whole(each, run) for each in memo.others]
    if memo.begins:
        # Whether its end has been told, its own record says.
        state.observe(replace(run, has_ended=False), changes)
    else:
        state.note(run.tenant, run.run_id, changes, run.seen_us)


def _is_before(asked: Asked, run: Run) -> bool:
    """Tell whether a call is the run's own step before: its keys are the newest, and none of them has been dropped."""
    return asked.run_id == run.run_id and asked.step_seq == run.step_seq - 1


def _short(said: str, own: str) -> str:
    return "" if said == own else said


def _shortened(change: _Other, run: Run) -> _Other:
    if isinstance(change, Lead):
        link = replace(change.link, run_id=_short(change.link.run_id, run.run_id))
        return replace(change, link=link)
    if isinstance(change, Wait):
        waits = replace(change.waits, run_id=_short(change.waits.run_id, run.run_id))
        return replace(change, waits=waits)
    session_id = _short(change.session.session_id, run.session_id)
    return replace(change, session=replace(change.session, session_id=session_id))


def _whole(change: _Other, run: Run) -> Change:
    if isinstance(change, Lead):
        link = replace(change.link, run_id=change.link.run_id or run.run_id)
        return replace(change, link=link)
    if isinstance(change, Wait):
        waits = replace(change.waits, run_id=change.waits.run_id or run.run_id)
        return replace(change, waits=waits)
    session_id = change.session.session_id or run.session_id
    return replace(change, session=replace(change.session, session_id=session_id))
