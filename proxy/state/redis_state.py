"""What is remembered of runs, in Redis, so that workers and replicas share it.

What lives here: the keeper, and what holds when Redis does not answer: what cannot be asked is not known, what cannot be told is lost,
both are counted, nothing is raised. What does not: the scripts (`redis_scripts.py`), the connection (`redis_line.py`).

One Redis (or its failover address), version 5 or later; not Redis Cluster. Facts of a run go when its end is handed out (`expired`);
what is left over then, or belongs to no one run, expires by itself.
"""

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from msgspec import structs

from proxy.identify.changes import Change
from proxy.identify.facts import Fact, Run
from proxy.state import redis_place, redis_scripts
from proxy.state.circuit import Circuit, Pauses
from proxy.state.redis_line import Line, Patience, Script, Unavailable
from proxy.state.redis_values import (
    Names,
    admission,
    calls_of,
    facts_of,
    run_of,
    spent_of,
    time_of,
    totals_of,
    turn_of,
    written,
)
from proxy.state.totals import NOTHING, Place, Totals

A_CLAIM = 10
"""So many runs end in one go: Redis does nothing else meanwhile."""
PATIENT_SECONDS = 5.0
"""For what no call waits for; a claim whose answer is not taken is lost."""
OPEN_SECONDS = 1.0
CLOSE_SECONDS = 1.0
TOUCHES = 4
"""So many times in the span after which it would end a run with a call under way is said to live."""
MAX_SECONDS = 10**9

LOOK, ADMIT, NOTE, OWN, CLAIM = SCRIPTS = tuple(
    Script(text)
    for text in (
        redis_scripts.LOOK,
        redis_scripts.ADMIT,
        redis_scripts.NOTE,
        redis_scripts.OWN,
        redis_scripts.CLAIM,
    )
)


@dataclass(slots=True)
class Kept:
    """What happened beside what `Line.counts` counts. Monotone."""

    unknown: int = 0
    """Calls that were identified without what is remembered."""
    uncounted: int = 0
    """Calls that were admitted without being remembered."""
    raced: int = 0
    """Calls that found another one to have gone on from the same one."""
    unwritable: int = 0
    """Calls and answers that could not be written as bytes, and runs that another version wrote."""


class RedisState:
    """See `State` and `Purse`."""

    def __init__(
        self,
        seed: int,
        line: Line,
        max_runs: int,
        idle_us: int,
        ended: Callable[[Run, Totals], None] = lambda run, totals: None,
    ) -> None:
        """Let runs end that were idle for `idle_us`, and the longest idle beyond `max_runs`; all replicas have the same `seed`.

        `ended` is told of each end that this replica is given.
        """
        self._names = Names(seed)
        self._max_runs = max_runs
        self._idle_us = idle_us
        self._ended = ended
        # Twice, so that a run's end is handed out before its keys go; and a day for when nobody is there to take it.
        seconds = min(2 * idle_us // 1_000_000 + 86_400, MAX_SECONDS)
        self._head = [self._names.prefix, b"%d" % seconds]
        self._seen: OrderedDict[Place, tuple[Run, Totals]] = OrderedDict()
        self._running: asyncio.Task[None] | None = None
        self.line = line
        self.kept = Kept()

    def __repr__(self) -> str:
        """Say where, and no secrets."""
        return f"RedisState({self.line!r})"

    async def open(self) -> None:
        """See `State`."""
        loop = asyncio.get_running_loop()
        self._running = loop.create_task(self.line.run(), name="redis")
        await self.line.connected(OPEN_SECONDS)

    async def close(self) -> None:
        """See `State`."""
        if self._running is not None:
            await self.drained(CLOSE_SECONDS)
            self._running.cancel()
            await asyncio.wait([self._running])
            self._running = None

    @property
    def trouble(self) -> str:
        """See `State`."""
        return self.line.trouble

    @property
    def is_shared(self) -> bool:
        """See `State`."""
        return True

    async def look(self, keys: Sequence[int]) -> Mapping[int, Fact] | None:
        """See `State`."""
        try:
            args = [self._names.prefix, self._names.facts(keys)]
            return facts_of(keys, await self.line.ask(LOOK, args))
        except Unavailable:
            self.kept.unknown += 1
            return None

    async def admit(
        self, run: Run, changes: Sequence[Change], *, is_step: bool, step_id: str = ""
    ) -> Run | None:
        """See `State`."""
        try:
            args = [*self._admission(run, is_step, step_id), *written(changes, run.tenant, self._names)]  # fmt: skip
            reply = await self.line.ask(ADMIT, args)
            if reply is not None:
                return self._saw(run_of(reply), totals_of(reply))
        except Unavailable:
            self.kept.uncounted += 1
            return run
        except (ValueError, OverflowError, KeyError):
            # Half a surrogate pair, a number too large, a run that another version wrote.
            self.kept.unwritable += 1
            return run
        self.kept.raced += 1
        return None

    def _admission(self, run: Run, is_step: bool, step_id: str) -> list[bytes]:
        names, tenant = self._names, run.tenant
        return [
            *self._head,
            names.run(tenant, run.run_id),
            names.run(tenant, run.parent_run_id),
            time_of(run.seen_us),
            turn_of(run),
            b"%d" % is_step,
            step_id.encode(),
            *admission(run),
        ]

    def note(
        self, tenant: str, run_id: str, changes: Sequence[Change], now_us: int
    ) -> None:
        """See `State`. What is sent in one turn of the event loop is sent at once; calls of no run are not shared."""
        if not run_id:
            return
        run, totals = self._seen.get((tenant, run_id), (None, NOTHING))
        if run is not None:
            if not changes and now_us - run.seen_us < self._idle_us // TOUCHES:
                return
            self._saw(structs.replace(run, seen_us=max(now_us, run.seen_us)), totals)
        self._tell((tenant, run_id), changes, NOTHING, now_us)

    def add(self, place: Place, spent: Totals, now_us: int) -> None:
        """See `Purse`."""
        run, totals = self._seen.get(place, (None, NOTHING))
        if run is not None:
            self._saw(run, totals + spent)
        self._tell(place, (), spent, now_us)

    def known(self, place: Place) -> Totals:
        """See `Purse`."""
        return self._seen.get(place, (None, NOTHING))[1]

    def _tell(
        self, place: Place, changes: Sequence[Change], spent: Totals, now_us: int
    ) -> None:
        try:
            args = [*self._head, self._names.run(*place), time_of(now_us)]
            args += [*spent_of(spent), *written(changes, place[0], self._names)]
        except (ValueError, OverflowError):
            self.kept.unwritable += 1
            return
        self.line.tell(NOTE, args)

    def _saw(self, run: Run, totals: Totals) -> Run:
        """Remember a run that passed here, for those who ask how large the ones that live are."""
        place = (run.tenant, run.run_id)
        self._seen[place] = (run, totals)
        self._seen.move_to_end(place)
        if len(self._seen) > self._max_runs:
            self._seen.popitem(last=False)
        return run

    async def forsake(self, tenant: str, run_id: str, step_id: str) -> None:
        """See `State`."""
        names = self._names
        try:
            args = [names.prefix, names.run(tenant, run_id), step_id.encode()]
            reply = await self.line.ask(OWN, args, PATIENT_SECONDS)
        except Unavailable:
            return
        failed: list[Change] = [
            structs.replace(each, asked=structs.replace(each.asked, state="failed"))
            for each in calls_of(reply)
            if each.asked.state == "open"
        ]
        if failed:
            self._tell((tenant, run_id), failed, NOTHING, 0)

    async def expired(self, now_us: int) -> None:
        """See `State`. At most once: a claim whose answer is lost with the connection is lost."""
        before = now_us - self._idle_us
        self._forget(before)
        args = [self._names.prefix, b"%d" % before, b"%d" % self._max_runs, b"%d" % A_CLAIM,
                b"%d" % (now_us + self._idle_us), time_of(now_us)]  # fmt: skip
        taken = A_CLAIM
        try:
            while taken == A_CLAIM:
                reply = await self.line.ask(CLAIM, args, PATIENT_SECONDS)
                taken = len(reply)
                for each in filter(None, reply):
                    self._end(each)
        except Unavailable:
            return

    def _end(self, pairs: Sequence[bytes]) -> None:
        try:
            run, totals = run_of(pairs), totals_of(pairs)
        except (ValueError, KeyError):
            self.kept.unwritable += 1
            return
        self._seen.pop((run.tenant, run.run_id), None)
        self._ended(run, totals)

    def _forget(self, before_us: int) -> None:
        while self._seen:
            place, (run, _) = next(iter(self._seen.items()))
            if run.seen_us > before_us:
                return
            del self._seen[place]

    def runs(self) -> Iterator[Run]:
        """See `State`: the runs whose calls passed here."""
        return (run for run, _ in self._seen.values())

    def losses(self) -> Mapping[str, int]:
        """See `State`."""
        kept = self.kept
        return {
            "state_unknown": kept.unknown,
            "state_uncounted": kept.uncounted,
            "state_unwritable": kept.unwritable,
            "state_note": self.line.counts.dropped,
        }

    async def drained(self, seconds: float) -> bool:
        """Wait until all that was told before has been taken; say whether it was."""
        try:
            await self.line.ask(LOOK, [self._names.prefix, b""], seconds)
        except Unavailable:
            return False
        return True


def redis_state(
    seed: int,
    place: redis_place.Place,
    max_runs: int,
    idle_us: int,
    ended: Callable[[Run, Totals], None],
    patience: Patience | None = None,
    pauses: Pauses | None = None,
) -> RedisState:
    """Wire a keeper."""
    circuit = Circuit(pauses or Pauses(), time.monotonic, random.random)
    line = Line(place.connection(), circuit, SCRIPTS, place.name, patience)
    return RedisState(seed, line, max_runs, idle_us, ended)
