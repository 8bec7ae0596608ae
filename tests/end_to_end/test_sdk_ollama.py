"""Ollama's official SDK with nothing changed but the host, against an upstream that says what Ollama once said.

What lives here: each recorded kind of call, sync and async, streamed or not: the same result as without the proxy, the same request at
the upstream, one row with the counts. What does not: Ollama's OpenAI-shaped API.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import ollama
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
    # The SDK reads certificates when it is made.
    pytest.mark.blocking_allowed,
]
JSON = (b"content-type", b"application/json; charset=utf-8")


def _as_ollama_says(tape: Tape) -> Tape:
    """Give the content type that Ollama sends where the recorder kept none."""
    kind = b"application/x-ndjson" if tape.streamed else JSON[1]
    headers = [each for each in tape.headers if each[0].lower() != b"content-type"]
    fields = {**vars(tape), "headers": [*headers, (b"Content-Type", kind)]}
    return Tape(**fields)


def _first_of_each_sort() -> dict[str, Tape]:
    """Choose one recording for each path, sort of answer and model."""
    found: dict[str, Tape] = {}
    for tape in tapes(SUBSET, "ollama"):
        sort = "stream" if tape.streamed else "whole"
        model = tape.asked["model"].partition(":")[0]
        tools = "-tools" if tape.asked.get("tools") else ""
        name = f"{tape.path.rpartition('/')[2]}-{sort}-{model}{tools}-{tape.status}"
        found.setdefault(name, _as_ollama_says(tape))
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
    route = RouteSettings(url=origin.url, kind="llm", provider="ollama")
    settings = settings_for(data_dir, origin, routes={"ollama": route})
    async with running(settings) as proxy:
        yield proxy


def test_all_kinds_of_calls_were_recorded():
    assert {tape.path for tape in TAPES.values()} == {
        "/api/chat",
        "/api/generate",
        "/api/embeddings",
    }
    assert {tape.streamed for tape in TAPES.values()} == {True, False}


@taped
@pytest.mark.parametrize("framing", [Framing.WHOLE, Framing.CHUNKED])
async def test_the_sync_sdk_sees_what_it_would_see_without_the_proxy(
    tape: Tape, framing: Framing, origin: RawOrigin, proxy: Proxy, player: Player
):
    def call(url: str) -> Any:
        client = ollama.Client(host=url)
        try:
            result = getattr(client, _name(tape))(**_arguments(tape))
            if tape.streamed:
                return [event.model_dump() for event in result]
            return result.model_dump()
        except ollama.ResponseError as error:
            return error.status_code, error.error
        finally:
            client.close()

    player.playing = Playback(tape, framing=framing)
    direct = await asyncio.to_thread(call, origin.url)
    proxied = await asyncio.to_thread(call, f"http://127.0.0.1:{proxy.port}/ollama")
    assert proxied == direct
    await _assert_passed_and_metered(tape, direct, origin, proxy)


@taped
async def test_the_async_sdk_sees_what_it_would_see_without_the_proxy(
    tape: Tape, origin: RawOrigin, proxy: Proxy, player: Player
):
    async def call(url: str) -> Any:
        async with ollama.AsyncClient(host=url) as client:
            try:
                result = await getattr(client, _name(tape))(**_arguments(tape))
                if tape.streamed:
                    return [event.model_dump() async for event in result]
                return result.model_dump()
            except ollama.ResponseError as error:
                return error.status_code, error.error

    player.playing = Playback(tape)
    direct = await call(origin.url)
    proxied = await call(f"http://127.0.0.1:{proxy.port}/ollama")
    assert proxied == direct
    await _assert_passed_and_metered(tape, direct, origin, proxy)


async def test_embed_says_what_it_read(proxy: Proxy, player: Player):
    said = {"model": "m", "embeddings": [[0.5]], "prompt_eval_count": 8}
    player.script = [response(json.dumps(said).encode(), JSON)]

    def call() -> Any:
        with ollama.Client(host=f"http://127.0.0.1:{proxy.port}/ollama") as client:
            return client.embed(model="m", input=["abc"]).prompt_eval_count

    assert await asyncio.to_thread(call) == 8
    row = await _row(proxy)
    assert (row.operation, row.kind, row.tok_input) == ("embed", "embedding", 8)


async def test_an_error_in_the_middle_of_a_stream_is_told(proxy: Proxy, player: Player):
    body = b'{"model":"m","response":"a","done":false}\n{"error":"out of memory"}\n'
    player.script = [response(body, (b"content-type", b"application/x-ndjson"))]

    def call() -> None:
        with ollama.Client(host=f"http://127.0.0.1:{proxy.port}/ollama") as client:
            list(client.generate(model="m", prompt="a", stream=True))

    with pytest.raises(ollama.ResponseError, match="out of memory"):
        await asyncio.to_thread(call)
    row = await _row(proxy)
    assert (row.outcome, row.error_type) == ("upstream_error", "error_in_stream")


async def test_a_request_that_says_nothing_of_streams_gets_one(
    proxy: Proxy, player: Player
):
    tape = next(tape for tape in TAPES.values() if tape.streamed)
    player.playing = Playback(tape, framing=Framing.CHUNKED)
    url = f"http://127.0.0.1:{proxy.port}/ollama{tape.path}"
    asked = {key: said for key, said in tape.asked.items() if key != "stream"}
    async with httpx.AsyncClient() as client:
        answer = await client.post(url, json=asked)
    assert answer.content == tape.body
    row = await _row(proxy)
    assert (row.stream, row.outcome) == (True, "completed")
    assert row.tok_output == tape.usage[-1]["eval_count"]


async def test_a_list_of_models_is_no_step(proxy: Proxy, player: Player):
    player.script = [response(b'{"models":[]}', JSON)]

    def call() -> None:
        with ollama.Client(host=f"http://127.0.0.1:{proxy.port}/ollama") as client:
            assert client.list().models == []

    await asyncio.to_thread(call)
    row = await _row(proxy)
    assert (row.operation, row.is_step) == ("tags", False)


def _name(tape: Tape) -> str:
    return tape.path.rpartition("/")[2]


def _arguments(tape: Tape) -> dict[str, Any]:
    return {key: said for key, said in tape.asked.items() if said not in ("", None)}


async def _row(proxy: Proxy) -> Any:
    exchange = await proxy.only()
    (row,) = step_rows(exchange.open, exchange.close, exchange.end)
    return row


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
    row = await _row(proxy)
    assert (row.http_status, row.model_requested, row.stream) == (
        tape.status,
        tape.asked["model"],
        tape.streamed,
    )
    assert row.outcome == ("rejected" if tape.status >= 400 else "completed")
    if tape.usage:
        counts = tape.usage[-1]
        assert (row.tok_input, row.tok_output) == (
            counts.get("prompt_eval_count"),
            counts["eval_count"],
        )
        assert row.usage_source == UsageSource.PROVIDER
        assert json.loads(row.usage_json) == counts
