"""The whole product with a provider behind it that plays recordings, and SDKs in front of it.

What lives here: a raw origin in a thread with an event loop of its own, and `Stack`, which has both it and the running product.
What does not: starting and asking the product (`installation.py`), what must be true of its rows.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.helpers.installation import Installation, tacho
from tests.helpers.origin import Handler, RawOrigin

START_SECONDS = 60.0


@contextmanager
def origin_in_a_thread(handler: Handler) -> Iterator[RawOrigin]:
    """Serve until the block ends; what the handler did wrong fails the test then."""
    started: Future[tuple[RawOrigin, Callable[[], object]]] = Future()

    async def serve() -> None:
        async with RawOrigin(handler) as origin:
            stop = asyncio.Event()
            loop = asyncio.get_running_loop()
            end = partial(loop.call_soon_threadsafe, stop.set)
            started.set_result((origin, end))
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), name="origin")
    thread.start()
    origin, end = started.result(START_SECONDS)
    try:
        yield origin
    finally:
        end()
        thread.join(START_SECONDS)


class Stack:
    """A running installation and its origin."""

    def __init__(self, product: Installation, origin: RawOrigin) -> None:
        self.product = product
        self.origin = origin

    def url(self, route: str, prefix: str = "") -> str:
        """Give the base URL of a route, with what may stand before it."""
        return f"http://127.0.0.1:{self.product.port}{prefix}/{route}"

    def sql(self, statement: str) -> list[dict[str, Any]]:
        """Ask as a user does: `tacho sql`, one JSON object a row."""
        said = tacho(self.product.config, "sql", statement, "--format", "JSONEachRow")
        assert said.returncode == 0, said.stderr
        return [json.loads(line) for line in said.stdout.splitlines()]


@contextmanager
def running_stack(place: Path, handler: Handler, **settings: Any) -> Iterator[Stack]:
    """Run the product before an origin; it must end in order."""
    with origin_in_a_thread(handler) as origin:
        product = Installation(place, origin.url, **settings)
        try:
            yield Stack(product.start(), origin)
            assert product.stop() == 0, product.said()
        finally:
            product.end()
