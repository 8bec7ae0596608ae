"""Fixtures for what is tested on real sockets: a scripted origin, a data directory, a worker in front of both."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.helpers.blocking import MAKING_A_WORKER, forbidden
from tests.helpers.origin import RawOrigin
from tests.helpers.proxy import Proxy, running, settings_for


@pytest.fixture(autouse=True)
def blockbuster(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail on blocking calls, but for the making of a worker: in its own process nothing waits for that yet."""
    is_async = "asyncio" in request.node.keywords
    if not is_async or request.node.get_closest_marker("blocking_allowed"):
        yield
        return
    with forbidden(MAKING_A_WORKER):
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
