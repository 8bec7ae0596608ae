"""A store process with a few rows for the tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.helpers.store import StoreProcess, open_store


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreProcess]:
    """A running store."""
    running = open_store(tmp_path_factory.mktemp("store"))
    yield running
    running.end()
