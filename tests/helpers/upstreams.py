"""Connections to an origin as the relay has them: taken from a pool, without an agent.

What lives here: limits, a pool, one exchange on a connection. What does not: an agent, a watch.
"""

from dataclasses import replace
from typing import Any

from proxy.forward.connect import Connector
from proxy.forward.origin import Limits, Origin
from proxy.forward.pool import Pool
from proxy.forward.upstream import UpstreamConnection
from tests.helpers.origin import RawOrigin

LIMITS = Limits(
    connect_seconds=60.0,
    first_byte_seconds=60.0,
    idle_seconds=60.0,
    max_head_bytes=4096,
)


def limits(**changes: Any) -> Limits:
    return replace(LIMITS, **changes)


def address(origin: RawOrigin) -> Origin:
    return Origin("127.0.0.1", origin.port, tls=False)


def make_pool(keepalive_seconds: float = 60.0) -> Pool:
    return Pool(Connector(), keepalive_seconds)


async def asked(
    pool: Pool, origin: RawOrigin, target: bytes = b"/x", **options: Any
) -> UpstreamConnection:
    """Take a connection and send a whole request on it."""
    connection, _ = await pool.take(address(origin), LIMITS)
    connection.begin(b"GET", LIMITS, **options)
    connection.write(b"GET " + target + b" HTTP/1.1\r\nHost: h\r\n\r\n")
    connection.request_sent = True
    return connection


async def whole(connection: UpstreamConnection) -> bytes:
    """Read the answer's body to its end."""
    await connection.head(60.0)
    body = b""
    while piece := await connection.read(60.0):
        body += piece
    return body
