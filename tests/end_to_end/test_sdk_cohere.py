"""Cohere's official SDK with nothing changed but the base URL, against an upstream that says what Cohere once said.

What lives here: each recorded kind of call of both APIs, sync and async, streamed or not: the same result as without the proxy, the same
request at the upstream, one row with what Cohere billed. What does not: other SDKs.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import cohere
import msgspec
import pytest

from exporters.enrich.rows import step_rows
from proxy.config import RouteSettings
from proxy.model import UsageSource
from tests.helpers.origin import RawOrigin
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.recordings import SUBSET
from tests.helpers.replay import Framing, Playback, Player, Tape, tapes
from tests.helpers.wire import response

pytestmark = [
    pytest.mark.big,
    # The SDK reads certificates when it is made, and has a thread pool.
    pytest.mark.blocking_allowed,
]
KEY = "a-key-of-tests-that-nobody-else-has"
NOT_ASKED = ("stream", "num_generations")
"""What the SDK says by the choice of the method, or does not know."""


def _streams(tape: Tape) -> bool:
    return bool(tape.asked.get("stream"))


def _first_of_each_sort() -> dict[str, Tape]:
    """Choose one recording for each path, sort of answer and outcome."""
    found: dict[str, Tape] = {}
    for tape in tapes(SUBSET, "cohere"):
        sort = "stream" if _streams(tape) else "whole"
        tools = "-tools" if tape.asked.get("tools") else ""
        name = f"{tape.path[1:].replace('/', '-')}-{sort}{tools}-{tape.status}"
        found.setdefault(name, tape)
    return found


TAPES = _first_of_each_sort()
taped = pytest.mark.parametrize("tape", TAPES.values(), ids=TAPES)


@pytest.fixture
def player() -> Player:
    return Player()


@pytest.fixture
async def origin(player: Player) -> AsyncIterator[RawOrigin]:
    async with RawOrigin(player) as origin:
        yield origin


@pytest.fixture
async def proxy(origin: RawOrigin, data_dir: Path) -> AsyncIterator[Proxy]:
    route = RouteSettings(url=origin.url, kind="llm", provider="cohere")
    settings = settings_for(data_dir, origin, routes={"cohere": route})
    async with running(settings) as proxy:
        yield proxy


def test_all_kinds_of_calls_were_recorded():
    assert {tape.path for tape in TAPES.values()} >= {
        "/v1/chat",
        "/v2/chat",
        "/v1/generate",
        "/v1/rerank",
        "/v2/rerank",
        "/v2/embed",
    }
    assert sum(_streams(tape) for tape in TAPES.values()) >= 3


@taped
@pytest.mark.parametrize("framing", [Framing.WHOLE, Framing.CHUNKED])
async def test_the_sync_sdk_sees_what_it_would_see_without_the_proxy(
    tape: Tape, framing: Framing, origin: RawOrigin, proxy: Proxy, player: Player
):
    def call(url: str) -> Any:
        make = cohere.ClientV2 if "/v2/" in tape.path else cohere.Client
        with make(KEY, base_url=url) as client:
            return _seen(lambda: _method(client, tape)(**_arguments(tape)))

    player.playing = Playback(tape, framing=framing)
    direct = await asyncio.to_thread(call, origin.url)
    proxied = await asyncio.to_thread(call, f"http://127.0.0.1:{proxy.port}/cohere")
    assert proxied == direct
    await _assert_passed_and_metered(tape, direct, origin, proxy)


@taped
async def test_the_async_sdk_sees_what_it_would_see_without_the_proxy(
    tape: Tape, origin: RawOrigin, proxy: Proxy, player: Player
):
    async def call(url: str) -> Any:
        make = cohere.AsyncClientV2 if "/v2/" in tape.path else cohere.AsyncClient
        async with make(KEY, base_url=url) as client:
            return await _seen_async(lambda: _method(client, tape)(**_arguments(tape)))

    player.playing = Playback(tape)
    direct = await call(origin.url)
    proxied = await call(f"http://127.0.0.1:{proxy.port}/cohere")
    assert proxied == direct
    await _assert_passed_and_metered(tape, direct, origin, proxy)


async def test_counting_tokens_is_no_step(
    origin: RawOrigin, proxy: Proxy, player: Player
):
    body = (
        b'{"tokens":[1],"token_strings":["a"],"meta":{"api_version":{"version":"1"}}}'
    )
    player.script = [response(body, (b"content-type", b"application/json"))]

    def call() -> list[int]:
        url = f"http://127.0.0.1:{proxy.port}/cohere"
        with cohere.Client(KEY, base_url=url) as client:
            said = client.tokenize(text="a", model="command-a", offline=False)
            return list(said.tokens)

    assert await asyncio.to_thread(call) == [1]
    exchange = await proxy.only()
    (row,) = step_rows(exchange.open, exchange.close, exchange.end)
    assert (row.operation, row.is_step) == ("tokenize", False)
    assert row.usage_source == UsageSource.NONE


def _method(client: Any, tape: Tape) -> Callable[..., Any]:
    name = tape.path.rpartition("/")[2]
    method: Callable[..., Any] = getattr(
        client, f"{name}_stream" if _streams(tape) else name
    )
    return method


def _arguments(tape: Tape) -> dict[str, Any]:
    asked = {key: said for key, said in tape.asked.items() if key not in NOT_ASKED}
    return {**asked, "request_options": {"max_retries": 0}}


def _seen(call: Callable[[], Any]) -> Any:
    try:
        result = call()
        if hasattr(result, "model_dump"):
            return result.model_dump(warnings=False)
        return [event.model_dump(warnings=False) for event in result]
    except cohere.core.ApiError as error:
        return type(error), error.status_code, error.body


async def _seen_async(call: Callable[[], Any]) -> Any:
    try:
        result = call()
        if isinstance(result, Awaitable):
            return (await result).model_dump(warnings=False)
        return [event.model_dump(warnings=False) async for event in result]
    except cohere.core.ApiError as error:
        return type(error), error.status_code, error.body


async def _assert_passed_and_metered(
    tape: Tape, seen: Any, origin: RawOrigin, proxy: Proxy
) -> None:
    assert isinstance(seen, tuple) == (tape.status >= 400)
    asked, passed = origin.requests[-2:]
    changed = (b"host", b"connection")
    assert (asked.start, asked.without(*changed), asked.body) == (
        passed.start,
        passed.without(*changed),
        passed.body,
    )
    exchange = await proxy.only()
    (row,) = step_rows(exchange.open, exchange.close, exchange.end)
    assert (row.http_status, row.model_requested) == (
        tape.status,
        tape.asked.get("model", ""),
    )
    assert row.outcome == ("rejected" if tape.status >= 400 else "completed")
    if tape.usage:
        billed = tape.usage[-1]["billed_units"]
        assert (row.tok_input, row.tok_output) == (
            billed.get("input_tokens"),
            billed.get("output_tokens"),
        )
        assert row.usage_source == UsageSource.PROVIDER
        assert msgspec.json.decode(row.usage_json) == tape.usage[-1]
