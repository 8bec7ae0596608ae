"""The simulated provider as a server that can be started and stopped in an event loop.

What lives here: the socket, and the clocks. What does not: paths (`routes.py`), answers (`answering.py`).
"""

import secrets
import time
from collections import deque

from aiohttp import web

from proxy.simulate.answering import Answering, Seen
from proxy.simulate.engine import Engine, Settings
from proxy.simulate.routes import routes

MAX_BODY_BYTES = 64 << 20
_END_SECONDS = 1.0


class Provider:
    """A provider; `async with` starts and stops it."""

    def __init__(
        self, settings: Settings | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        nonce = secrets.token_hex(8)
        self.engine = Engine(settings or Settings(), time.monotonic, time.time, nonce)
        self._answering = Answering(self.engine)
        self._host, self._port = host, port
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Give the root, which is Anthropic's and Google's base URL; OpenAI's is `/v1` below it."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def seen(self) -> deque[Seen]:
        """Give the newest requests for answers."""
        return self._answering.seen

    async def start(self) -> None:
        """Listen; port 0 becomes one that was free."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_routes(routes(self._answering))
        runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=_END_SECONDS,
        )
        await runner.setup()
        self._runner = runner
        await web.TCPSite(runner, self._host, self._port, backlog=1024).start()
        self._port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening, and break off what is still under way after a second."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> "Provider":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
