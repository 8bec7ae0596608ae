"""Fixtures of the drills: load with a seed that is printed, and a product whose processes end with the test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.installation import Installation
from tests.helpers.load import Load

SEED = 20260
"""Change it to have other moments; each drill prints it."""


@pytest.fixture
def load() -> Iterator[Load]:
    load = Load(SEED)
    yield load
    load.close()


@pytest.fixture
def install(tmp_path: Path, load: Load) -> Iterator[Callable[..., Installation]]:
    """Make installations in front of the load's upstream."""
    made: list[Installation] = []

    def make(**settings: Any) -> Installation:
        place = tmp_path / str(len(made))
        place.mkdir()
        made.append(Installation(place, settings.pop("upstream", load.url), **settings))
        return made[-1]

    yield make
    for each in made:
        each.end()


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a line that is seen whether or not the test passes."""

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}", end="")  # noqa: T201 - the drill's one line for people

    return say
