"""The product under test: one worker, in this event loop or as a process of its own.

What lives here: settings for tests and the start and stop of a worker. What does not: a supervisor, exporters, stores.
"""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import msgspec

from proxy.config import ClickHouseSettings, ExporterSettings, RouteSettings, Settings
from proxy.worker import Worker
from tests.helpers.client import RawClient
from tests.helpers.records import Recorded, all_ended, ended
from tests.helpers.wire import WAIT_SECONDS, Message

REPOSITORY = Path(__file__).resolve().parents[2]


class Upstream(Protocol):
    """Where all routes lead: a scripted origin, or a simulated provider."""

    @property
    def url(self) -> str: ...


def settings_for(data_dir: Path, origin: Upstream, **changes: Any) -> Settings:
    """Route `t` is a plain tool, `ws` one that may upgrade, `openai`, `anthropic` and `gemini` are the providers; all to one origin.

    Answers get no headers of ours, so that bytes can be compared; `routes` adds to these routes.
    """
    routes = {
        "t": RouteSettings(url=origin.url, kind="tool"),
        "ws": RouteSettings(url=origin.url, kind="tool", websocket=True),
        "openai": RouteSettings(url=origin.url, kind="llm", provider="openai"),
        "anthropic": RouteSettings(url=origin.url, kind="llm", provider="anthropic"),
        "gemini": RouteSettings(url=origin.url, kind="llm", provider="google"),
    }
    routes.update(changes.pop("routes", {}))
    base = Settings(
        listen="127.0.0.1:0",
        data_dir=str(data_dir),
        response_headers=False,
        routes=routes,
        exporters=ExporterSettings(clickhouse=ClickHouseSettings(url="")),
    )
    return msgspec.structs.replace(base, **changes)


def listening_socket() -> socket.socket:
    """Give a socket as the supervisor hands it to a worker."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    sock.listen(4096)
    sock.setblocking(False)
    return sock


class Proxy:
    """A worker that serves; its port and its records."""

    def __init__(
        self, port: int, data_dir: Path, worker: Worker | None = None, pid: int = 0
    ) -> None:
        self.port = port
        self.data_dir = data_dir
        self.worker = worker
        self.pid = pid
        """Of the process variant; 0 in this process."""

    async def connect(self, **options: Any) -> RawClient:
        return await RawClient.connect(self.port, **options)

    async def call(
        self, *parts: bytes, bodyless: bool = False, wait_seconds: float = WAIT_SECONDS
    ) -> Message:
        """Make one call on a connection of its own."""
        async with await self.connect() as client:
            return await client.call(
                *parts, bodyless=bodyless, wait_seconds=wait_seconds
            )

    async def ended(
        self, count: int = 1, wait_seconds: float = WAIT_SECONDS
    ) -> list[Recorded]:
        """Wait until that many exchanges have ended."""
        return await ended(self.data_dir, count, wait_seconds)

    async def all_ended(self, wait_seconds: float = WAIT_SECONDS) -> list[Recorded]:
        """Wait until every exchange that was opened has ended."""
        return await all_ended(self.data_dir, wait_seconds)

    async def only(self) -> Recorded:
        """Wait for the end of the one exchange that there was."""
        (exchange,) = await self.ended(1)
        return exchange

    async def memory(self) -> int:
        """Give the resident bytes of the worker's process, and forget its peak."""
        await asyncio.to_thread(Path(f"/proc/{self.pid}/clear_refs").write_text, "5")
        return await asyncio.to_thread(self._status, "VmRSS")

    async def peak_memory(self) -> int:
        """Give the most that was resident since `memory` was called."""
        return await asyncio.to_thread(self._status, "VmHWM")

    def _status(self, field: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {field} of process {self.pid}")


@asynccontextmanager
async def running(settings: Settings, name: str = "w0") -> AsyncIterator[Proxy]:
    """Run a worker in this event loop; leaving drains and stops it."""
    with listening_socket() as listener:
        worker = Worker(settings, name=name, sockets=[listener])
        await worker.start()
        try:
            yield Proxy(listener.getsockname()[1], Path(settings.data_dir), worker)
        finally:
            await worker.stop()


@asynccontextmanager
async def process(settings: Settings) -> AsyncIterator[Proxy]:
    """Run a worker as the supervisor would: a process with the listener's descriptor and a pipe as stdin."""
    data_dir = Path(settings.data_dir)
    config = data_dir.parent / "settings.yaml"
    await asyncio.to_thread(
        config.write_text, json.dumps(msgspec.to_builtins(settings))
    )
    listener = listening_socket()
    fd = listener.fileno()
    arguments = ("--config", str(config), "--name", "w0", "--fd", str(fd))
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "proxy.worker", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        pass_fds=[fd],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    try:
        assert worker.stdout is not None
        async with asyncio.timeout(WAIT_SECONDS):
            assert (await worker.stdout.readline()).strip() == b"ready"
        yield Proxy(listener.getsockname()[1], data_dir, pid=worker.pid)
    finally:
        await _end(worker)
        listener.close()


async def _end(worker: asyncio.subprocess.Process) -> None:
    assert worker.stdin is not None
    worker.stdin.close()
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            await worker.wait()
    except TimeoutError:
        worker.kill()
        await worker.wait()


def assert_is_our_error(answer: Message, status: int, error_type: str) -> None:
    """An error of ours: JSON with a message, the type in a header."""
    assert (answer.status, answer.get(b"x-tacho-error")) == (
        status,
        error_type.encode(),
    )
    error = json.loads(answer.body)["error"]
    assert error["message"]
    assert {"type", "message", "code"} <= error.keys()
