"""The attempts that are made for one request of an agent: the first, and those by which the proxy goes on.

What lives here: when one ends and another follows; that each is judged, recorded and counted in its own right, and that the agent sees one
answer, the last attempt's. What does not: why another one is made (who finds a `Way`), bytes (`forward/relay.py`), accounts (`ledger.py`).

Who reads an answer may want another one instead of what is held back of it (`Watch.wanted`): then the next attempt goes to the same route with
another body, even though the agent has the beginning of this answer; if nothing comes of that one, the agent gets what was held back.

An attempt ends before the next one is judged, so that the policies know how it ended. Where they refuse the next one, it is not made: what
they said is told, and the agent gets the answer of the one before.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import ParamSpec, Protocol, TypeVar

import msgspec

from proxy.call import Accepted, Call
from proxy.denials import status_of
from proxy.desk import Desk
from proxy.forward.failures import BlockedError
from proxy.forward.http1 import AnswerHead
from proxy.forward.pool import Pool
from proxy.forward.relay import Relay
from proxy.forward.watch import Ending
from proxy.govern.governor import Governor
from proxy.govern.tab import Tab
from proxy.identify.tracing import span_id_of
from proxy.ledger import Ledger
from proxy.ledgers import Ledgers, asker_of
from proxy.model import Ask, Outcome
from proxy.outbound import Outbound
from proxy.record.codec import Open

P = ParamSpec("P")
T = TypeVar("T")

BY_PROXY = "proxy"
"""In `retry_layer`: the proxy made the attempt."""
MOST_HELD_BYTES = 1 << 20
"""Of an error that answers an attempt whose agent can still have the answer before."""


@dataclass(frozen=True, slots=True)
class Way:
    """Another attempt that may be made."""

    accepted: Accepted
    """Where it goes."""
    call: Call | None = None
    """With another body (`Call.with_body`); `None`: as before."""
    ask: Ask | None = None
    """What it asks for; `None`: the same as before."""
    altered: tuple[str, ...] = ()
    """Words for the column: what of the agent's request is changed besides."""
    wait_seconds: float = 0.0
    """To be waited before it is made."""


@dataclass(slots=True)
class Step:
    """A request of an agent, and the newest attempt that is made for it."""

    call: Call
    accepted: Accepted
    ledger: Ledger
    tab: Tab | None
    relay: Relay | None = None
    """`None` while nothing has been sent."""
    held: tuple[Relay, Ledger] | None = None
    """Has what the agent gets if the newest attempt comes to nothing."""
    before: list[Accepted] = field(default_factory=list)
    """Where attempts went before this one, the first one first."""
    refused: list[Accepted] = field(default_factory=list)
    """Where the policies let no attempt go."""
    retried: int = 0
    """How often a failed attempt was tried again."""
    agents: Call = field(init=False)
    """The agent's own request."""
    asked: Ask = field(init=False)
    """What it asks for."""

    def __post_init__(self) -> None:
        self.agents, self.asked = self.call, self.ledger.ask


class Finder(Protocol):
    """Who knows a reason for another attempt."""

    def began(self, step: Step) -> None:
        """Take note of an attempt that goes out."""

    def keeps(self, step: Step, head: AnswerHead) -> int:
        """Say how many bytes an answer's body may have to be kept from the agent until it is known whether another attempt is made; 0: none."""

    def find(self, step: Step, ending: Ending) -> Way | None:
        """Say which attempt may follow one that has ended, and of which the agent has got nothing."""


class Attempting:
    """Makes attempts; one for a worker."""

    def __init__(
        self,
        desk: Desk,
        ledgers: Ledgers,
        outbound: Outbound,
        pool: Pool,
        governor: Governor | None,
        new_id: Callable[[int], str],
        wall_ns: Callable[[], int],
        finders: Sequence[Finder],
    ) -> None:
        """`new_id` gets the wall clock in nanoseconds; without `governor` nothing limits attempts. `finders` are asked in their order."""
        self._desk = desk
        self._ledgers = ledgers
        self._outbound = outbound
        self._pool = pool
        self._governor = governor
        self._new_id = new_id
        self._wall_ns = wall_ns
        self.finders = finders
        self.sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self, step: Step) -> Ending:
        """Make attempts until one stands, and give its ending; `BlockedError` where the policies let none be made."""
        try:
            step.ledger.judge(partial(asker_of, step.call, step.accepted))
        except BlockedError as blocked:
            ending = Ending(Outcome.BLOCKED, blocked.error_type, str(blocked))
            if not await self._goes_on(step, ending, self._way(step, ending)):
                raise
        while True:
            ending, way = await self._attempt(step)
            if not await self._goes_on(step, ending, way):
                return await self._stand(step, ending)

    async def _goes_on(self, step: Step, ending: Ending, way: Way | None) -> bool:
        """Begin the next attempt, if there is one that the policies let be made."""
        while way is not None:
            if await self._went_on(step, way, ending):
                return True
            step.refused.append(way.accepted)
            way = self._way(step, ending)
        return False

    async def _attempt(self, step: Step) -> tuple[Ending, Way | None]:
        """Make an attempt; give how it ended, and what may follow."""
        ledger = step.ledger
        await ledger.open()
        for each in self.finders:
            self._asked(None, each.began, step)
        request = self._outbound.compose(step.call, step.accepted, ledger)
        step.relay = relay = Relay(step.call.agent, self._pool, ledger, partial(self._keeps, step))  # fmt: skip
        ending = await relay.run(request)
        self._outbound.learn(ledger)
        way = self._way(step, ending)
        if not relay.has_given and relay.kept is None:
            is_told = way is None and step.held is None
            if is_told:
                ledger.exchange.http_status = status_of(ending)
            await ledger.close(ending, stands=is_told)
        return ending, way

    def _keeps(self, step: Step, head: AnswerHead) -> int:
        ledger = step.ledger
        vetted = ledger.vetting.keeps(ledger.ask, head)
        if step.held is not None:
            return vetted if head.status == _FINE else MOST_HELD_BYTES
        found = (self._asked(0, each.keeps, step, head) for each in self.finders)
        return max(vetted, *found, 0)

    def _way(self, step: Step, ending: Ending) -> Way | None:
        ledger, relay = step.ledger, step.relay
        if ledger.wanted is not None and relay is not None and relay.kept is not None:
            if step.refused:
                return None
            return Way(step.accepted, step.call.with_body(ledger.wanted))
        if step.held is not None or (relay is not None and relay.has_given):
            return None
        if ending.outcome in _OURS or step.call.agent.gone:
            return None
        found = (self._asked(None, each.find, step, ending) for each in self.finders)
        return next((each for each in found if each is not None), None)

    def _asked(
        self, otherwise: T, ask: Callable[P, T], *what: P.args, **more: P.kwargs
    ) -> T:
        """Ask a finder; a fault of it is counted, and the agent gets what it would get without it."""
        try:
            return ask(*what, **more)
        except Exception:  # noqa: BLE001  # the guard of the phase judge
            self._desk.fault("judge")
            return otherwise

    async def _went_on(self, step: Step, way: Way, ending: Ending) -> bool:
        """Begin the next attempt, unless the policies refuse it."""
        if way.wait_seconds:
            await self.sleep(way.wait_seconds)
        before, now_ns = step.ledger, self._wall_ns()
        ask = way.ask or before.ask
        opened = self._opened(before.exchange.opened, way, ask, now_ns)
        call = way.call or step.call
        tab = await self._judged(step, way, opened, ask, call, now_ns)
        if tab is not None and tab.is_refused:
            return False
        if before.wanted is not None and step.relay is not None:
            step.held = (step.relay, before)
        trail = before.following.pass_on(opened.ts_us)
        ledger = self._ledgers.begin(call, way.accepted, ask, opened, trail, tab, monotonic())  # fmt: skip
        ledger.exchange.altered += way.altered
        if before.vetting.wanted is not None:
            ledger.vetting.follow(before.vetting)
        ledger.judge(partial(asker_of, call, way.accepted))
        self._ledgers.under_way.discard(before)
        self._ledgers.under_way.add(ledger)
        before.finish(ending)
        step.before.append(step.accepted)
        step.call, step.accepted, step.ledger, step.tab = call, way.accepted, ledger, tab  # fmt: skip
        return True

    def _opened(self, before: Open, way: Way, ask: Ask, now_ns: int) -> Open:
        route, attempt_id = way.accepted.match.route, self._new_id(now_ns)
        return msgspec.structs.replace(
            before,
            attempt_id=attempt_id,
            ts_us=now_ns // 1000,
            attempt=before.attempt + 1,
            retry_layer=BY_PROXY,
            route=route.name,
            provider=route.provider,
            model_requested=ask.model,
            span_id=span_id_of(attempt_id),
        )

    async def _judged(
        self, step: Step, way: Way, opened: Open, ask: Ask, call: Call, now_ns: int
    ) -> Tab | None:
        """Ask the policies whether the attempt may be made; what they say of one that may not is told here."""
        if step.tab is None or self._governor is None:
            return None
        route = way.accepted.match.route
        changed: dict[str, object] = {}
        if way.call is not None:
            body = call.readable_body()
            changed = {"body": body, "size": len(body or b"") or call.agent.content_length or 0}  # fmt: skip
        tab = step.tab.again(
            route=route.name, provider=route.provider, origin=route.base.origin(), ask=ask, ts_us=now_ns // 1000, **changed,
        )  # fmt: skip
        # Where the first attempt was refused, its step counts here.
        await self._governor.ask(tab, opened, is_first=step.relay is None and opened.attempt == 1)  # fmt: skip
        if tab.is_refused:
            self._desk.tell(self._desk.judged, tab, opened)
        return tab

    async def _stand(self, step: Step, ending: Ending) -> Ending:
        """Give the agent what is still kept from it, since no other attempt follows."""
        relay, held = step.relay, step.held
        assert relay is not None
        if held is not None and not (relay.has_given or step.ledger.vetting.stands_in):
            step.ledger.stand(held[1])
            judging = step.ledger.judging
            judging.refusal = judging.refusal or held[1].judging.refusal
            if judging.refusal is None:
                await held[0].give()
            return ending
        step.ledger.stand()
        is_refused = step.ledger.judging.refusal is not None
        return ending if relay.kept is None or is_refused else await relay.give()


_FINE = 200
_OURS = (Outcome.PROXY_ERROR, Outcome.CLIENT_ABORT)
