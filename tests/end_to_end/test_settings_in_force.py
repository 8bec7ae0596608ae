"""A worker that is started again works by the settings of its neighbours, not by what somebody has written meanwhile."""

import itertools
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.installation import Installation, await_that
from tests.helpers.simulated import asking, call, path_of, simulated

pytestmark = [pytest.mark.timeout(120), pytest.mark.blocking_allowed]


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Installation]:
    with simulated() as provider:
        installed = Installation(tmp_path, provider.url, policies=caps(1))
        try:
            yield installed.start("proxy")
        finally:
            installed.end()


def caps(steps: int) -> dict[str, Any]:
    return {"caps": {"mode": "enforce", "steps": steps}}


def write(installed: Installation, **changes: Any) -> None:
    document = json.loads(installed.config.read_text()) | changes
    installed.config.write_text(json.dumps(document))


def passed(installed: Installation, run: str, most: int = 4) -> int:
    """Say how many of some calls of a new run pass."""
    root, path = f"http://127.0.0.1:{installed.port}", f"/run/{run}/openai" + path_of("openai_chat")  # fmt: skip
    found = [call(root, path, asking("openai_chat", "Hello.")).status for _ in range(most)]  # fmt: skip
    assert set(found) <= {200, 400}
    return found.count(200)


def reloads(installed: Installation, word: str, times: int = 1) -> None:
    installed.signal(signal.SIGHUP)
    await_that(lambda: installed.said().count(word) == times, word)


def test_a_worker_that_dies_comes_back_with_the_settings_in_force(product: Installation):  # fmt: skip
    assert passed(product, "r1") == 1
    write(product, policies=caps(3))
    product.kill("w0")
    assert passed(product, "r2") == 1
    reloads(product, '"reloaded"')
    numbers = itertools.count()
    await_that(lambda: passed(product, f"new-{next(numbers)}") == 3, "the new settings")
    product.kill("w0")
    assert passed(product, "r4") == 3
    # What a reload cannot change waits for a restart of the whole.
    write(product, policies=caps(2), data_dir="elsewhere")
    reloads(product, '"reloaded"', 2)
    product.kill("w0")
    assert passed(product, "r5") == 2
    # What a worker could not work by is no setting in force.
    refused: list[dict[str, Any]] = [
        {"policies": caps(-1)},
        {"policies": caps(2), "clients": {"a": {"key_env": "NOT_SET"}}},
    ]
    for times, bad in enumerate(refused, 1):
        write(product, **bad)
        reloads(product, "reload_failed", times)
        product.kill("w0")
        assert passed(product, f"r5-{times}") == 2
    assert not (product.place / "elsewhere").exists()
    copy = product.data_dir / "run" / "settings.tacho.yaml"
    assert copy.exists()
    assert product.stop() == 0
    assert not copy.exists()
