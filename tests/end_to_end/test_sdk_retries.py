"""What official SDKs try again by themselves when a provider fails once or twice: one step with its attempts, and the run goes on.

What lives here: refusals, connections that are cut before the answer, and what each SDK does not try again, as rows. What does not: what
the SDK's user sees (`test_sdk_errors.py`), clients that give up waiting and calls of no run (`test_sdk_retries_more.py`).
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from exporters.enrich.rows import StepRow
from proxy.config import RouteSettings
from proxy.simulate.server import Provider
from tests.helpers.failing import CUT, Failing, Fault, recorded, simulated_behind
from tests.helpers.origin import RawOrigin
from tests.helpers.pairs import rows_of
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.recordings import SUBSET
from tests.helpers.replay import Tape, tapes
from tests.helpers.talks import TALKS, talk

pytestmark = [
    # An SDK reads certificates and asks for the platform when it is made and first used, in whatever loop that is.
    pytest.mark.blocking_allowed,
    pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:pydantic.warnings.PydanticDeprecatedSince20"),
]
both = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
either = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
SAID = (
    "Count, please. <<plan: say One. | say Two.>>",
    "Go on. <<plan: say Three.>>",
)
TAPES = {
    "cohere": ("8a8827cd6841-1", "e19755b094b1-2"),
    "ollama": ("79891badad71-1", "23d4278bbfbd-1"),
}
"""Recorded answers: whole, streamed."""
SDK = ("openai-chat", "openai-responses", "anthropic", "groq")
"""They say which attempt a request is."""
WAYS: list[tuple[Fault, ...]] = [(429,), (503,), (529,), (CUT,), (429, 503), (503, CUT)]
WITHOUT_A_WORD: list[tuple[str, tuple[Fault, ...], tuple[bool, ...]]] = [
    *(("mistral", way, (False, True)) for way in ((429,), (503,), (CUT,), (CUT, 429))),
    *(("gemini", way, (False, True)) for way in ((429,), (503,), (CUT,), (429, 503))),
    *(("cohere", way, (False,)) for way in ((429,), (529,), (CUT,), (429, 503))),
]
"""What SDKs try again that do not say which attempt a request is, and where: in whole answers, in streams."""
GIVEN_UP: list[tuple[str, tuple[Fault, ...], tuple[bool, ...]]] = [
    ("mistral", (529,), (False, True)),
    ("gemini", (529,), (False, True)),
    ("cohere", (CUT,), (True,)),
    ("cohere", (503,), (True,)),
    ("ollama", (429,), (False, True)),
    ("ollama", (503,), (False, True)),
    ("ollama", (CUT,), (False, True)),
]
"""What an SDK does not try again, and where."""


def ways(
    table: list[tuple[str, tuple[Fault, ...], tuple[bool, ...]]],
) -> pytest.MarkDecorator:
    cases = [(name, faults, stream) for name, faults, where in table for stream in where]  # fmt: skip
    ids = [f"{name}-{'-'.join(map(str, faults))}-{'stream' if stream else 'whole'}" for name, faults, stream in cases]  # fmt: skip
    return pytest.mark.parametrize(("name", "faults", "stream"), cases, ids=ids)


def tape(name: str, wanted: str) -> Tape:
    return next(each for each in tapes(SUBSET, name) if each.id == wanted)


@pytest.fixture
def failing(provider: Provider, request: pytest.FixtureRequest) -> Failing:
    name = request.node.callspec.params["name"]
    if name in TAPES:
        return Failing(recorded(*(tape(name, each) for each in TAPES[name])))
    return Failing(simulated_behind(provider))


@pytest.fixture
async def proxy(failing_origin: RawOrigin, data_dir: Path) -> AsyncIterator[Proxy]:
    routes = {
        name: RouteSettings(url=failing_origin.url)
        for name in ("groq", "mistral", "cohere", "ollama")
    }
    async with running(settings_for(data_dir, failing_origin, routes=routes)) as proxy:
        yield proxy


async def held(
    proxy: Proxy, name: str, is_async: bool, stream: bool, patience: int = 0
) -> int:
    """Hold the conversation through the proxy; give how often its user had to ask again, `patience` at most."""
    each = TALKS[name]
    route = name.partition("-")[0]
    client = each.make(f"http://127.0.0.1:{proxy.port}/{route}", is_async)
    talking = talk(each, client, is_async, stream, SAID, patience)
    return await (talking if is_async else asyncio.to_thread(asyncio.run, talking))


def places(rows: list[StepRow]) -> list[tuple[int | None, int, str]]:
    return [(row.step_seq, row.attempt, row.retry_layer) for row in rows]


def assert_one_step_and_the_next(
    rows: list[StepRow], faults: tuple[Fault, ...], layer: str
) -> None:
    attempts = list(range(len(faults) + 1))
    again = [(1, number, layer if number else "") for number in attempts]
    assert places(rows) == [*again, (2, 0, "")]
    assert {row.step_id for row in rows[:-1]} == {rows[0].attempt_id}
    assert rows[-1].step_id == rows[-1].attempt_id
    assert len({row.run_id for row in rows} - {""}) == 1
    assert [row.turn_seq for row in rows] == [*[1 for _ in attempts], 2]
    assert [row.outcome for row in rows[-2:]] == ["completed"] * 2
    assert "completed" not in [row.outcome for row in rows[:-2]]


async def assert_one_step_with_its_attempts(
    proxy: Proxy, name: str, faults: tuple[Fault, ...], stream: bool, is_async: bool, layer: str
) -> None:  # fmt: skip
    """Hold a conversation whose first call fails so, and look at what became of it."""
    await held(proxy, name, is_async, stream)
    rows = await rows_of(proxy, len(faults) + 2)
    assert_one_step_and_the_next(rows, faults, layer)


@both
@either
@pytest.mark.parametrize("faults", WAYS, ids=str)
@pytest.mark.parametrize("name", SDK)
async def test_what_an_sdk_tries_again_is_one_step_with_its_attempts(
    name, faults, stream, is_async, proxy, failing
):
    failing.faults += faults
    await assert_one_step_with_its_attempts(
        proxy, name, faults, stream, is_async, "sdk"
    )


@both
@ways(WITHOUT_A_WORD)
async def test_what_an_sdk_tries_again_without_a_word_is_one_step_too(
    name, faults, stream, is_async, proxy, failing
):
    failing.faults += faults
    await assert_one_step_with_its_attempts(
        proxy, name, faults, stream, is_async, "app"
    )


@both
@ways(GIVEN_UP)
async def test_what_an_sdk_leaves_to_its_user_is_one_step_when_the_user_asks_again(
    name, faults, stream, is_async, proxy, failing
):
    failing.faults += faults
    assert await held(proxy, name, is_async, stream, patience=1) == 1
    rows = await rows_of(proxy, 3)
    assert_one_step_and_the_next(rows, faults, "app")


@pytest.mark.parametrize("name", ["openai-chat", "anthropic"])
async def test_equal_conversations_that_fail_at_the_same_time_stay_apart(
    name, proxy, failing
):
    agents = 8
    failing.faults += [503] * agents
    async with asyncio.TaskGroup() as group:
        for _ in range(agents):
            group.create_task(held(proxy, name, True, False))
    rows = await rows_of(proxy, 3 * agents)
    runs: dict[str, list[tuple[int | None, int, str]]] = {}
    for row in rows:
        runs.setdefault(row.run_id, []).append((row.step_seq, row.attempt, row.retry_layer))  # fmt: skip
    whole = [(1, 0, ""), (1, 1, "sdk"), (2, 0, "")]
    assert [sorted(each) for each in runs.values()] == [whole] * agents
