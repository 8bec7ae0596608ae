"""The accounts of a dead predecessor, taken over: its checkpoint, what its spool has behind that, and what its calls held.

What lives here: the order of these, which `docs/limits.md` promises. What does not: reading checkpoints and spools (`recovery.py`), the
accounts (`proxy.state`).
"""

import sys
from collections.abc import Callable, Iterable, Iterator

import msgspec

from proxy.govern.governor import Governor
from proxy.judge.expected import Learned
from proxy.record.framing import Losses
from proxy.state import tally
from proxy.state.accounts import Accounts
from proxy.state.memory import MemoryState


class Inheritance:
    """Takes over one predecessor after the other."""

    def __init__(
        self, state: MemoryState | None, governor: Governor, losses: Losses
    ) -> None:
        """Without `state` others keep the accounts, and they outlive any worker."""
        self._state = state
        self._governor = governor
        self._losses = losses
        # Apart from those that are in use: the predecessor may have drained while this worker served already.
        self._theirs = Accounts(sys.maxsize)

    def restore(self, pieces: Iterable[bytes], learned: Iterable[Learned]) -> None:
        """Take over what stood in a checkpoint."""
        for piece in pieces:
            self._take(self._restored, piece)
        self._governor.expected.restore(learned)

    def _restored(self, accounts: Accounts, piece: bytes) -> None:
        accounts.books.restore(piece, self._governor.now_us())

    def replay(self, said: bytes) -> None:
        """Take over what one call claimed, or what settled it."""
        self._take(tally.replay, said)

    def end(self) -> None:
        """Settle what is still reserved at what was reserved, since who held it is dead; then it is ours."""
        theirs, self._theirs = self._theirs, Accounts(sys.maxsize)
        theirs.books.abandon()
        if self._state is not None:
            self._state.accounts.books.take_over(theirs.books, self._governor.now_us())

    def snapshot(self) -> Iterator[bytes]:
        """Write the accounts as they are now."""
        return iter(()) if self._state is None else self._state.accounts.books.snapshot()  # fmt: skip

    def learned(self) -> tuple[Learned, ...]:
        """Give what calls have cost."""
        return tuple(self._governor.expected.snapshot())

    def _take(self, take: Callable[[Accounts, bytes], None], said: bytes) -> None:
        try:
            take(self._theirs, said)
        except (msgspec.MsgspecError, ValueError):
            self._losses["accounts"] += 1
