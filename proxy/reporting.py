"""Reports of how a run went: checked, written down as an event, answered here.

What lives here: from a report's target to the event in the spool and the 202. What does not: reading target and body
(`accept/reports.py`), which of several reports counts (SQL: the newest).

A report by an answer's id is written with the run's, where that lives and the answer is one of its newest: then it is in the `run_end`,
too. Where not, SQL finds the run among the rows.

The event has the reporter's tenant, and `(tenant, run_id)` names a run: whoever reports for a run of another tenant reports for a run
that does not exist. A client key decides the tenant as it does for calls.
"""

import msgspec

from proxy.accept.refusal import Refusal
from proxy.accept.reports import (
    MAX_REPORT_BYTES,
    Report,
    ReportTarget,
    read_report,
    too_large,
)
from proxy.admission import Identifier
from proxy.arriving import NO_ASK, Request
from proxy.call import Call
from proxy.desk import Desk
from proxy.forward.agent import Agent
from proxy.forward.failures import (
    AgentGoneError,
    BodyMalformedError,
    BodyTimeoutError,
)
from proxy.model import Client, ErrorType
from proxy.record.codec import Event, Open, encode
from proxy.runs import OUTCOME

EVENT_TYPE = OUTCOME
SOURCE = "reported"
_JSON = (b"Content-Type", b"application/json")
_NOT_RECORDED = Refusal(
    503,
    "not_recorded",
    ErrorType.DISK,
    "the report could not be written down; see why with: tacho status, and send it again",
    (("Retry-After", "1"),),
)

_FAULT = Refusal(500, "fault", ErrorType.INTERNAL, "the proxy failed; send it again")


class Reporting:
    """Takes reports; one for a worker."""

    def __init__(self, desk: Desk, identifier: Identifier) -> None:
        self._desk = desk
        self._identifier = identifier

    async def take(self, call: Call, target: ReportTarget) -> Refusal | None:
        """Answer 202 once the report is written; else say why not. An agent that left is told nothing. Never raises."""
        try:
            return await self._take(call, target)
        except AgentGoneError:
            return None
        except Exception:  # noqa: BLE001  # the guard of the phase record: whatever it is, the reporter is answered
            self._desk.fault("record")
            return _FAULT

    async def _take(self, call: Call, target: ReportTarget) -> Refusal | None:
        client = call.snapshot.clients.reporter(call.headers)
        if isinstance(client, Refusal):
            return client
        body = await _read(call.agent)
        report = body if isinstance(body, Refusal) else read_report(target, body)
        if isinstance(report, Refusal):
            return report
        named = self._named(call, target, client)
        run_id = named.run_id
        if report.response_id:
            run_id = await self._run_of(named.tenant, report.response_id)
        event = self._event(report, named, run_id, call.ts_ns)
        self._desk.noted(event)
        if not await self._desk.spool.append_wait((encode(event),)):
            return _NOT_RECORDED
        call.agent.answer(202, b"Accepted", [_JSON], _answer(event, report))
        return None

    async def _run_of(self, tenant: str, response_id: str) -> str:
        """Give the run of an answer; empty where none is known, or nobody can be asked."""
        try:
            return await self._identifier.recognizer.run_of_answer(tenant, response_id)
        except Exception:  # noqa: BLE001  # the guard of the phase identify
            self._desk.fault("identify")
            return ""

    def _named(self, call: Call, target: ReportTarget, client: Client) -> Open:
        """Resolve tenant, agent and run as for a call; it is no step of anything."""
        request = Request(
            call.headers,
            "",
            client,
            "",
            "",
            "",
            b"",
            NO_ASK,
            0,
            target.tenant,
            target.agent,
            target.run,
        )
        return self._identifier.unremembered(request, call.ts_ns)

    def _event(self, report: Report, named: Open, run_id: str, ts_ns: int) -> Event:
        said = {"reason": report.reason, "response_id": report.response_id}
        detail = {name: text for name, text in said.items() if text}
        return Event(
            event_id=self._desk.new_id(),
            ts_us=ts_ns // 1000,
            type=EVENT_TYPE,
            tenant=named.tenant,
            agent=named.agent,
            run_id=run_id,
            reason=report.outcome,
            source=SOURCE,
            value="" if report.value is None else repr(report.value),
            detail=msgspec.json.encode(detail).decode() if detail else "",
        )


async def _read(agent: Agent) -> bytes | Refusal:
    """Read the body, up to the limit; raise `AgentGoneError`."""
    if (agent.content_length or 0) > MAX_REPORT_BYTES:
        return too_large()
    agent.ask_for_body()
    body = b""
    try:
        while piece := await agent.read_body():
            body += piece
            if len(body) > MAX_REPORT_BYTES:
                return too_large()
    except BodyTimeoutError as error:
        return Refusal(408, "bad_report", ErrorType.BODY_TIMEOUT, str(error))
    except BodyMalformedError as error:
        return Refusal(400, "bad_report", ErrorType.INVALID_REQUEST, str(error))
    return body


def _answer(event: Event, report: Report) -> bytes:
    about = {"response_id": report.response_id} if report.response_id else {}
    if event.run_id:
        about["run"] = event.run_id
    said = {**about, "outcome": report.outcome, "event_id": event.event_id}
    return msgspec.json.encode(said)
