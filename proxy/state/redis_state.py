"""What is remembered of runs, in Redis, so that workers and replicas share it.

What lives here: the keeper, and what holds when Redis does not answer: what cannot be asked is not known, what cannot be told is lost,
both are counted, nothing is raised. What does not: the scripts (`redis_scripts.py`), the connection (`redis_line.py`).

One Redis (or its failover address), version 5 or later; not Redis Cluster. Facts of a run go when its end is handed out (`expired`);
what is left over then, or belongs to no one run, expires by itself.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec import structs

from proxy.identify.changes import Change
from proxy.identify.facts import Fact, Run
from proxy.judge import claims as accounting
from proxy.judge.claims import Answer, Claim, Owners, Phase, Turned
from proxy.state import (  # fmt: skip
    Plea,
    redis_admission,
    redis_claims,
    redis_finding,
    redis_scripts,
    redis_spent,
    redis_values,
)
from proxy.state.circuit import Circuit, Pauses
from proxy.state.finding import Finding
from proxy.state.redis_asked import Kept, Patience, Script, Unavailable, losses
from proxy.state.redis_line import Line
from proxy.state.redis_place import Place as Where
from proxy.state.redis_seen import Seen
from proxy.state.redis_values import Names, run_of, time_of, totals_of, written
from proxy.state.totals import NOTHING, Place, Totals

A_CLAIM = 10
"""So many runs end in one go: Redis does nothing else meanwhile."""
CLOSE_SECONDS = 1.0
TOUCHES = 4
"""So many times in the span after which it would end a run with a call under way is said to live."""
MAX_SECONDS = 10**9

_TEXTS = (redis_scripts.LOOK, redis_admission.ADMIT, redis_scripts.NOTE, redis_scripts.OWN, redis_scripts.CLAIM, redis_scripts.STRAY)  # fmt: skip
LOOK, ADMIT, NOTE, OWN, CLAIM, STRAY = SCRIPTS = tuple(Script(text) for text in _TEXTS)


class RedisState:
    """See `State` and `Purse`."""

    def __init__(
        self,
        seed: int,
        line: Line,
        max_runs: int,
        idle_us: int,
        ended: Callable[[Run, Totals], None] = lambda run, totals: None,
        turned: Callable[[Turned], None] = lambda turned: None,
        met: Callable[[int, Phase], None] = lambda key, phase: None,
    ) -> None:
        """Let runs end that were idle for `idle_us`, and the longest idle beyond `max_runs`; all replicas have the same `seed`.

        `ended` is told of each end that this replica is given, `turned` of each breaker that it turns, `met` of each that another may have.
        """
        self._names = Names(seed)
        self._max_runs = max_runs
        self._idle_us = idle_us
        self._ended = ended
        # Twice, so that a run's end is handed out before its keys go; and a day for when nobody is there to take it.
        seconds = min(2 * idle_us // 1_000_000 + 86_400, MAX_SECONDS)
        self._head = [self._names.prefix, b"%d" % seconds]
        self._seen = Seen(max_runs)
        self._running: asyncio.Task[None] | None = None
        self.line = line
        self.kept = Kept()
        self.claims = redis_claims.Claims(seed, self._names.prefix, line, self.kept, turned, met)  # fmt: skip

    def __repr__(self) -> str:
        """Say where, and no secrets."""
        return f"RedisState({self.line!r})"

    async def open(self) -> None:
        """See `State`."""
        loop = asyncio.get_running_loop()
        self._running = loop.create_task(self.line.run(), name="redis")
        # Calls that came before would be judged by nobody, though Redis is there: they wait at the port.
        await self.line.tried()

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

    def now_us(self, steady_us: int) -> int:
        """See `State`."""
        return steady_us + self.line.clock.ahead_us

    def time(self, wall_us: int) -> int:
        """See `State`."""
        return self.line.clock.of_wall(wall_us)

    async def look(self, keys: Sequence[int]) -> Mapping[int, Fact] | None:
        """See `State`."""
        try:
            args = [self._names.prefix, self._names.facts(keys)]
            return redis_values.facts_of(keys, await self.line.ask(LOOK, args))
        except Unavailable:
            self.kept.unknown += 1
            return None

    async def admit(
        self, run: Run, changes: Sequence[Change], *, is_step: bool, step_id: str = "", plea: Plea | None = None
    ) -> Run | None:  # fmt: skip
        """See `State`. Of a plea that says no to what was admitted, the call stays in its run, as one that failed."""
        claims, now_us = ((), 0) if plea is None else (plea.claims, plea.now_us)
        late = partial(self._late, run, claims, now_us) if claims else None
        try:
            args = [*self._head, *redis_admission.arguments(run, self._names, is_step, step_id)]  # fmt: skip
            args += self.claims.written(claims, redis_admission.owners_in(run), now_us)
            args += written(changes, run.tenant, self._names)
            reply = await self.line.ask(ADMIT, args, taken=late)
        except Unavailable:
            self.kept.uncounted += 1
            return run
        except (ValueError, OverflowError):  # half a surrogate pair, a number too large
            self.kept.unwritable += 1
            return run
        if reply is None:
            self.kept.raced += 1
            return None
        known, totals = self._known(run, reply)
        if totals is not None:  # of a refused call, too, for the next one
            self._seen.saw(known, totals)
        owners = redis_admission.owners_in(known)
        is_refused = plea is not None and not plea.hear(self.claims.answered(reply[0], plea.claims, owners))  # fmt: skip
        if is_refused and redis_admission.is_admitted(reply):
            self.note(run.tenant, run.run_id, redis_admission.failed(changes, known), run.seen_us)  # fmt: skip
        return known

    def _known(self, run: Run, reply: Sequence[Any]) -> tuple[Run, Totals | None]:
        """Read a call's run, and what it has come to where it is remembered."""
        try:
            known = redis_admission.decided(run, reply)
            return known, totals_of(reply[1]) if reply[1] else None
        except (ValueError, KeyError):  # of another version; what was claimed is held
            self.kept.unwritable += 1
            return run, None

    def _late(self, run: Run, claims: Sequence[Claim], now_us: int, reply: Any) -> None:
        """See that a call holds nothing whose admission was waited for in vain."""
        if reply is not None:
            run, _ = self._known(run, reply)
            self.claims.late(claims, redis_admission.owners_in(run), now_us, reply[0])

    async def claim(self, claims: Sequence[Claim], owners: Owners, now_us: int) -> Answer | None:  # fmt: skip
        """See `State`."""
        return await self.claims.claim(claims, owners, now_us)

    async def spent(self, keys: Sequence[int], now_us: int) -> Mapping[int, int] | None:
        """See `State`. What was told before is in it."""
        self.claims.flush()
        return await redis_spent.spent(self.line, self._names.prefix, keys, now_us)

    def tell(self, changes: Sequence[accounting.Change], now_us: int) -> None:
        """See `State`. What is told in one turn of the event loop is sent at once."""
        self.claims.tell(changes, now_us)

    def sweep(self, now_us: int) -> None:
        """See `State`: in Redis, accounts expire by themselves."""

    def note(self, tenant: str, run_id: str, changes: Sequence[Change], now_us: int) -> None:  # fmt: skip
        """See `State`. What is sent in one turn of the event loop is sent at once."""
        if not run_id:
            if changes:
                self.line.tell(
                    STRAY, [self._names.prefix, *redis_values.strays(changes)]
                )
            return
        run, totals = self._seen.get((tenant, run_id))
        if run is not None:
            if not changes and now_us - run.seen_us < self._idle_us // TOUCHES:
                return
            self._seen.saw(structs.replace(run, seen_us=max(now_us, run.seen_us)), totals)  # fmt: skip
        self._tell((tenant, run_id), changes, NOTHING, now_us)

    def add(self, place: Place, spent: Totals, now_us: int) -> None:
        """See `Purse`."""
        now_us = self.time(now_us)
        run, totals = self._seen.get(place)
        if run is not None:
            self._seen.saw(run, totals + spent)
        self._tell(place, (), spent, now_us)

    def known(self, place: Place) -> Totals:
        """See `Purse`."""
        return self._seen.get(place)[1]

    def _tell(self, place: Place, changes: Sequence[Change], spent: Totals, now_us: int) -> None:  # fmt: skip
        try:
            args = [*self._head, self._names.run(*place), time_of(now_us)]
            args += redis_values.spent_of(spent)
            args += written(changes, place[0], self._names)
        except (ValueError, OverflowError):
            self.kept.unwritable += 1
            return
        self.line.tell(NOTE, args)

    async def forsake(self, tenant: str, run_id: str, step_id: str) -> None:
        """See `State`."""
        names = self._names
        try:
            args = [names.prefix, names.run(tenant, run_id), step_id.encode()]
            reply = await self.line.ask(OWN, args, redis_claims.PATIENT_SECONDS)
        except Unavailable:
            return
        if died := redis_values.died_of(reply):
            self._tell((tenant, run_id), died, NOTHING, 0)

    async def expired(self, now_us: int) -> None:
        """See `State`. At most once: a claim whose answer is lost with the connection is lost. It is said, too, that this worker lives."""
        before = now_us - self._idle_us
        self._seen.forget(before)
        await self.claims.beat(now_us)
        args = [self._names.prefix, b"%d" % before, b"%d" % self._max_runs, b"%d" % A_CLAIM,
                b"%d" % (now_us + self._idle_us), time_of(now_us)]  # fmt: skip
        taken = A_CLAIM
        try:
            while taken == A_CLAIM:
                reply = await self.line.ask(CLAIM, args, redis_claims.PATIENT_SECONDS)
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
        self._seen.end((run.tenant, run.run_id))
        self._ended(run, totals)

    def seen(self, place: Place) -> Run | None:
        """See `State`."""
        return self._seen.get(place)[0]

    async def find(self, finding: Finding) -> list[Run] | None:
        """See `State`."""
        return await redis_finding.find(self.line, self._names.prefix, self.kept, finding)  # fmt: skip

    def runs(self) -> Iterator[Run]:
        """See `State`: the runs whose calls passed here."""
        return self._seen.runs()

    def losses(self) -> Mapping[str, int]:
        """See `State`."""
        return losses(self.kept, self.line.counts)

    async def drained(self, seconds: float) -> bool:
        """See `State`."""
        self.claims.flush()
        try:
            await self.line.ask(LOOK, [self._names.prefix, b""], seconds)
        except Unavailable:
            return False
        return True


def redis_state(
    seed: int, place: Where, max_runs: int, idle_us: int, ended: Callable[[Run, Totals], None],
    patience: Patience | None = None, pauses: Pauses | None = None,
    turned: Callable[[Turned], None] = lambda turned: None,
    met: Callable[[int, Phase], None] = lambda key, phase: None,
) -> RedisState:  # fmt: skip
    """Wire a keeper."""
    circuit = Circuit(pauses or Pauses(), time.monotonic, random.random)
    scripts = (*SCRIPTS, *redis_claims.SCRIPTS, redis_finding.FIND, redis_spent.SPENT)
    line = Line(place.connection(), circuit, scripts, place.name, patience)
    return RedisState(seed, line, max_runs, idle_us, ended, turned, met)
