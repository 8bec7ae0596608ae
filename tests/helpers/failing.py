"""A provider that fails first, and then answers.

What lives here: a raw origin's handler that goes wrong as often as it is told, and good answers: of a simulated provider behind it, or
recorded ones. What does not: clients, expectations.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable

from proxy.simulate.server import Provider
from tests.helpers.origin import Exchange
from tests.helpers.replay import Framing, Playback, Tape
from tests.helpers.simulated import Raw, call
from tests.helpers.wire import response

CUT, HANG = "cut", "hang"
Fault = int | str
"""A status, or `CUT`: the connection ends before the answer; or `HANG`: there is no answer."""
Answer = Callable[[Exchange], Awaitable[list[bytes]]]
_REASONS = {429: b"Too Many Requests", 503: b"Service Unavailable", 529: b"Overloaded"}
_SOON = ((b"retry-after", b"1"), (b"retry-after-ms", b"1"))
"""As providers say it; the second keeps SDKs that know it from sleeping for a second."""


class Failing:
    """The handler of a `RawOrigin`."""

    def __init__(self, answer: Answer) -> None:
        self.faults: list[Fault] = []
        """What is still to go wrong, one request each."""
        self.answer = answer

    async def __call__(self, exchange: Exchange) -> None:
        if not self.faults:
            for piece in await self.answer(exchange):
                await exchange.send(piece)
            return
        fault = self.faults.pop(0)
        if isinstance(fault, int):
            await exchange.send(_refusal(fault))
        elif fault == CUT:
            exchange.close()
        else:
            await exchange.gone()


def _refusal(status: int) -> bytes:
    """Say no in words that the SDKs of all providers can read."""
    said = {"type": "some_error", "message": f"this is a {status}", "code": status}
    body = json.dumps({"type": "error", "error": said, "message": "no"}).encode()
    kind = (b"content-type", b"application/json")
    after = _SOON if status == 429 else _SOON[1:]
    return response(body, kind, *after, status=b"%d %b" % (status, _REASONS[status]))


def simulated_behind(provider: Provider) -> Answer:
    """Answer as a simulated provider does; what stands before `/v1` in a path is not for it."""

    async def answer(exchange: Exchange) -> list[bytes]:
        target = exchange.request.target.decode()
        path = target[target.index("/v1") :]
        said: Raw = await asyncio.to_thread(
            call, provider.url, path, exchange.request.body
        )
        kind = (b"content-type", said.headers["content-type"].encode())
        return [response(said.body, kind, status=b"%d Simulated" % said.status)]

    return answer


def recorded(whole: Tape, streamed: Tape) -> Answer:
    """Answer what was recorded, streamed where the request asks for that by its path or body."""

    async def answer(exchange: Exchange) -> list[bytes]:
        asked = json.loads(exchange.request.body)
        wants = asked.get("stream") or b"-stream" in exchange.request.target
        tape = streamed if wants else whole
        return list(Playback(tape, framing=Framing.CHUNKED).pieces())

    return answer
