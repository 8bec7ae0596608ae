"""What an official SDK tries again of embeddings: one step with its attempts, in a run that is named and in none.

What lives here: the same text embedded again after a failure, and because its user wants it. What does not: conversations
(`test_sdk_retries.py`).
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.failing import CUT, Fault
from tests.helpers.origin import RawOrigin
from tests.helpers.pairs import rows_of
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.talks import make_openai, opened, settled

# An SDK reads certificates and asks for the platform when it is made and first used, in whatever loop that is.
pytestmark = pytest.mark.blocking_allowed
both = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
WAYS: list[tuple[Fault, ...]] = [(429,), (503,), (CUT,), (429, 503)]


@pytest.fixture
async def proxy(failing_origin: RawOrigin, data_dir: Path) -> AsyncIterator[Proxy]:
    async with running(settings_for(data_dir, failing_origin)) as proxy:
        yield proxy


async def embed(
    proxy: Proxy, texts: list[str], is_async: bool, prefix: str = ""
) -> None:
    """Embed one text after the other."""
    url = f"http://127.0.0.1:{proxy.port}{prefix}/openai"

    async def work() -> None:
        async with opened(make_openai(url, is_async), is_async) as client:
            for text in texts:
                asked: Any = {"model": "text-embedding-3-small", "input": text}
                await settled(client.embeddings.create(**asked))

    await (work() if is_async else asyncio.to_thread(asyncio.run, work()))


@both
@pytest.mark.parametrize("run", ["", "r1"], ids=["no run", "a run"])
@pytest.mark.parametrize("faults", WAYS, ids=str)
async def test_an_embedding_that_is_tried_again_is_one_step(
    faults, run, is_async, proxy, failing
):
    failing.faults += faults
    await embed(proxy, ["tea", "coffee"], is_async, f"/run/{run}" if run else "")
    rows = await rows_of(proxy, len(faults) + 2)
    layers = ["sdk"] * len(faults)
    assert [(row.attempt, row.retry_layer) for row in rows] == [
        (0, ""), *enumerate(layers, 1), (0, "")
    ]  # fmt: skip
    assert {row.step_id for row in rows[:-1]} == {rows[0].attempt_id}
    assert rows[-1].step_id == rows[-1].attempt_id
    assert {(row.kind, row.run_id) for row in rows} == {("embedding", run)}


async def test_the_same_text_embedded_twice_is_two_steps(proxy: Proxy):
    await embed(proxy, ["tea", "tea"], is_async=True)
    rows = await rows_of(proxy, 2)
    assert [row.attempt for row in rows] == [0, 0]
    assert len({row.step_id for row in rows}) == 2
