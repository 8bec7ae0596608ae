"""The bytes of an upgraded connection, both ways, unread.

What lives here: copying, flow control and half-close after a 101. What does not: the handshake (an ordinary exchange), and
any knowledge of WebSocket frames: what such a connection spends is unmetered.
"""

import asyncio
import contextlib
from collections.abc import Callable

from proxy.forward.agent import Agent
from proxy.forward.connection import AgentConnection
from proxy.forward.headers import write_head
from proxy.forward.http1 import AnswerHead
from proxy.forward.upstream import UpstreamConnection


class _Halves:
    """Which directions are still open."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.half_over = asyncio.Event()
        self._agent_open = self._upstream_open = True

    def agent_ended(self) -> None:
        self._agent_open = False
        self._check()

    def upstream_ended(self) -> None:
        self._upstream_open = False
        self._check()

    def _check(self) -> None:
        self.half_over.set()
        if not (self._agent_open or self._upstream_open):
            self.over.set()


async def tunnel(
    agent: Agent,
    connection: UpstreamConnection,
    head: AnswerHead,
    count: Callable[[int, int], None],
    half_closed_seconds: float | None,
) -> None:
    """Pass the upstream's 101 on, then everything, until both sides have ended, or one has for `half_closed_seconds`.

    `count` is told of bytes from the agent and from the upstream. An agent that disappears cancels the caller. The
    upstream's head goes to the agent as it came.
    """
    halves = _Halves()

    def from_agent(data: bytes) -> None:
        count(len(data), 0)
        connection.write(data)

    def agent_ended() -> None:
        connection.write_eof()
        halves.agent_ended()

    def from_upstream(data: bytes) -> None:
        count(0, len(data))
        agent.write_raw(data)

    def upstream_ended() -> None:
        agent.write_eof()
        halves.upstream_ended()
        if not connection.alive:
            halves.over.set()

    agent.write_raw(write_head(b"HTTP/1.1 101 %b" % head.reason, head.headers))
    if surplus := connection.surplus:
        from_upstream(surplus)
    connection.tunnel, connection.tunnel_eof = from_upstream, upstream_ended
    _couple(agent.tunnel(from_agent, agent_ended), connection)
    if not connection.alive or connection.ended:
        upstream_ended()
    await halves.half_over.wait()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(half_closed_seconds):
            await halves.over.wait()


def _couple(agent: AgentConnection, upstream: UpstreamConnection) -> None:
    """Make each side wait while the other does not read."""
    upstream.on_writable = lambda writable: (
        agent.resume_reading() if writable else agent.pause_reading()
    )
    agent.writable_changed = lambda writable: (
        upstream.resume_reading() if writable else upstream.pause_reading()
    )
