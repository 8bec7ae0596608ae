"""Claims and what follows from them, told to Redis by one worker.

What lives here: asking, telling, what this worker holds, and giving back what was admitted too late. What does not: the scripts
(`redis_accounts_lua.py`, `redis_holds.py`), the connection (`redis_line.py`), runs (`redis_state.py`).

No reservation is lost for ever. An answer that comes after nobody waits for it any more is taken back. One that is lost with its connection
leaves something that this worker does not know of, which is freed on the next connection. Of a worker that is gone, another one frees it.
What is told is told once: where the connection broke before the reply, the note is sent again under its number, and counts once.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from proxy.judge.claims import (
    Answer,
    Change,
    Claim,
    Owners,
    Permit,
    Phase,
    Settle,
    Turned,
    taken_back,
)
from proxy.state.redis_accounts import Writer, answer_of, turned_of, written_claims
from proxy.state.redis_accounts_lua import APPLY, CLAIM
from proxy.state.redis_asked import Kept, Script, Unavailable
from proxy.state.redis_holds import (
    A_SWEEP,
    BEAT,
    BEAT_SECONDS,
    LEASE_SECONDS,
    OWNED,
)
from proxy.state.redis_line import Line

_CLAIM, _APPLY, _OWNED = (Script(text) for text in (CLAIM, APPLY, OWNED))
_BEAT = Script(BEAT, is_probe=True)
SCRIPTS = (_CLAIM, _APPLY, _BEAT, _OWNED)
PATIENT_SECONDS = 5.0
"""For what no call waits for; a claim whose answer is not taken is lost."""
A_NOTE = 1000
"""So many changes go into one note."""
_AGAIN = 5
"""Where a note says whether it may have come before."""
MAX_SHOWN = 1000
"""Of so many breakers it is asked how they are."""
MAX_TOLD = 100_000
"""So many changes wait for a connection."""


class Claims:
    """What one worker's life claims and holds."""

    def __init__(
        self,
        seed: int,
        prefix: bytes,
        line: Line,
        kept: Kept,
        turned: Callable[[Turned], None],
        met: Callable[[int, Phase], None] = lambda key, phase: None,
    ) -> None:
        """`turned` is told of each breaker that this worker turns, `met` of each that it finds in another phase than before."""
        self.holder = secrets.token_bytes(8)
        self.held: dict[tuple[int, str], int] = {}
        """What is reserved, by key and owner."""
        self.writer = Writer(seed, prefix)
        self.prefix = prefix
        self._line = line
        self._kept = kept
        self._turned = turned
        self._met = met
        self._shown: dict[int, Phase] = {}
        """Breakers that were not closed when last heard of."""
        self._told: list[Change] = []
        self._told_us = 0
        self._number = 0
        self._connection = 0
        self._beat_at = 0.0
        line.greeters.append(self._greet)

    def written(
        self, claims: Sequence[Claim], owners: Owners, now_us: int
    ) -> list[bytes]:
        """Write claims as a part of a bigger script's arguments, with their number and whose they are. What was told goes out first."""
        self.flush()
        names = map(self.writer.owner, owners[1:])
        return [b"%d" % len(claims), *names, *self._own(), b"%d" % now_us, *written_claims(claims)]  # fmt: skip

    def _own(self) -> list[bytes]:
        return [self.holder, b"%d" % self._connection]

    async def claim(
        self, claims: Sequence[Claim], owners: Owners, now_us: int
    ) -> Answer | None:
        """Have claims judged; `None` where nobody does."""
        if not claims:
            return Answer(True, owners=owners)
        self.flush()
        args = self.writer.claim_args(claims, owners, now_us, self._own())
        late = partial(self.late, claims, owners, now_us)
        try:
            return self.answered(await self._line.ask(_CLAIM, args, taken=late), claims, owners)  # fmt: skip
        except Unavailable:
            self._kept.unjudged += 1
            return None

    def answered(self, reply: Any, claims: Sequence[Claim], owners: Owners) -> Answer:
        """Read what became of claims, and remember what is held; without claims there is no reply."""
        if reply is None:
            return Answer(True, owners=owners)
        answer = answer_of(reply, claims, owners)
        held = self.held
        for each in answer.holds:
            if not each.permit and each.amount:
                place = (each.key, each.owner)
                held[place] = held.get(place, 0) + each.amount
        for turn in answer.turned:
            self._has_turned(turn)
        self._see(claims, answer)
        return answer

    def _has_turned(self, turn: Turned) -> None:
        self._show(turn.key, turn.after)
        self._turned(turn)

    def _see(self, claims: Sequence[Claim], answer: Answer) -> None:
        """Note in which phase a breaker was met, which another worker may have turned."""
        for hold in answer.holds:
            if hold.permit:
                self._show(hold.key, Phase(hold.amount))
        for finding in answer.findings:
            claim = claims[finding.claim]
            if isinstance(claim, Permit) and claim.key not in self._shown:
                self._show(claim.key, Phase.OPEN)

    def _show(self, key: int, phase: Phase) -> None:
        if self._shown.get(key, Phase.CLOSED) is phase:
            return
        if phase is Phase.CLOSED or len(self._shown) >= MAX_SHOWN:
            self._shown.pop(key, None)
        if phase is not Phase.CLOSED:
            self._shown[key] = phase
        self._met(key, phase)

    def late(self, claims: Sequence[Claim], owners: Owners, now_us: int, reply: Any) -> None:  # fmt: skip
        """Take back what was admitted when nobody waited for it any more."""
        answer = self.answered(reply, claims, owners)
        if answer.admitted:
            self._kept.taken_back += 1
            self.tell(taken_back(claims, answer), now_us)

    def tell(self, changes: Sequence[Change], now_us: int) -> None:
        """Tell what followed from calls; what is told in one turn of the event loop goes out at once."""
        for each in changes:
            if isinstance(each, Settle) and each.reserved:
                self._release((each.key, each.owner), each.reserved)
        if len(self._told) + len(changes) > MAX_TOLD:
            self._kept.untold += len(changes)
            return
        if changes and not self._told:
            asyncio.get_running_loop().call_soon(self.flush)
        self._told += changes
        self._told_us = max(self._told_us, now_us)

    def _release(self, place: tuple[int, str], reserved: int) -> None:
        rest = self.held.pop(place, 0) - reserved
        if rest > 0:
            self.held[place] = rest

    def flush(self) -> None:
        """Send what was told; without a connection it waits for the next one."""
        if self._told and self._line.is_connected:
            self._send()

    def _send(self) -> None:
        told, self._told = self._told, []
        for at in range(0, len(told), A_NOTE):
            changes = told[at : at + A_NOTE]
            self._number += 1
            own = [*self._own(), b"%d" % self._number]
            first = self.writer.apply_args(changes, self._told_us, [*own, b"0"])
            again = [*first[:_AGAIN], b"1", *first[_AGAIN + 1 :]]
            taken = partial(self._have_turned, changes)
            self._line.tell(_APPLY, first, taken, again)

    def _have_turned(self, changes: Sequence[Change], reply: Any) -> None:
        self._kept.untold += reply[0]
        for each in turned_of(reply, changes):
            self._has_turned(each)

    def _greet(self) -> None:
        """Say on a new connection, after what was told before and ahead of all claims, who is here and what all it holds."""
        self._connection += 1
        self._send()
        owned = [self.prefix, *self._own()]
        for (key, owner), amount in self.held.items():
            owned += [key.to_bytes(8, "big") + self.writer.owner(owner), b"%d" % amount]  # fmt: skip
        self._line.tell(_OWNED, owned)

    async def beat(self, now_us: int) -> None:
        """Say that this worker lives, where it is time to, and settle what dead ones have left."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._beat_at:
            return
        args = [self.prefix, self.holder, b"%d" % (LEASE_SECONDS * 1000), b"%d" % now_us, b"%d" % A_SWEEP]  # fmt: skip
        shown, clock = list(self._shown), self._line.clock
        args += [key.to_bytes(8, "big") for key in shown]
        asked_us = clock.asked()
        try:
            freed, seconds, micros, *phases = await self._line.ask(_BEAT, args, PATIENT_SECONDS)  # fmt: skip
        except Unavailable:
            return
        self._beat_at = loop.time() + BEAT_SECONDS
        self._kept.freed += freed
        clock.heard(asked_us, seconds, micros)
        for key, phase in zip(shown, phases, strict=True):
            self._show(key, Phase(phase))
