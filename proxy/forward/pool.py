"""Connections to providers that wait for their next exchange."""

import asyncio
import socket
import ssl
from collections import deque
from time import monotonic

from proxy.forward.connect import Connector
from proxy.forward.failures import UpstreamError
from proxy.forward.origin import Limits, Origin
from proxy.forward.upstream import UpstreamConnection
from proxy.model import ErrorType


class Pool:
    """Idle connections by origin; the latest used goes first, and none older than the limit is used."""

    def __init__(self, connector: Connector, keepalive_seconds: float) -> None:
        """Keep connections for `keepalive_seconds`; it must be below what upstreams keep."""
        self._connector = connector
        self._keepalive = keepalive_seconds
        self._idle: dict[Origin, deque[UpstreamConnection]] = {}

    async def take(
        self, origin: Origin, limits: Limits
    ) -> tuple[UpstreamConnection, float | None]:
        """Give an idle or a new connection, and the seconds that connecting took (`None` if reused)."""
        idle = self._idle.get(origin)
        oldest = monotonic() - self._keepalive
        while idle:
            connection = idle.pop()
            if connection.alive and connection.idle_since >= oldest:
                return connection, None
            connection.abort()
        began = monotonic()
        connection = UpstreamConnection(origin)
        try:
            async with asyncio.timeout(limits.connect_seconds):
                await self._connector.connect(origin, lambda: connection)
        except TimeoutError as error:
            connection.abort()
            raise UpstreamError(
                ErrorType.CONNECT_TIMEOUT,
                f"connecting to {origin.host}:{origin.port} took longer than {limits.connect_seconds:g} s",
            ) from error
        except OSError as error:
            connection.abort()
            raise _connect_error(origin, error) from error
        return connection, monotonic() - began

    def give_back(self, connection: UpstreamConnection) -> None:
        """Keep a connection whose exchange is over, or drop it when it is not fit for another."""
        if not connection.reusable:
            connection.abort()
            return
        connection.rest(monotonic())
        self._idle.setdefault(connection.origin, deque()).append(connection)

    def sweep(self) -> None:
        """Drop what has been idle for too long, and what the other side has closed."""
        oldest = monotonic() - self._keepalive
        for origin, idle in list(self._idle.items()):
            kept: deque[UpstreamConnection] = deque()
            for connection in idle:
                if connection.alive and connection.idle_since >= oldest:
                    kept.append(connection)
                else:
                    connection.abort()
            self._idle[origin] = kept
            if not kept:
                del self._idle[origin]

    def close(self) -> None:
        """Drop all idle connections."""
        for idle in self._idle.values():
            for connection in idle:
                connection.abort()
        self._idle.clear()


def _connect_error(origin: Origin, error: OSError) -> UpstreamError:
    where = f"{origin.host}:{origin.port}"
    if isinstance(error, socket.gaierror):
        return UpstreamError(
            ErrorType.DNS, f"the name {origin.host} cannot be resolved"
        )
    if isinstance(error, ssl.SSLError):
        why = (
            error.verify_message
            if isinstance(error, ssl.SSLCertVerificationError)
            else error.reason
        )
        return UpstreamError(ErrorType.TLS, f"TLS with {where} failed: {why}")
    why = error.strerror or type(error).__name__
    return UpstreamError(ErrorType.CONNECT, f"connecting to {where} failed: {why}")
