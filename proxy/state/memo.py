"""What was learned of a run at one moment, as bytes: what came after the last snapshot.

What lives here: writing and reading the changes of one admission or one answer. What does not: where the bytes are kept
(`proxy/record`), all that is remembered at once (`snapshot.py`).

A call stands under several keys and is written once, so that a memo takes some hundred bytes.
"""

from collections.abc import Sequence

import msgspec

from proxy.identify.changes import Change, Keep, Lead, Push, Shelf, Wait
from proxy.identify.facts import Asked, Run
from proxy.state.memory import MemoryState


class _Memo(msgspec.Struct, frozen=True, array_like=True):
    """One admission, or one answer."""

    run: Run
    begins: bool
    """An admission: it may begin a run. An answer finds its run, or nobody."""
    calls: tuple[Asked, ...]
    pushed: tuple[tuple[int, int, int], ...]
    """(Key, shelf, which call)."""
    others: tuple[Lead | Wait | Keep, ...]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Memo).decode


def written(run: Run, changes: Sequence[Change], *, begins: bool) -> bytes:
    """Write changes of a run as it was when they were made."""
    calls: dict[int, int] = {}
    kept: list[Asked] = []
    pushed: list[tuple[int, int, int]] = []
    others: list[Lead | Wait | Keep] = []
    for change in changes:
        if not isinstance(change, Push):
            others.append(change)
            continue
        at = calls.setdefault(id(change.asked), len(kept))
        if at == len(kept):
            kept.append(change.asked)
        pushed.append((change.key, change.shelf, at))
    return _encode(_Memo(run, begins, tuple(kept), tuple(pushed), tuple(others)))


def replay(state: MemoryState, said: bytes) -> None:
    """Take over one memo. Raises `msgspec.MsgspecError` where it is broken or of another version."""
    memo = _decode(said)
    run_id = memo.run.run_id
    changes: list[Change] = [
        Push(key, Shelf(shelf), memo.calls[at]) for key, shelf, at in memo.pushed
    ]
    changes += memo.others
    if memo.begins:
        # Whether its end has been told, its own record says.
        state.observe(msgspec.structs.replace(memo.run, has_ended=False), changes)
    else:
        state.note(memo.run.tenant, run_id, changes, memo.run.seen_us)
