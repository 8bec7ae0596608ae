"""What every test gets: uvloop as the event loop, and a failure for each blocking call in it.

Fixtures of the product (a running proxy, a scripted provider) live in tests/helpers.
"""

import asyncio
import inspect
import os
import shutil
from collections.abc import Callable, Iterator

import pytest
import uvloop
from hypothesis import HealthCheck, settings

from tests.helpers.blocking import forbidden

# By default an example that takes 200 ms fails, and so do inputs that are slow to make: both say how busy the machine is.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


def pytest_asyncio_loop_factories() -> dict[
    str, Callable[[], asyncio.AbstractEventLoop]
]:
    """Run async tests on the loop that the product runs on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def blockbuster(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail async tests on blocking calls; mark a test `blocking_allowed` where its own set-up must block."""
    is_async = inspect.iscoroutinefunction(getattr(request, "function", None))
    if not is_async or request.node.get_closest_marker("blocking_allowed"):
        yield
        return
    with forbidden():
        yield


@pytest.fixture
def tool() -> Callable[[str], str]:
    """Give the path of a program that a test needs; without it the test is skipped, and fails in CI."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            give_up(
                f"{name} is not installed; `make test-all` installs what tests need"
            )
        assert path is not None
        return path

    return find
