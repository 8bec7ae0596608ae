"""The data port alone, in front of a handler of the test's own.

What lives here: a listening `DataPort` and a client on it. What does not: a pipeline, records, an upstream.
"""

import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from proxy.forward.agent import Agent, PortLimits
from proxy.forward.server import DataPort, Handler
from tests.helpers.client import RawClient
from tests.helpers.proxy import listening_socket

LIMITS = PortLimits(
    max_header_line_bytes=4096,
    max_header_bytes=8192,
    max_headers=32,
    keepalive_seconds=60.0,
    body_idle_seconds=60.0,
    write_stall_seconds=60.0,
)


class Port:
    """A data port that listens; `malformed` counts what it refused by itself."""

    def __init__(self, handler: Handler, limits: PortLimits) -> None:
        self.malformed: Counter[str] = Counter()
        self.port = DataPort(handler, limits, lambda reason: self._count(reason))
        self.number = 0

    def _count(self, reason: str) -> None:
        self.malformed[reason] += 1

    async def connect(self, receive_buffer: int | None = None) -> RawClient:
        limit = 4 << 20 if receive_buffer is None else receive_buffer
        return await RawClient.connect(
            self.number, receive_buffer=receive_buffer, limit=limit
        )


@asynccontextmanager
async def serving(
    handler: Handler, *, tls: ssl.SSLContext | None = None, **limits: Any
) -> AsyncIterator[Port]:
    """Listen with `LIMITS`, changed as told; leaving drains without patience."""
    made = Port(handler, replace(LIMITS, **limits))
    with listening_socket() as listener:
        await made.port.listen([listener], tls)
        made.number = listener.getsockname()[1]
        try:
            yield made
        finally:
            await made.port.drain(0)


async def reply(agent: Agent, body: bytes = b"ok") -> None:
    """Answer 200 as the proxy answers by itself."""
    agent.answer(200, b"OK", [], body)
