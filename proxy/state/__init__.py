"""Who remembers: one adapter for the memory of the one worker, and for Redis, which workers and replicas share.

What lives here: what a keeper of state must do. What does not: what is remembered and what follows from it (`proxy.identify`).
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from proxy.identify.changes import Change
from proxy.identify.facts import Fact, Run


class State(Protocol):
    """A keeper. Keys are 64-bit hashes; times are microseconds since the epoch."""

    async def look(self, keys: Sequence[int]) -> Mapping[int, Fact]:
        """Give what is known under these keys; one round trip. What cannot be asked is not known."""

    async def admit(self, run: Run, changes: Sequence[Change], *, is_step: bool) -> Run:
        """Remember a call that begins, and give its run as it now is; one round trip.

        A step is counted (from 1) and its number written into those pushed calls that have none; a retry or a call that is no step is
        not. A run that is known keeps its parent, root, session and agent; a new one with a parent that is known takes over its root.
        """

    def note(
        self, tenant: str, run_id: str, changes: Sequence[Change], now_us: int
    ) -> None:
        """Remember what an answer showed; never waits.

        With an empty run id: what was pushed belongs to no run. It is kept for `RETRY_US` at most and goes once its call is done
        (`facts.with_stray`).
        """
