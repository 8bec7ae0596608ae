"""The MCP server of the tests as a process on loopback.

What lives here: its start, its end, and starting it again under the same port. What does not: its tools (`mcp_server.py`).
"""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.helpers.processes import environ

SCRIPT = Path(__file__).with_name("mcp_server.py")
PATIENCE_SECONDS = 20.0


class Server:
    """One server under one port, which can be started again."""

    def __init__(self, transport: str) -> None:
        self.transport = transport
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it, and wait until it listens."""
        argv = [sys.executable, "-P", str(SCRIPT), self.transport, str(self.port)]
        self._process = await asyncio.to_thread(
            subprocess.Popen,
            argv,
            env=environ(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await asyncio.to_thread(self._listens):
                assert self._process.poll() is None
                await asyncio.sleep(0.02)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    async def stop(self) -> None:
        """Kill it."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await asyncio.to_thread(process.wait)


@asynccontextmanager
async def serving_mcp(transport: str) -> AsyncIterator[Server]:
    """Run a server with a transport: `stateful`, `json` or `sse`."""
    running = Server(transport)
    try:
        await running.start()
        yield running
    finally:
        await running.stop()
