"""Fixtures of the end-to-end tests: a scripted origin and a worker in front of it, on raw sockets."""

import resource
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from proxy.simulate.server import Provider
from tests.helpers.blocking import MAKING_A_WORKER, forbidden
from tests.helpers.clock import NOW_US, StandingClock
from tests.helpers.failing import Failing, simulated_behind
from tests.helpers.origin import RawOrigin
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.scene import Scene, playing
from tests.helpers.talks import AT_ONCE


@pytest.fixture(scope="session", autouse=True)
def _many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 20_000)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@pytest.fixture(autouse=True)
def blockbuster(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail on blocking calls, but for the making of a worker: in its own process nothing waits for that yet."""
    if request.node.get_closest_marker("blocking_allowed"):
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


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    """A simulated provider in the test's own event loop."""
    async with Provider() as provider:
        yield provider


@pytest.fixture
async def simulated_proxy(provider: Provider, data_dir: Path) -> AsyncIterator[Proxy]:
    async with running(settings_for(data_dir, provider)) as proxy:
        yield proxy


@pytest.fixture
def failing(provider: Provider) -> Failing:
    """The simulated provider, which fails as often as a test says."""
    return Failing(simulated_behind(provider))


@pytest.fixture
async def failing_origin(
    failing: Failing, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[RawOrigin]:
    """What fails behind a socket, for SDKs that try again at once."""
    for place in AT_ONCE:
        monkeypatch.setattr(place, 0.001)
    async with RawOrigin(failing) as origin:
        yield origin


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> type[StandingClock]:
    """The clock by which accounts, gates and breakers of workers go: it stands still until it is set."""
    monkeypatch.setattr("proxy.worker.SteadyClock", StandingClock)
    monkeypatch.setattr(StandingClock, "us", NOW_US)
    return StandingClock


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The whole product after a few calls; it takes seconds to start, so many tests share it."""
    with playing(tmp_path_factory.mktemp("rows")) as scene:
        yield scene
