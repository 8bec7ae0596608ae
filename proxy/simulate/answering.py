"""Answers questions over HTTP: whole or streamed, with the provider's headers, as faults let them.

What lives here: making responses, and noting what was answered. What does not: what is answered (`engine.py`), which path
is what (`routes.py`), sockets (`server.py`).
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from aiohttp import web

from proxy.simulate import headers
from proxy.simulate.bodies import caller
from proxy.simulate.engine import Engine, Performance
from proxy.simulate.families.family import Family, dump
from proxy.simulate.ids import hexadecimal
from proxy.simulate.plan import Fault
from proxy.simulate.question import Event, Exchange, Question, Refusal
from proxy.simulate.sending import Pacer, cut, hang, stream

MAX_SEEN = 10_000
_EVENTS = "text/event-stream"
_MESSAGES = {
    400: "The request was refused, as its plan says.",
    401: "Incorrect API key provided.",
    403: "The key may not do this.",
    404: "There is no such model.",
    429: "Rate limit reached: too many tokens per minute. Please try again later.",
    503: "The server is overloaded or not ready yet.",
    529: "Overloaded",
}
_USUAL_MESSAGE = "The server had an error while processing your request."


@dataclass(frozen=True, slots=True)
class Seen:
    """One request for an answer, for those who drive the provider and want to know."""

    family: str
    model: str
    stream: bool
    status: int
    step: int
    fault: str
    """What went wrong, or empty."""


@dataclass(slots=True)
class Answering:
    """Answers for one provider."""

    engine: Engine
    seen: deque[Seen] = field(default_factory=lambda: deque(maxlen=MAX_SEEN))

    async def answer(
        self,
        request: web.Request,
        family: Family,
        question: Question,
        keep: Callable[[Exchange], None] | None = None,
    ) -> web.StreamResponse:
        """Answer a question, and hand what was answered to `keep` before it is sent; raise `UnacceptableError`."""
        performance = self.engine.perform(family, question, caller(request))
        fault = performance.fault
        status = fault.status if fault and fault.kind == "fail" else 200
        if fault and fault.kind == "error" and not question.stream:
            status = 500
        kind = fault.kind if fault else ""
        self.seen.append(
            Seen(
                family.name,
                question.model,
                question.stream,
                status,
                performance.step,
                kind,
            )
        )
        pacer = Pacer(self.engine.settings.pace, performance.dice)
        if status != 200:
            await pacer.begin(performance.exchange.bill, performance.slow_seconds)
            return self.refuse(request, family, _refusal(status, fault))
        if kind == "hang":
            await hang()
        if keep and not fault:
            keep(performance.exchange)
        if question.stream:
            return await self._stream(request, family, performance, pacer)
        return await self._whole(request, family, performance, pacer)

    async def _whole(
        self,
        request: web.Request,
        family: Family,
        performance: Performance,
        pacer: Pacer,
    ) -> web.StreamResponse:
        exchange = performance.exchange
        await pacer.begin(exchange.bill, performance.slow_seconds)
        await pacer.make(exchange.bill.output)
        body = dump(family.whole(exchange))
        response = web.Response(body=body, headers=self.headers(family, performance))
        response.headers["content-type"] = family.content_type
        if performance.fault is None:
            return response
        broken = web.StreamResponse(headers=response.headers)
        await cut(request, broken, body)
        return broken

    async def _stream(
        self,
        request: web.Request,
        family: Family,
        performance: Performance,
        pacer: Pacer,
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=self.headers(family, performance))
        response.headers["content-type"] = (
            f"{_EVENTS}; charset=utf-8" if family.name != "gemini" else _EVENTS
        )
        response.headers["cache-control"] = "no-cache"
        events = family.events(performance.exchange)
        if family.name == "gemini" and request.query.get("alt") != "sse":
            events, response.headers["content-type"] = (
                _as_array(events),
                family.content_type,
            )
        failed = family.error_event(_refusal(500, None), self.request_id(family))
        await pacer.begin(performance.exchange.bill, performance.slow_seconds)
        await stream(request, response, events, pacer, performance.fault, failed)
        return response

    # Refusals and headers

    def refuse(
        self, request: web.Request, family: Family, refusal: Refusal
    ) -> web.Response:
        """Answer with an error in the family's shape."""
        request_id = self.request_id(family)
        body = family.refusal(refusal, request_id)
        found = self._headers(family, request_id, 0.0)
        if refusal.retry_after_seconds is not None:
            found["retry-after"] = f"{refusal.retry_after_seconds:g}"
        if family.name == "anthropic_messages" and refusal.status < 429:
            found["x-should-retry"] = "false"
        response = web.Response(body=dump(body), status=refusal.status, headers=found)
        response.headers["content-type"] = family.content_type
        return response

    def request_id(self, family: Family) -> str:
        """Give an id in the provider's form."""
        ending = self.engine.next_id()
        return (
            f"req_011C{ending[:20]}"
            if family.name == "anthropic_messages"
            else f"req_{hexadecimal(ending)[:32]}"
        )

    def headers(self, family: Family, performance: Performance) -> dict[str, str]:
        """Give the headers of an answer."""
        seconds = self.engine.settings.pace.first_token_seconds
        return self._headers(family, self.request_id(family), seconds)

    def _headers(
        self, family: Family, request_id: str, seconds: float
    ) -> dict[str, str]:
        limits = self.engine.limits(family.name)
        if family.name == "anthropic_messages":
            return headers.anthropic(limits, request_id, self.engine.unix())
        if family.name == "gemini":
            return headers.gemini(seconds)
        return headers.openai(limits, request_id, seconds)


def _refusal(status: int, fault: Fault | None) -> Refusal:
    message = _MESSAGES.get(status, _USUAL_MESSAGE)
    if fault is None:
        return Refusal(status, message)
    return Refusal(status, message, fault.quota, None, fault.retry_after_seconds)


def _as_array(events: Iterator[Event]) -> Iterator[Event]:
    """Give Google's stream without `alt=sse`: one JSON array, element by element."""
    sign = b"["
    for event in events:
        data = event.chunk.removeprefix(b"data: ").strip()
        yield replace(event, chunk=sign + data)
        sign = b",\r\n"
    yield replace(event, chunk=b"]", tokens=0)
