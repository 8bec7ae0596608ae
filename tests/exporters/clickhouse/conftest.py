"""One store process for all tests of this folder that do not harm it: chDB takes a second and 300 MB to start."""

from collections.abc import Iterator

import pytest

from tests.helpers.store import StoreProcess, open_store


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreProcess]:
    """A running store that many tests share: they read, or write rows that only they look for."""
    running = open_store(tmp_path_factory.mktemp("store"))
    yield running
    status, said = running.end()
    assert status == 0, said
