"""The bytes of an upgraded connection, both ways, unread.

What lives here: copying, flow control and half-close after a 101. What does not: the handshake (an ordinary exchange), and
any knowledge of WebSocket frames: what such a connection spends is unmetered.
"""

import asyncio

from proxy.forward.agent import Agent
from proxy.forward.headers import write_head
from proxy.forward.http1 import AnswerHead
from proxy.forward.upstream import UpstreamConnection


class _Halves:
    """Which directions are still open."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self._agent_open = self._upstream_open = True

    def agent_ended(self) -> None:
        self._agent_open = False
        self._check()

    def upstream_ended(self) -> None:
        self._upstream_open = False
        self._check()

    def _check(self) -> None:
        if not (self._agent_open or self._upstream_open):
            self.over.set()


async def tunnel(
    agent: Agent, connection: UpstreamConnection, head: AnswerHead
) -> tuple[int, int]:
    """Pass the upstream's 101 on, then everything, until both sides have ended; gives the bytes each way.

    An agent that disappears cancels the caller. The upstream's head goes to the agent as it came.
    """
    halves = _Halves()
    counts = [0, 0]

    def from_agent(data: bytes) -> None:
        counts[0] += len(data)
        connection.write(data)

    def agent_ended() -> None:
        connection.write_eof()
        halves.agent_ended()

    def from_upstream(data: bytes) -> None:
        counts[1] += len(data)
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
    protocol = agent.tunnel(from_agent, agent_ended)
    connection.on_writable = lambda writable: (
        protocol.resume_reading() if writable else protocol.pause_reading()
    )
    protocol.writable_changed = lambda writable: (
        connection.resume_reading() if writable else connection.pause_reading()
    )
    if not connection.alive or connection.ended:
        upstream_ended()
    await halves.over.wait()
    return counts[0], counts[1]
