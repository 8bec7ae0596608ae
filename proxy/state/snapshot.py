"""What is remembered, as bytes that outlive the worker.

What lives here: writing a `MemoryState` in pieces, and taking them over. What does not: files, and when to write
(`proxy/recovery.py`).

A snapshot is written while calls go on: each piece is exact when it is made, and the changes that came since are taken over again by
`MemoryState.observe`, for which twice is the same as once. Which runs live and which have ended is that of the beginning: a run that
ends meanwhile is written as it was, so that its end, if nobody has written that down, is told by the successor.
"""

from collections.abc import Iterator

import msgspec

from proxy.identify.changes import Change, Lead, Push, Shelf
from proxy.identify.facts import Asked, Calls, Link, Run, Session, Waiting
from proxy.state.memory import MemoryState

RUNS_A_PIECE = 40
PAST_A_PIECE = 2000
SHARED_A_PIECE = 500


class _Saved(msgspec.Struct, frozen=True, array_like=True):
    """A run and its own facts, the oldest first; a call that stands under several keys is written once."""

    run: Run
    calls: tuple[Asked, ...]
    places: tuple[tuple[int, int, tuple[int, ...]], ...]
    """(Key, shelf, which calls)."""
    links: tuple[Lead, ...]


class _Piece(msgspec.Struct, frozen=True, array_like=True):
    runs: tuple[_Saved, ...] = ()
    shared: tuple[tuple[int, Session | Waiting], ...] = ()
    strays: tuple[tuple[int, Calls], ...] = ()
    past: tuple[Run, ...] = ()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Piece).decode


def pieces(state: MemoryState) -> Iterator[bytes]:
    """Write all that is remembered; between two pieces the event loop may do something else. What lives is looked up now."""
    return _pieces(state, list(state.runs()), state.past.all())


def _pieces(state: MemoryState, runs: list[Run], past: list[Run]) -> Iterator[bytes]:
    for start in range(0, len(past), PAST_A_PIECE):
        yield _encode(_Piece(past=tuple(past[start : start + PAST_A_PIECE])))
    for start in range(0, len(runs), RUNS_A_PIECE):
        found = [_saved(state, run) for run in runs[start : start + RUNS_A_PIECE]]
        yield _encode(_Piece(runs=tuple(found)))
    shared = state.common.all()
    for start in range(0, len(shared), SHARED_A_PIECE):
        yield _encode(_Piece(shared=tuple(shared[start : start + SHARED_A_PIECE])))
    strays = state.strays.all()
    for start in range(0, len(strays), SHARED_A_PIECE):
        yield _encode(_Piece(strays=tuple(strays[start : start + SHARED_A_PIECE])))


def restore(state: MemoryState, piece: bytes) -> None:
    """Take over one piece. Raises `msgspec.MsgspecError` where it is broken or of another version."""
    read = _decode(piece)
    for run in read.past:
        if state.live((run.tenant, run.run_id)) is None:
            state.past.keep(run)
    for saved in read.runs:
        # One object for a run's id and for each key, as in a state that was never written.
        run_id = saved.run.run_id
        calls = [msgspec.structs.replace(each, run_id=run_id) for each in saved.calls]
        keys = {key: key for call in calls for key in call.keys}
        changes: list[Change] = [
            Push(keys.get(key, key), Shelf(shelf), calls[each])
            for key, shelf, those in saved.places
            for each in those
        ]
        changes += saved.links
        state.observe(saved.run, changes)
    for key, fact in read.shared:
        state.common.keep(key, fact)
    for key, stray in read.strays:
        for asked in stray.asked:
            state.strays.keep(key, asked)


def _saved(state: MemoryState, run: Run) -> _Saved:
    live = state.live((run.tenant, run.run_id))
    if live is None:
        return _Saved(run, (), (), ())
    calls: dict[tuple[str, str], int] = {}
    written: list[Asked] = []
    places: list[tuple[int, int, tuple[int, ...]]] = []
    links: list[Lead] = []
    for shelf, key, fact in live[1]:
        if isinstance(fact, Link):
            links.append(Lead(key, shelf, fact))
            continue
        those = []
        for asked in fact.asked:
            at = calls.setdefault((asked.run_id, asked.step_id), len(written))
            if at == len(written):
                written.append(asked)
            those.append(at)
        places.append((key, shelf, tuple(those)))
    now = msgspec.structs.replace(live[0].run, has_ended=run.has_ended)
    return _Saved(now, tuple(written), tuple(places), tuple(links))
