"""The data port: aiohttp's low-level server, set up for a proxy.

What lives here: listening, limits, drain. What does not: a connection (`connection.py`), a request (`agent.py`). These three
files alone use aiohttp's server on the data port. aiohttp parses requests (with its C parser, strictly) and keeps
connections. It has defaults that a proxy must not have; each is set here or in `connection.py` and pinned by
`tests/end_to_end/test_aiohttp_defaults.py`.

Not possible with aiohttp, and so documented: interim answers (1xx) other than 100 and trailers are not relayed, in either
direction.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiohttp import web
from aiohttp.web_exceptions import HTTPException

from proxy.forward.agent import Agent, PortLimits
from proxy.forward.connection import AgentConnection

_READ_BUFFER_BYTES = 64 << 10
_LINGER_SECONDS = 2.0
_CUT_SECONDS = 0.1
"""How long a handler whose time is over may take to write its record."""
LISTENERS = 16
"""Copies of the listening socket: an event loop accepts one connection a turn and listener."""


Handler = Callable[[Agent], Awaitable[None]]


class DataPort:
    """The listening side: hands each request to `handler` as an `Agent`."""

    def __init__(
        self,
        handler: Handler,
        limits: PortLimits,
        count_malformed: Callable[[str], None],
    ) -> None:
        """`count_malformed` gets the reason of each refusal that aiohttp makes before the handler is asked."""
        self.limits = limits
        self.count_malformed = count_malformed
        self._handler = handler
        self._agents: dict[Agent, asyncio.Task[Any] | None] = {}
        self._draining = False
        self._left = asyncio.Event()
        self._listeners: list[asyncio.Server] = []
        self._server: web.Server | None = None

    def _connection(self) -> AgentConnection:
        limits = self.limits
        assert self._server is not None
        return AgentConnection(
            self._server,
            limits.max_header_bytes,
            self.count_malformed,
            loop=asyncio.get_running_loop(),
            access_log=cast(Any, None),
            keepalive_timeout=limits.keepalive_seconds,
            auto_decompress=False,
            max_line_size=limits.max_header_line_bytes,
            max_field_size=limits.max_header_line_bytes,
            max_headers=limits.max_headers,
            read_bufsize=_READ_BUFFER_BYTES,
            lingering_time=_LINGER_SECONDS,
            tcp_keepalive=True,
        )

    async def listen(self, sockets: list[socket.socket], tls: Any = None) -> None:
        """Accept on the sockets, each duplicated `LISTENERS` times."""
        loop = asyncio.get_running_loop()
        self._server = web.Server(self._handle, handler_cancellation=True)
        for sock in sockets:
            for _ in range(LISTENERS):
                copy = sock.dup()
                copy.setblocking(False)
                self._listeners.append(
                    await loop.create_server(
                        self._connection, sock=copy, ssl=tls, backlog=4096
                    )
                )

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        agent = Agent(request, self.limits)
        agent.draining = self._draining
        self._agents[agent] = asyncio.current_task()
        try:
            await self._handler(agent)
        except HTTPException:
            raise AssertionError("the pipeline answers by itself") from None
        finally:
            if agent.started and not agent.finished:
                agent.cut()
            del self._agents[agent]
            self._left.set()
        return agent.response()

    @property
    def inflight(self) -> int:
        """Requests under way."""
        return len(self._agents)

    async def drain(self, seconds: float) -> None:
        """Stop accepting, let requests that have an end come to it for at most `seconds`, then cut what is left."""
        self._draining = True
        for agent in self._agents:
            agent.draining = True
        for listener in self._listeners:
            listener.close()
        if self._server is None:
            return
        self._server.pre_shutdown()
        try:
            async with asyncio.timeout(seconds):
                while not all(agent.endless() for agent in self._agents):
                    self._left.clear()
                    await self._left.wait()
        except TimeoutError:
            pass
        finally:  # also when the drain itself is cut short
            for agent, task in self._agents.items():
                agent.overdue = True
                if (
                    task is not None
                ):  # before aiohttp does: it closes the connection first, and nobody can be told
                    task.cancel()
        await self._server.shutdown(_CUT_SECONDS)
