"""The seven phases of a request, in order: accept, identify, judge, forward, meter, record; export is another process.

What lives here: which phase comes when, and that the agent is told when one ends the request. What does not: how a phase
works, what is said (`denials.py`). `judge` happens while a run is looked up (`govern/`), `meter` and `record` while bytes pass (`ledger.py`).
"""

import asyncio
from collections.abc import Callable
from random import random
from time import monotonic, monotonic_ns

import msgspec

from proxy.accept.refusal import Refusal
from proxy.accept.reports import ReportTarget, read_target
from proxy.accept.signing import signer_for
from proxy.admission import Identifier, answer_headers
from proxy.arriving import NO_ASK, Request
from proxy.attempting import Attempting, Step
from proxy.bodies import Bodies
from proxy.call import Accepted, Call, Snapshot
from proxy.denials import FULL, NO_WEBSOCKET, refuse_head, status_of
from proxy.desk import Desk
from proxy.fallbacks import Fallbacks
from proxy.forward.agent import Agent
from proxy.forward.failures import (
    AgentGoneError,
    BodyTimeoutError,
    RefusedError,
)
from proxy.forward.pool import Pool
from proxy.forward.refusals import give, refuse
from proxy.forward.watch import Ending
from proxy.judge.retries import Budgets
from proxy.ledger import Ledger
from proxy.ledgers import Ledgers
from proxy.meter.dialects import PLAIN_HTTP, recognise
from proxy.model import Ask, ErrorType, Outcome
from proxy.outbound import Outbound
from proxy.prompt_changes import PROMPT_CHANGE, detail_of
from proxy.reporting import Reporting
from proxy.retrying import Retries


class Pipeline:
    """Takes each request through the phases; one for a worker."""

    def __init__(
        self,
        snapshot: Snapshot,
        desk: Desk,
        identifier: Identifier,
        pool: Pool,
        outbound: Outbound,
        wall_ns: Callable[[], int],
    ) -> None:
        """`wall_ns` is the wall clock, in nanoseconds since the epoch."""
        self.snapshot = snapshot
        self._desk = desk
        self._identifier = identifier
        self._reporting = Reporting(desk, identifier)
        self._wall_ns = wall_ns
        self._ledgers = Ledgers(desk)
        self._bodies = Bodies()
        budgets = Budgets(lambda: monotonic_ns() // 1000)
        finders = (Fallbacks(), Retries(budgets, wall_ns, random))
        self.attempting = Attempting(
            desk, self._ledgers, outbound, pool, identifier.governor, identifier.new_id, wall_ns, finders
        )  # fmt: skip

    def under_way(self) -> list[Ledger]:
        """Give the calls that have not ended."""
        return list(self._ledgers.under_way)

    async def handle(self, agent: Agent) -> None:
        """Serve one request; every way out leaves one exchange in the record."""
        call = Call(agent, self.snapshot, monotonic(), self._wall_ns())
        accepted = self._accept(call)
        if isinstance(accepted, ReportTarget):
            return await self._take_report(call, accepted)
        if isinstance(accepted, Refusal):
            return await self._turn_away(call, accepted)
        ending = Ending(Outcome.PROXY_ERROR, ErrorType.INTERNAL, "the proxy failed")
        step = None
        try:
            await self._bodies.read(call, accepted)
            step = await self._identify(call, accepted)
            self._ledgers.under_way.add(step.ledger)
            ending = await self.attempting.run(step)
        except asyncio.CancelledError:
            ending = _DRAINED if agent.overdue else _LEFT
            raise
        except AgentGoneError:
            ending = _LEFT
        except BodyTimeoutError as error:
            ending = Ending(Outcome.CLIENT_ABORT, ErrorType.BODY_TIMEOUT, str(error))
        except RefusedError as error:
            ending = Ending(Outcome.BLOCKED, error.error_type, str(error))
        except Exception:  # noqa: BLE001  # the guard of the phase forward: whatever it is, the agent is answered
            self._desk.fault("forward")
        finally:
            self._finish(call, accepted, step.ledger if step else None, ending)

    # accept

    def _accept(self, call: Call) -> Accepted | ReportTarget | Refusal:
        agent, snapshot = call.agent, call.snapshot
        refusal = refuse_head(agent)
        if refusal is not None:
            agent.close_after()
            return refusal
        method = agent.method.decode("ascii")
        report = read_target(method, agent.target)
        if report is not None:
            return report
        match = snapshot.routes.match(method, agent.target, call.headers)
        if isinstance(match, Refusal):
            return match
        admission = snapshot.clients.admit(call.headers, match.query, match.route)
        if isinstance(admission, Refusal):
            return admission
        upgrade = (agent.get(b"upgrade") or b"").lower() == b"websocket"
        if upgrade and not match.route.websocket:
            return NO_WEBSOCKET
        if len(self._ledgers) >= snapshot.max_inflight:
            return FULL
        route = match.route
        dialect, operation = recognise(
            route.kind, route.dialect, method, match.upstream_path, upgrade=upgrade
        )
        own = snapshot.signers.get(route.name)
        signer = signer_for(route, own, call.headers, admission)
        if isinstance(signer, Refusal):
            return signer
        return Accepted(match, admission, dialect, operation, upgrade, signer)

    # identify

    async def _identify(self, call: Call, accepted: Accepted) -> Step:
        body = call.readable_body()
        ask = self._read_request(accepted, body)
        request = self._request(call, accepted, ask, body)
        opened, trail, before, tab = await self._identifier.identify(request, call.ts_ns)  # fmt: skip
        ledger = self._ledgers.begin(call, accepted, request.ask, opened, trail, tab)
        if before is not None and opened.prompt_hash is not None:
            ledger.note(PROMPT_CHANGE, detail=detail_of(before, opened.prompt_hash))
        return Step(call, accepted, ledger, tab)

    def _came_to_nothing(self, call: Call, accepted: Accepted) -> Ledger:
        """Give the account of a call whose body never came whole, or whose agent left before: what its head says."""
        ask = self._read_request(accepted, None)
        request = self._request(call, accepted, ask, None)
        opened = self._identifier.unremembered(request, call.ts_ns)
        return self._ledgers.begin(call, accepted, request.ask, opened, None)

    def _request(
        self, call: Call, accepted: Accepted, ask: Ask, body: bytes | None
    ) -> Request:
        match = accepted.match
        if accepted.dialect is PLAIN_HTTP:
            ask = msgspec.structs.replace(ask, kind=match.route.kind)
        return Request(
            headers=call.headers,
            method=call.agent.method.decode("ascii"),
            client=accepted.admission.client,
            route=match.route.name,
            provider=match.route.provider,
            upstream_path=match.upstream_path,
            query=match.query,
            ask=ask,
            inflight=len(self._ledgers),
            tenant=match.tenant,
            agent=match.agent,
            run=match.run,
            ignored=match.ignored,
            body=body,
            size=call.agent.content_length or 0,
            origin=match.route.base.origin(),
            peer=call.agent.peer,
        )

    def _read_request(self, accepted: Accepted, body: bytes | None) -> Ask:
        try:
            return accepted.dialect.read_request(accepted.operation, body)
        except Exception:  # noqa: BLE001  # the guard of the phase meter: the request goes on unread
            self._desk.fault("meter")
            name, operation = accepted.dialect.name, accepted.operation
            return Ask(name, operation.name, operation.kind, operation.is_step)

    # the ways out

    async def _take_report(self, call: Call, target: ReportTarget) -> None:
        refusal = await self._reporting.take(call, target)
        if refusal is not None:
            await self._turn_away(call, refusal)

    async def _turn_away(self, call: Call, refusal: Refusal) -> None:
        opened = self._identifier.refused(call.headers, len(self._ledgers), call.ts_ns)
        ledger = Ledger(self._desk, opened, call.began, NO_ASK, PLAIN_HTTP)
        ledger.never_sent(refusal.status)
        # All records at once: a checkpoint between two of them would leave the refusal uncounted after a crash.
        ledger.finish(Ending(Outcome.BLOCKED, refusal.error_type))
        await ledger.written()
        refuse(
            call.agent,
            refusal.status,
            refusal.code,
            refusal.error_type,
            refusal.message,
            refusal.headers,
            refusal.routes,
        )

    def _finish(
        self, call: Call, accepted: Accepted, ledger: Ledger | None, ending: Ending
    ) -> None:
        """Write what is missing of the record; an agent that waits is then told what went wrong."""
        self._bodies.release(call)
        agent = call.agent
        untold = not (agent.started or agent.gone)
        status = status_of(ending)
        if ledger is None:
            ledger = self._came_to_nothing(call, accepted)
            ledger.never_sent(status if untold else None)
        elif (
            untold and ledger.exchange.closed is None and ledger.judging.refusal is None
        ):
            ledger.exchange.http_status = status
        self._ledgers.under_way.discard(ledger)
        ledger.finish(ending)
        if untold and ledger.judging.refusal is not None:
            give(
                agent,
                ledger.judging.refusal,
                (self._desk.response_headers and answer_headers(ledger.exchange.opened))
                or (),
            )
        elif untold:
            refuse(
                agent,
                status,
                ending.error_type or "aborted",
                ending.error_type or "aborted",
                ending.message,
            )


_LEFT = Ending(Outcome.CLIENT_ABORT)
_DRAINED = Ending(Outcome.PROXY_ERROR, ErrorType.DRAINING, "the proxy is stopping")
