"""Asking another process of this product through its control socket.

What lives here: `ControlClient`. What does not: what is answered (`control.py`), when to ask and what to conclude from silence
(`supervise/children.py`).
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from proxy.control_paths import canonical, real_path, socket_path, too_long
from proxy.errors import TachoError

__all__ = ["ControlClient", "UnreachableError", "real_path"]


class UnreachableError(TachoError):
    """Nobody answered on the control socket in time, or with something that is no answer."""


class _Health(msgspec.Struct):
    """What of `/healthz` others use."""

    degraded: tuple[str, ...] = ()


class ControlClient:
    """Asks one process; holds no connection, so that it survives the restart of that process."""

    def __init__(self, data_dir: Path, name: str) -> None:
        self._path = socket_path(data_dir, name)
        self._name = name
        self._canonical: Path | None = None

    async def healthy(self, timeout_seconds: float) -> bool:
        """Tell what the process says of its own health; raise `UnreachableError` when it says nothing."""
        return (await self.health(timeout_seconds))[0]

    async def health(self, timeout_seconds: float) -> tuple[bool, tuple[str, ...]]:
        """Fetch health, and what the process names as degraded beside it; raise `UnreachableError` like `healthy`."""
        status, body = await self._request("GET", "/healthz", timeout_seconds)
        try:
            degraded = msgspec.json.decode(body, type=_Health).degraded
        except msgspec.DecodeError:
            degraded = ()
        return status == 200, degraded

    async def status(self, timeout_seconds: float) -> dict[str, Any]:
        """Fetch `/status`."""
        return await self.call("GET", "/status", timeout_seconds)

    async def metrics(self, timeout_seconds: float) -> bytes:
        """Fetch `/metrics.msgpack`."""
        status, body = await self._request("GET", "/metrics.msgpack", timeout_seconds)
        if status != 200:
            raise UnreachableError(
                f"{self._name} answered {status} instead of its metrics"
            )
        return body

    async def call(
        self,
        method: str,
        path: str,
        timeout_seconds: float,
        body: Mapping[str, object] | None = None,
    ) -> dict[str, Any]:
        """Send `body` as JSON to any path, and give the JSON object that comes back with 200."""
        status, answer = await self.exchange(method, path, timeout_seconds, body)
        if status != 200:
            raise UnreachableError(f"{self._name} answered {status} to {method} {path}")
        return answer

    async def exchange(
        self,
        method: str,
        path: str,
        timeout_seconds: float,
        body: Mapping[str, object] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """Send `body` as JSON to any path, and give the status and the JSON object that come back."""
        status, answer = await self._request(method, path, timeout_seconds, body)
        try:
            return status, msgspec.json.decode(answer, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise UnreachableError(
                f"{self._name} answered {path} with something that is no JSON object"
            ) from error

    async def _request(
        self,
        method: str,
        path: str,
        timeout_seconds: float,
        body: Mapping[str, object] | None = None,
    ) -> tuple[int, bytes]:
        data = None if body is None else msgspec.json.encode(body)
        timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        if self._canonical is None:
            self._canonical = await asyncio.to_thread(canonical, self._path)
        path_now = self._canonical
        if too_long(path_now):
            path_now = await asyncio.to_thread(real_path, path_now)
        try:
            connector = aiohttp.UnixConnector(path=str(path_now), force_close=True)
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.request(
                    method, f"http://control{path}", data=data, allow_redirects=False
                ) as response,
            ):
                return response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnreachableError(
                f"{self._name} does not answer on {self._path}: {str(error) or type(error).__name__}"
            ) from error
