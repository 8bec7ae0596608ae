"""Groq's SDK with nothing changed but the base URL, against an upstream that says what Groq says.

What lives here: recorded calls, and written ones for tools and errors, sync and async. What does not: other SDKs.
"""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import groq
import pytest

from proxy.config import RouteSettings
from proxy.model import UsageSource
from tests.helpers.arithmetic import expected_buckets
from tests.helpers.origin import RawOrigin
from tests.helpers.pairs import rows_of, see_both, tokens
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.recordings import SUBSET
from tests.helpers.replay import Framing, Playback, Player, tapes
from tests.helpers.sdk import arguments
from tests.helpers.wire import response

pytestmark = [
    pytest.mark.big,
    # An SDK reads certificates and asks for the platform when it is made and first used, in whatever loop that is.
    pytest.mark.blocking_allowed,
]
both_ways = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
TAPES = {tape.id: tape for tape in tapes(SUBSET, "groq")}
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
ASKED: dict[str, Any] = {
    "model": "llama-3.3-70b-versatile",
    "messages": [{"role": "user", "content": "Hello."}],
}


def client_for(url: str, is_async: bool) -> Any:
    make = groq.AsyncGroq if is_async else groq.Groq
    return make(base_url=url, api_key="gsk_" + "a" * 52, max_retries=0)


@pytest.fixture
def player() -> Player:
    return Player()


@pytest.fixture
async def origin(player: Player) -> AsyncIterator[RawOrigin]:
    async with RawOrigin(player) as origin:
        yield origin


@pytest.fixture
async def proxy(origin: RawOrigin, data_dir: Path) -> AsyncIterator[Proxy]:
    routes = {"groq": RouteSettings(url=origin.url)}
    async with running(settings_for(data_dir, origin, routes=routes)) as proxy:
        yield proxy


@both_ways
@pytest.mark.parametrize("tape", TAPES.values(), ids=TAPES)
async def test_what_was_recorded_is_seen_as_without_the_proxy(
    tape, is_async, origin, proxy, player
):
    player.playing = Playback(tape, framing=Framing.CHUNKED)

    def call(client: Any) -> Any:
        method = client.chat.completions.create
        return method(**arguments(method, tape))

    seen = await see_both(client_for, "groq", call, origin, proxy, is_async=is_async)
    assert "error" not in seen
    (row,) = await rows_of(proxy, 1)
    assert tokens(row) == expected_buckets(tape.recording)
    assert (row.provider, row.outcome) == ("groq", "completed")
    assert row.usage_source == UsageSource.PROVIDER
    assert Decimal(row.cost_usd or 0) > 0


def stream_of(*events: bytes) -> bytes:
    return response(b"".join(events), (b"content-type", b"text/event-stream"))


def event(value: dict[str, Any], name: bytes = b"") -> bytes:
    return name + b"data: %b\n\n" % json.dumps(value).encode()


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return event(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "llama-3.3-70b-versatile",
            "choices": [choice],
            **more,
        }
    )


DONE = b"data: [DONE]\n\n"
TOOL_CALL = {
    "index": 0,
    "id": "qd6a8jmbt",
    "type": "function",
    "function": {"name": "look_up", "arguments": '{"of":"x"}'},
}
ERROR = {
    "error": {
        "message": "Failed to call a function.",
        "type": "invalid_request_error",
        "code": "tool_use_failed",
    }
}


@both_ways
async def test_a_streamed_tool_call_is_counted(is_async, origin, proxy, player):
    answer = stream_of(
        chunk({"role": "assistant", "tool_calls": [TOOL_CALL]}),
        chunk({}, "tool_calls", x_groq={"id": "req_1", "usage": USAGE}),
        DONE,
    )
    player.script = [answer, answer]

    def call(client: Any) -> Any:
        return client.chat.completions.create(**ASKED, stream=True)

    seen = await see_both(client_for, "groq", call, origin, proxy, is_async=is_async)
    assert len(seen["events"]) == 2
    (row,) = await rows_of(proxy, 1)
    assert tokens(row) == {"input": 9, "output": 4}
    assert (row.finish_reason, row.outcome) == ("tool_calls", "completed")


@both_ways
async def test_an_error_inside_of_a_stream_is_one(is_async, origin, proxy, player):
    answer = stream_of(chunk({"content": "a"}), event(ERROR, b"event: error\n"))
    player.script = [answer, answer]

    def call(client: Any) -> Any:
        return client.chat.completions.create(**ASKED, stream=True)

    seen = await see_both(client_for, "groq", call, origin, proxy, is_async=is_async)
    assert seen["error"]["type"] is groq.APIError
    (row,) = await rows_of(proxy, 1)
    assert (row.outcome, row.http_status) == ("upstream_error", 200)


@both_ways
async def test_a_refusal_is_one(is_async, origin, proxy, player):
    error = {"error": {"message": "Invalid API Key", "type": "invalid_request_error", "code": "invalid_api_key"}}  # fmt: skip
    json_type = (b"content-type", b"application/json")
    answer = response(json.dumps(error).encode(), json_type, status=b"401 Unauthorized")
    player.script = [answer, answer]

    def call(client: Any) -> Any:
        return client.chat.completions.create(**ASKED)

    seen = await see_both(client_for, "groq", call, origin, proxy, is_async=is_async)
    assert seen["error"]["type"] is groq.AuthenticationError
    (row,) = await rows_of(proxy, 1)
    assert (row.outcome, row.error_type, tokens(row)) == ("rejected", "auth", {})
