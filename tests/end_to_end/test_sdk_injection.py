"""Usage is asked for where the agent's SDK did not, and the SDK sees exactly what it would have got.

What lives here: an upstream that does what OpenAI does (counts in streams only when asked, and then marks each chunk), one that
refuses the field, and the SDK in front of both. What does not: recordings (`test_replay_recorded.py`).
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import openai
import pytest

from proxy.config import RouteSettings
from tests.helpers.origin import Exchange, RawOrigin
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.replay import odd_slices
from tests.helpers.sdk import Seen, client_for, refusal, see
from tests.helpers.wire import LAST_CHUNK, STREAM_HEAD, Message, chunk

# An SDK reads certificates and asks for the platform when it is made and first used, in whatever loop that is.
pytestmark = pytest.mark.blocking_allowed

USAGE = {
    "prompt_tokens": 117,
    "completion_tokens": 40,
    "total_tokens": 157,
    "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 8, "audio_tokens": 0},
}
BUCKETS = (53, 64, 32, 8)
"""Input, read from the cache, visible output, reasoning."""

TOOL = {
    "type": "function",
    "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}},
}
CALL = {
    "index": 0,
    "id": "call_1",
    "type": "function",
    "function": {"name": "look_up", "arguments": ""},
}
CHAT_DELTAS: list[dict[str, Any]] = [
    {"role": "assistant", "content": "", "refusal": None},
    {"content": '"usage":null, said the \U0001f980: {"choices":[]}\n\n'},
    {"tool_calls": [CALL]},
    {"tool_calls": [{"index": 0, "function": {"arguments": '{"usage":null}'}}]},
    {},
]


class OpenAIOrigin:
    """Answers streams as OpenAI does; `refuses` makes it an older server that knows no `stream_options`."""

    def __init__(self) -> None:
        self.refuses = False
        self.slices = False

    async def __call__(self, exchange: Exchange) -> None:
        asked = json.loads(exchange.request.body)
        options = asked.get("stream_options")
        if options is not None and self.refuses:
            await exchange.send(refused())
            return
        counts = bool(options and options.get("include_usage"))
        chat = exchange.request.target.endswith(b"/chat/completions")
        body = b"".join(_events(chat, counts))
        pieces = odd_slices(body) if self.slices else [body]
        await exchange.send(STREAM_HEAD)
        for piece in pieces:
            await exchange.send(chunk(piece))
            await asyncio.sleep(0)
        await exchange.send(LAST_CHUNK)


def refused() -> bytes:
    body = refusal("openai", 400)
    return body.replace(b"this is a 400", b"stream_options")


def _events(chat: bool, counts: bool) -> Iterable[bytes]:
    name = "chat.completion.chunk" if chat else "text_completion"
    common = {"id": "c-1", "object": name, "created": 1, "model": "gpt-4o-2024-08-06"}
    null = {"usage": None} if counts else {}
    deltas: list[Any] = CHAT_DELTAS if chat else ["a", " b", "\n\n", ""]
    for number, delta in enumerate(deltas, start=1):
        finish = "stop" if number == len(deltas) else None
        choice = {
            "index": 0,
            ("delta" if chat else "text"): delta,
            "logprobs": None,
            "finish_reason": finish,
        }
        yield _event(
            {**common, "choices": [choice], **null, "obfuscation": "x" * number}
        )
    if counts:
        yield _event({**common, "choices": [], "usage": USAGE, "obfuscation": ""})
    yield b"data: [DONE]\n\n"


def _event(fields: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(fields, separators=(",", ":")).encode() + b"\n\n"


@pytest.fixture
def upstream() -> OpenAIOrigin:
    return OpenAIOrigin()


@pytest.fixture
async def origin(upstream: OpenAIOrigin) -> AsyncIterator[RawOrigin]:
    async with RawOrigin(upstream) as origin:
        yield origin


@pytest.fixture
async def proxy(origin: RawOrigin, data_dir: Path) -> AsyncIterator[Proxy]:
    routes = {
        "local": RouteSettings(
            url=origin.url, kind="llm", provider="vllm", stream_usage="off"
        )
    }
    async with running(settings_for(data_dir, origin, routes=routes)) as proxy:
        yield proxy


Options = dict[str, Any]
OPTIONS: dict[str, Options] = {
    "nothing": {},
    "null": {"extra_body": {"stream_options": None}},
    "false": {"stream_options": {"include_usage": False}},
    "another-option": {"stream_options": {"include_obfuscation": True}},
    "tools": {"tools": [TOOL], "tool_choice": "auto"},
}
optioned = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
sliced = pytest.mark.parametrize("slices", [False, True], ids=["whole", "sliced"])


def stream_chat(client: openai.OpenAI, options: Options) -> Any:
    messages: Any = [{"role": "user", "content": "Wie heißt du? \u2028"}]
    return client.chat.completions.create(
        model="gpt-4o", messages=messages, stream=True, **options
    )


async def chat(url: str, options: Options) -> Seen:
    def call() -> Seen:
        with client_for("openai", url) as client:
            assert isinstance(client, openai.OpenAI)
            return see(lambda: stream_chat(client, options))

    return await asyncio.to_thread(call)


def through(proxy: Proxy, route: str = "openai") -> str:
    return f"http://127.0.0.1:{proxy.port}/{route}"


@sliced
@optioned
async def test_the_sdk_sees_what_it_would_have_got_and_the_tokens_are_known(
    options: Options,
    slices: bool,
    upstream: OpenAIOrigin,
    origin: RawOrigin,
    proxy: Proxy,
):
    upstream.slices = slices
    direct = await chat(origin.url, options)
    proxied = await chat(through(proxy), options)
    assert proxied == direct
    assert len(direct["events"]) == len(CHAT_DELTAS)
    own, passed = origin.requests
    wanted = json.loads(own.body)
    wanted["stream_options"] = {
        **(wanted.get("stream_options") or {}),
        "include_usage": True,
    }
    assert json.loads(passed.body) == wanted
    row = await proxy.only()
    usage = row.close.usage
    assert (usage.input, usage.cache_read, usage.output, usage.reasoning) == BUCKETS
    assert (row.close.usage_source, row.end.outcome) == ("provider", "completed")
    assert "usage_injected" in row.close.altered


@sliced
@pytest.mark.parametrize("path", [b"chat/completions", b"completions"])
async def test_the_bytes_of_the_answer_are_those_of_the_agents_own_request(
    path: bytes, slices: bool, upstream: OpenAIOrigin, proxy: Proxy
):
    upstream.slices = slices
    body = b'{"model":"gpt-3.5-turbo-instruct","prompt":"x","stream":true}'
    head = b"POST /openai/v1/%b HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    answer = await proxy.call(head % (path, len(body)) + body)
    assert answer.body == b"".join(_events(path.startswith(b"chat"), counts=False))
    assert (await proxy.only()).close.usage.total() == 157


async def test_who_asks_for_usage_gets_it_and_nothing_is_altered(
    origin: RawOrigin, proxy: Proxy
):
    options: Options = {"stream_options": {"include_usage": True}}
    direct = await chat(origin.url, options)
    assert await chat(through(proxy), options) == direct
    assert direct["events"][-1]["usage"]["total_tokens"] == 157
    assert _bodies(origin.requests)[0] == _bodies(origin.requests)[1]
    assert not {"usage_injected", "injection_refused"} & {
        *(await proxy.only()).close.altered
    }


async def test_legacy_completions_are_asked_for_usage_too(
    origin: RawOrigin, proxy: Proxy
):
    def call(url: str) -> Seen:
        with client_for("openai", url) as client:
            assert isinstance(client, openai.OpenAI)
            return see(
                lambda: client.completions.create(
                    model="gpt-3.5-turbo-instruct", prompt="x", stream=True
                )
            )

    direct = await asyncio.to_thread(call, origin.url)
    proxied = await asyncio.to_thread(call, through(proxy))
    assert proxied == direct
    assert (await proxy.only()).close.usage.total() == 157


async def test_a_route_that_is_told_not_to_ask_does_not_ask(
    origin: RawOrigin, proxy: Proxy
):
    direct = await chat(origin.url, {})
    assert await chat(through(proxy, "local"), {}) == direct
    assert _bodies(origin.requests)[0] == _bodies(origin.requests)[1]
    assert (await proxy.only()).close.usage_source == "estimated"


async def test_a_refused_field_is_taken_back_once_and_remembered(
    upstream: OpenAIOrigin, origin: RawOrigin, proxy: Proxy
):
    upstream.refuses = True
    direct = [await chat(origin.url, {}) for _ in range(2)]
    (own, _), origin.requests[:] = _bodies(origin.requests), []
    assert [await chat(through(proxy), {}) for _ in range(2)] == direct
    injected, *others = _bodies(origin.requests)
    assert others == [own, own]
    assert b"include_usage" in injected
    rows = await proxy.ended(2)
    assert ["injection_refused" in row.close.altered for row in rows] == [True, False]
    assert not any("usage_injected" in row.close.altered for row in rows)
    assert [(row.close.usage_source, row.end.outcome) for row in rows] == [
        ("estimated", "completed")
    ] * 2
    assert len({row.open.step_id for row in rows}) == 2


async def test_another_refusal_reaches_the_sdk_as_it_is_and_nothing_is_sent_again(
    upstream: OpenAIOrigin, origin: RawOrigin, proxy: Proxy
):
    async def refuse(exchange: Exchange) -> None:
        await exchange.send(refusal("openai", 400))

    origin.handler = refuse
    direct, proxied = await chat(origin.url, {}), await chat(through(proxy), {})
    assert proxied == direct
    assert direct["error"]["status_code"] == 400
    assert len(origin.requests) == 2
    assert (await proxy.only()).end.outcome == "rejected"


async def test_many_streams_at_once_are_each_given_their_own(
    origin: RawOrigin, proxy: Proxy
):
    asked = list(itertools.islice(itertools.cycle(OPTIONS.values()), 30))
    direct = [await chat(origin.url, options) for options in OPTIONS.values()]
    proxied = await asyncio.gather(
        *(chat(through(proxy), options) for options in asked)
    )
    assert proxied == list(itertools.islice(itertools.cycle(direct), 30))
    assert {row.close.usage.total() for row in await proxy.ended(30)} == {157}


def _bodies(requests: list[Message]) -> list[bytes]:
    return [request.body for request in requests]
