"""Fixtures for what is tested on real sockets: a scripted origin, a data directory, a worker in front of both."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

from tests.helpers.origin import RawOrigin
from tests.helpers.proxy import Proxy, running, settings_for


@pytest.fixture(autouse=True)
def blockbuster(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail on blocking calls, but for the making of a worker: in its own process nothing waits for that yet."""
    is_async = "asyncio" in request.node.keywords
    if not is_async or request.node.get_closest_marker("blocking_allowed"):
        yield
        return
    with blockbuster_ctx() as guard:
        for function in guard.functions.values():
            function.can_block_in("proxy/worker.py", "__init__")
        yield


@pytest.fixture
async def origin() -> AsyncIterator[RawOrigin]:
    async with RawOrigin() as origin:
        yield origin


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
async def proxy(origin: RawOrigin, data_dir: Path) -> AsyncIterator[Proxy]:
    async with running(settings_for(data_dir, origin)) as proxy:
        yield proxy
