"""What is remembered of runs, in the memory of the one worker.

What lives here: keeping facts within bounds, and forgetting a run's facts with the run. What does not: which facts there are
(`identify/facts.py`), when they change (`identify/changes.py`), how they outlive the worker (`snapshot.py`).

Nothing here suspends, so that a call is looked up, decided and admitted before another one is looked at.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from proxy.identify.changes import Change, Lead, Push, Shelf, Wait
from proxy.identify.facts import (
    Asked,
    Calls,
    Fact,
    Link,
    Run,
    with_asked,
    with_link,
    with_session,
    with_waits,
)
from proxy.judge.claims import Turned
from proxy.state import Plea
from proxy.state.common import Common
from proxy.state.finding import Finding
from proxy.state.joining import joined, numbered, owners_of
from proxy.state.own_accounts import MAX_ACCOUNTS, OwnAccounts
from proxy.state.strays import Past, Strays
from proxy.state.totals import Place

ROOM = {Shelf.BRIEF: 3, Shelf.CHAIN: 16, Shelf.LINK: 18, Shelf.ECHO: 20}
"""So many facts of one run are kept, the newest; with them a run takes less than 18 KB."""

ENDS_AT_ONCE = 200
"""So many runs end in one go: calls wait meanwhile."""


class Live:
    """A run, and where its facts are."""

    __slots__ = ("run", "shelves")

    def __init__(self, run: Run) -> None:
        self.run = run
        self.shelves: tuple[list[int], ...] = tuple([] for _ in Shelf)


class MemoryState(OwnAccounts):
    """See `State`."""

    def __init__(
        self, max_runs: int, idle_us: int, ended: Callable[[Run], None] = lambda run: None, max_accounts: int = MAX_ACCOUNTS,
        turned: Callable[[Turned], None] = lambda turned: None,
    ) -> None:  # fmt: skip
        """Forget runs that were idle for `idle_us`, and the longest idle beyond `max_runs`; `ended` is told of each.

        Of the newest runs that have ended, what they were is kept (`past`): one that comes back under its name goes on where it was, and
        `has_ended` says so when it ends again. Of accounts there are `max_accounts` of each sort; `turned` is told of breakers.
        """
        super().__init__(max_accounts, turned)
        self._max_runs = max_runs
        self._idle_us = idle_us
        self._ended = ended
        self._facts: dict[int, Calls | Link] = {}
        self._runs: OrderedDict[Place, Live] = OrderedDict()
        self.past = Past()
        self.common = Common(max_runs)
        self.strays = Strays(self._facts, max_runs)
        self.evicted = 0
        """Runs that were forgotten because of the cap, though they were not idle for long."""

    async def open(self) -> None:
        """See `State`."""

    async def close(self) -> None:
        """See `State`."""

    @property
    def trouble(self) -> str:
        """See `State`: there is none."""
        return ""

    @property
    def is_shared(self) -> bool:
        """See `State`: it dies with its worker, unless it is written down."""
        return False

    async def look(self, keys: Sequence[int]) -> Mapping[int, Fact]:
        """See `State`."""
        found: dict[int, Fact] = {}
        for each in keys:
            fact = self._facts.get(each) or self.common.get(each)
            if fact is not None:
                found[each] = fact
        return found

    async def admit(
        self, run: Run, changes: Sequence[Change], *, is_step: bool, step_id: str = "", plea: Plea | None = None
    ) -> Run:  # fmt: skip
        """See `State`. Nobody can have come first where nothing waits between looking and this."""
        self.expire(run.seen_us)
        if plea is not None:
            would_be = self._would_be(run)
            owners = owners_of(run.tenant, would_be.run_id, would_be.root_run_id, would_be.session_id)  # fmt: skip
            answer = self._claim(plea.claims, owners, plea.now_us)
            if not plea.hear(answer):
                # Who goes on asking keeps the run alive: a new one would have a new allowance.
                self.note(run.tenant, run.run_id, (), run.seen_us)
                return would_be
        live = self._live(run)
        if is_step:
            step_seq = live.run.step_seq + 1
            live.run = msgspec.structs.replace(live.run, step_seq=step_seq)
            changes = [numbered(each, run.run_id, step_seq) for each in changes]
        self._apply(live, changes)
        return live.run

    def note(self, tenant: str, run_id: str, changes: Sequence[Change], now_us: int) -> None:  # fmt: skip
        """See `State`."""
        live = self._runs.get((tenant, run_id))
        if live is not None:
            self._touch(live, now_us)
            self._apply(live, changes)
        elif not run_id:
            self.strays.expire(now_us)
            for change in changes:
                if isinstance(change, Push):
                    self.strays.keep(change.key, change.asked)

    async def forsake(self, tenant: str, run_id: str, step_id: str) -> None:
        """See `State`."""
        live = self._runs.get((tenant, run_id))
        if live is None:
            return
        failed: list[Change] = [
            Push(key, shelf, msgspec.structs.replace(asked, state="failed"))
            for shelf, key, fact in self._own(live)
            if isinstance(fact, Calls)
            for asked in fact.asked
            if asked.step_id == step_id and asked.state == "open"
        ]
        self._apply(live, failed)

    def losses(self) -> Mapping[str, int]:
        """See `State`."""
        return {"state_evicted": self.evicted, "state_evicted_shared": self.common.evicted, "state_evicted_strays": self.strays.evicted, "state_evicted_accounts": self.accounts.books.evicted}  # fmt: skip

    def observe(self, run: Run, changes: Sequence[Change]) -> None:
        """Take over what another life of this worker remembered; `run.step_seq` is its number then. Idempotent."""
        live, step_seq = self._live(run), run.step_seq
        live.run = msgspec.structs.replace(live.run, step_seq=max(live.run.step_seq, step_seq))  # fmt: skip
        self._apply(live, changes)

    def expire(self, now_us: int) -> None:
        """Forget the runs that have been idle for too long; of very many, as after a clock's jump, the rest is left to the next time."""
        self.strays.expire(now_us)
        for _ in range(min(len(self._runs), ENDS_AT_ONCE)):
            place, live = next(iter(self._runs.items()))
            if live.run.seen_us - now_us > self._idle_us:
                self._turn_back(now_us)
            if live.run.seen_us + self._idle_us > now_us:
                return
            self._forget(place)

    def _turn_back(self, now_us: int) -> None:
        """Let no run live on in a future that a clock which went back has taken away."""
        for live in self._runs.values():
            if live.run.seen_us > now_us:
                live.run = msgspec.structs.replace(live.run, seen_us=now_us)

    def end(self, place: Place) -> None:
        """End a run, if it lives."""
        if place in self._runs:
            self._forget(place)

    async def expired(self, now_us: int) -> None:
        """See `State`."""
        self.expire(now_us)

    def seen(self, place: Place) -> Run | None:
        """See `State`; one that has ended, too: a call of it lets it live on."""
        live = self._runs.get(place)
        return self.past.get(place) if live is None else live.run

    async def find(self, finding: Finding) -> list[Run]:
        """See `State`."""
        return finding.best(self.runs())

    def runs(self) -> Iterator[Run]:
        """Give the runs that live, the longest idle first."""
        return (live.run for live in self._runs.values())

    def live(self, place: Place) -> tuple[Live, Iterator[tuple[Shelf, int, Calls | Link]]] | None:  # fmt: skip
        """Give a run and its own facts, the oldest first; `None` where it has ended."""
        live = self._runs.get(place)
        return None if live is None else (live, self._own(live))

    def call(self, where: int, step_id: str) -> Asked | None:
        """Give the call of a step that stands under a key; `None` where there is none."""
        fact = self._facts.get(where)
        asked = fact.asked if isinstance(fact, Calls) else ()
        return next((each for each in asked if each.step_id == step_id), None)

    def __len__(self) -> int:
        """Give the number of runs."""
        return len(self._runs)

    def _live(self, run: Run) -> Live:
        """Give the run, and what is new of it to it."""
        place = (run.tenant, run.run_id)
        live = self._runs.get(place)
        if live is None:
            live = self._runs[place] = Live(self._would_be(run))
            self.past.take(place)
            if len(self._runs) > self._max_runs:
                self.evicted += 1
                self._forget(next(iter(self._runs)))
            return live
        live.run = joined(live.run, run)
        self._touch(live, run.seen_us)
        return live

    def _would_be(self, run: Run) -> Run:
        known = self.seen((run.tenant, run.run_id))
        if known is not None:
            seen_us = max(known.seen_us, run.seen_us)
            return msgspec.structs.replace(joined(known, run), seen_us=seen_us)
        parent = self._runs.get((run.tenant, run.parent_run_id))
        root = parent.run.root_run_id if parent else run.root_run_id
        return msgspec.structs.replace(run, root_run_id=root, step_seq=0)

    def _touch(self, live: Live, now_us: int) -> None:
        run = live.run
        if now_us > run.seen_us:
            live.run = msgspec.structs.replace(run, seen_us=now_us)
        self._runs.move_to_end((run.tenant, run.run_id))

    def _forget(self, place: Place) -> None:
        live = self._runs.pop(place)
        for shelf in live.shelves:
            for where in shelf:
                self._drop(where, live.run.run_id)
        self.past.keep(live.run)
        self._ended(live.run)

    def _drop(self, where: int, run_id: str) -> None:
        """Take a run's share out of a fact."""
        fact = self._facts.get(where)
        if isinstance(fact, Calls):
            others = tuple(each for each in fact.asked if each.run_id != run_id)
            if others:
                self._facts[where] = Calls(others)
            else:
                del self._facts[where]
        elif fact is not None and fact.run_id == run_id:
            del self._facts[where]

    def _own(self, live: Live) -> Iterator[tuple[Shelf, int, Calls | Link]]:
        for shelf in Shelf:
            for where in live.shelves[shelf]:
                fact = self._facts.get(where)
                if isinstance(fact, Calls):
                    own = [each for each in fact.asked if each.run_id == live.run.run_id]  # fmt: skip
                    yield shelf, where, Calls(tuple(own))
                elif fact is not None:
                    yield shelf, where, fact

    def _apply(self, live: Live, changes: Sequence[Change]) -> None:
        facts, common = self._facts, self.common
        alone = Calls()
        for change in changes:
            where = change.key
            if isinstance(change, Push):
                owner = self._runs.get((live.run.tenant, change.asked.run_id))
                if owner is not None:  # a branch writes into its parent's, too
                    fact = with_asked(facts.get(where), change.asked)
                    # A call that nobody else's resembles is one value, under however many keys.
                    alone = alone if alone.asked == fact.asked else fact
                    facts[where] = alone
                    self._shelve(owner, change.shelf, where)
            elif isinstance(change, Lead):
                facts[where] = with_link(facts.get(where), change.link)
                self._shelve(live, change.shelf, where)
            elif isinstance(change, Wait):
                common.keep(where, with_waits(common.get(where), change.waits))
            else:
                common.keep(where, with_session(common.get(where), change.session))

    def _shelve(self, live: Live, shelf: Shelf, where: int) -> None:
        kept = live.shelves[shelf]
        if where in kept:
            kept.remove(where)
        kept.append(where)
        if len(kept) > ROOM[shelf]:
            self._drop(kept.pop(0), live.run.run_id)
