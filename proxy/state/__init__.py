"""Who remembers: one adapter for the memory of the one worker, and for Redis, which workers and replicas share.

What lives here: what a keeper of state must do. What does not: what is remembered and what follows from it (`proxy.identify`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from proxy.identify.changes import Change
from proxy.identify.facts import Fact, Run
from proxy.judge import claims as accounting
from proxy.judge.claims import Answer, Claim, Owners
from proxy.state.finding import Finding
from proxy.state.totals import Place


class Plea(Protocol):
    """What a call claims while it is admitted, and who hears the answer."""

    @property
    def claims(self) -> Sequence[Claim]:
        """What is claimed of accounts, gates and breakers."""

    @property
    def now_us(self) -> int:
        """The steady clock's time, by which accounts go."""

    def hear(self, answer: Answer) -> bool:
        """Take the answer; say whether the call goes on. Does not raise."""


class State(Protocol):
    """A keeper. Keys are 64-bit hashes; times are microseconds since the epoch. Nothing here raises for a keeper that is away."""

    async def open(self) -> None:
        """Begin; called once, before all else. Waits a bounded time for who keeps it."""

    async def close(self) -> None:
        """Tell what is still to be told; waits a bounded time."""

    @property
    def is_shared(self) -> bool:
        """Whether others keep it, so that it outlives this worker without being written down."""

    def now_us(self, steady_us: int) -> int:
        """Say what a time of this worker's steady clock is for all who share this keeper: by that accounts go."""

    def time(self, wall_us: int) -> int:
        """The same of its wall clock: by that runs and facts go."""

    async def look(self, keys: Sequence[int]) -> Mapping[int, Fact] | None:
        """Give what is known under these keys; one round trip. `None` where nobody can be asked now."""

    async def admit(
        self,
        run: Run,
        changes: Sequence[Change],
        *,
        is_step: bool,
        step_id: str = "",
        plea: Plea | None = None,
    ) -> Run | None:
        """Remember a call that begins, and give its run as it now is; one round trip.

        A step is counted (from 1) and its number written into those pushed calls that have none; a retry or a call that is no step is
        not. A run that is known keeps its parent, root, session and agent; a new one with a parent that is known takes over its root.
        Where it cannot be counted now, the run comes back as it was given, its `step_seq` 0.

        With the call's own `step_id`, it is first seen whether another one went on from the same call, or made the same retry, since
        this one looked: then the answer is `None`, nothing is kept, and who asks looks and decides again. Without, it is taken as it is.

        Where there is a plea, its claims are judged for the run as it then is, and the plea hears the answer. If the call does not go on,
        it is not remembered and counts no step. A plea that has heard nothing is still to be made by `claim`.
        """

    async def claim(
        self, claims: Sequence[Claim], owners: Owners, now_us: int
    ) -> Answer | None:
        """Judge the claims of a call that is not admitted to a run; `None` where nobody can be asked now."""

    async def spent(self, keys: Sequence[int], now_us: int) -> Mapping[int, int] | None:
        """Give what is settled on accounts that belong to nobody but their key; `None` where nobody can be asked now."""

    def tell(self, changes: Sequence[accounting.Change], now_us: int) -> None:
        """Take in what followed from calls; never waits."""

    def sweep(self, now_us: int) -> None:
        """Forget some of the accounts that have expired; to be called again and again."""

    def note(
        self, tenant: str, run_id: str, changes: Sequence[Change], now_us: int
    ) -> None:
        """Remember what an answer showed, or, without changes, that the run is not idle; never waits.

        With an empty run id: what was pushed belongs to no run. It is kept for `RETRY_US` at most and goes once its call is done
        (`facts.with_stray`).
        """

    async def forsake(self, tenant: str, run_id: str, step_id: str) -> None:
        """Remember that a call died with its worker, unanswered, so that the agent's next try is known as one."""

    async def expired(self, now_us: int) -> None:
        """End the runs that have been idle for too long, or that there is no room for; each is told once, to one who asked."""

    def seen(self, place: Place) -> Run | None:
        """Give a live run as this worker last knew it; `None` of one that never passed here."""

    async def find(self, finding: Finding) -> Sequence[Run] | None:
        """Give the live runs that are meant; takes as long as looking at all of them. `None` where nobody can be asked now."""

    async def drained(self, seconds: float) -> bool:
        """Wait until all that was told before has been taken in; say whether it was."""

    def runs(self) -> Iterable[Run]:
        """Give the runs that live, as far as this worker knows them."""

    @property
    def trouble(self) -> str:
        """Say in words why nobody can be asked now; nothing where somebody can."""

    def losses(self) -> Mapping[str, int]:
        """Count what was forgotten too early or could not be asked, by reason, since this keeper was made."""
