"""Fixtures of the simulated provider's tests: one that runs for all tests of a file."""

from collections.abc import Iterator

import pytest

from proxy.simulate.server import Provider
from tests.helpers.simulated import simulated


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with simulated() as provider:
        yield provider
