"""The control socket: how a process tells the others on this machine how it fares.

What lives here: `Probes`, the questions that each process answers, `ControlServer`, which serves them as HTTP on a unix
socket. What does not: where such a socket is (`control_paths.py`), the asking side (`control_client.py`), the admin port for
people and Prometheus (`supervise/admin.py`).

Only the owner of the data directory can connect: the socket is 0600, its directory 0700.
"""

import asyncio
import contextlib
import inspect
import shutil
import socket
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from proxy.control_paths import (
    LONGEST_SOCKET_PATH_BYTES,
    canonical,
    pointer_path,
    socket_path,
    too_long,
)
from proxy.errors import StartError

__all__ = [
    "LONGEST_SOCKET_PATH_BYTES",
    "ControlServer",
    "Json",
    "Probes",
    "canonical",
    "json_response",
    "json_route",
    "pointer_path",
    "socket_path",
    "too_long",
]

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Probes:
    """What a process says of itself; each is called in the loop, once a request, and must not block."""

    health: Callable[[], tuple[bool, Json]]
    """Whether this process does its work, and why not: 200 or 503."""
    ready: Callable[[], bool]
    """Whether this process takes work: 200 or 503."""
    metrics: Callable[[], bytes]
    """MessagePack of `list[proxy.telemetry.Family]`."""
    status: Callable[[], Json | Awaitable[Json]]
    """What people may want to know; no secrets."""


class ControlServer:
    """Serves `/healthz`, `/readyz`, `/metrics.msgpack`, `/status` and `routes` on a unix socket, replacing a stale one."""

    def __init__(
        self, path: Path, probes: Probes, routes: Sequence[web.RouteDef] = ()
    ) -> None:
        self._path = self._bound = path
        self._inode = 0
        self._probes = probes
        self._routes = routes
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen; raise `StartError` where the socket cannot be made."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics.msgpack", self._metrics),
                web.get("/status", self._status),
                *self._routes,
            ]
        )
        try:
            listener = await asyncio.to_thread(self._listen)
        except OSError as error:
            raise StartError(
                f"cannot make the control socket {self._path}: {error.strerror}; is data_dir writable?"
            ) from error
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()

    async def close(self) -> None:
        """Stop listening and remove what `start` made, unless a successor has replaced it."""
        if self._runner is None:
            return
        await self._runner.cleanup()
        self._runner = None
        await asyncio.to_thread(self._remove)

    def _remove(self) -> None:
        with contextlib.suppress(OSError):
            if self._bound.stat().st_ino == self._inode:
                self._bound.unlink()
        if self._bound != self._path:
            _forget_pointer(self._path, only=self._bound)

    def _listen(self) -> socket.socket:
        """Bind under another name and rename: there is no moment without a socket, or with one that others may use."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = self._bound = canonical(self._path)
        _forget_pointer(self._path, only=None)
        if too_long(self._path):
            self._bound = Path(tempfile.mkdtemp(prefix="tacho-")) / self._path.name
        fresh = self._bound.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(fresh))
            fresh.chmod(0o600)
            self._inode = fresh.stat().st_ino
            listener.listen(64)
            fresh.rename(self._bound)
            if self._bound != self._path:
                _point(self._path, self._bound)
        except OSError:
            listener.close()
            raise
        return listener

    async def _healthz(self, _: web.Request) -> web.Response:
        ok, detail = self._probes.health()
        return json_response(detail, 200 if ok else 503)

    async def _readyz(self, _: web.Request) -> web.Response:
        ready = self._probes.ready()
        return json_response({"ready": ready}, 200 if ready else 503)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=self._probes.metrics(), content_type="application/msgpack"
        )

    async def _status(self, _: web.Request) -> web.Response:
        status = self._probes.status()
        return json_response(await status if inspect.isawaitable(status) else status)


def json_route(path: str, take: Callable[[bytes], Awaitable[tuple[int, Json]]]) -> web.RouteDef:  # fmt: skip
    """Serve POST of something that is answered with a status and JSON."""

    async def handle(request: web.Request) -> web.Response:
        status, body = await take(await request.read())
        return json_response(body, status)

    return web.post(path, handle)


def json_response(body: Json, status: int = 200) -> web.Response:
    """Answer in JSON."""
    return web.Response(
        body=msgspec.json.encode(body) + b"\n",
        status=status,
        content_type="application/json",
    )


def _point(path: Path, real: Path) -> None:
    pointer = pointer_path(path)
    fresh = pointer.with_suffix(".path.new")
    fresh.write_text(str(real), encoding="utf-8")
    fresh.chmod(0o600)
    fresh.rename(pointer)


def _forget_pointer(path: Path, only: Path | None) -> None:
    """Remove the pointer beside `path` and the directory it names (if it names `only`, where given)."""
    pointer = pointer_path(path)
    with contextlib.suppress(OSError):
        real = Path(pointer.read_text(encoding="utf-8"))
        if only is not None and real != only:
            return
        pointer.unlink()
        if real.parent.name.startswith("tacho-") and real.name == path.name:
            shutil.rmtree(real.parent, ignore_errors=True)
