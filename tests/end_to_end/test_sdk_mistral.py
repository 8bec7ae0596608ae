"""Mistral's SDK with nothing changed but the server URL, against an upstream that says what Mistral says.

What lives here: recorded calls, tools among them, and written errors, sync and async. What does not: other SDKs.
"""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from mistralai.client import Mistral
from mistralai.client.errors import HTTPValidationError, SDKError

from proxy.config import RouteSettings
from proxy.model import UsageSource
from tests.helpers.arithmetic import expected_buckets
from tests.helpers.origin import RawOrigin
from tests.helpers.pairs import rows_of, see_both, tokens
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.recordings import SUBSET
from tests.helpers.replay import Framing, Playback, Player, tapes
from tests.helpers.wire import response

pytestmark = [
    pytest.mark.big,
    # An SDK reads certificates when it is made and first used, in whatever loop that is.
    pytest.mark.blocking_allowed,
]
both_ways = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
TAPES = {tape.id: tape for tape in tapes(SUBSET, "mistral")}


def client_for(url: str, is_async: bool) -> Any:
    return Mistral(api_key="a" * 32, server_url=url)


@pytest.fixture
def player() -> Player:
    return Player()


@pytest.fixture
async def origin(player: Player) -> AsyncIterator[RawOrigin]:
    async with RawOrigin(player) as origin:
        yield origin


@pytest.fixture
async def proxy(origin: RawOrigin, data_dir: Path) -> AsyncIterator[Proxy]:
    routes = {"mistral": RouteSettings(url=origin.url)}
    async with running(settings_for(data_dir, origin, routes=routes)) as proxy:
        yield proxy


@both_ways
@pytest.mark.parametrize("tape", TAPES.values(), ids=TAPES)
async def test_what_was_recorded_is_seen_as_without_the_proxy(
    tape, is_async, origin, proxy, player
):
    player.playing = Playback(tape, framing=Framing.CHUNKED)
    asked = tape.asked
    asked.pop("stream", None)

    def call(client: Any) -> Any:
        if tape.path.endswith("/embeddings"):
            api = client.embeddings
            method = api.create_async if is_async else api.create
            others = {name: asked[name] for name in asked if name != "input"}
            return method(inputs=asked["input"], **others)
        name = ("stream" if tape.streamed else "complete") + "_async" * is_async
        return getattr(client.chat, name)(**asked)

    seen = await see_both(client_for, "mistral", call, origin, proxy, is_async=is_async)
    assert "error" not in seen
    (row,) = await rows_of(proxy, 1)
    assert tokens(row) == expected_buckets(tape.recording)
    assert (row.provider, row.outcome) == ("mistral", "completed")
    assert row.usage_source == UsageSource.PROVIDER
    assert row.altered == ("path_prefix",)
    assert Decimal(row.cost_usd or 0) > 0


@both_ways
@pytest.mark.parametrize(
    ("status", "body", "error", "error_type"),
    [
        (
            b"401 Unauthorized",
            {"object": "error", "message": "Unauthorized", "type": "x", "code": 1},
            SDKError,
            "auth",
        ),
        (
            b"422 Unprocessable Entity",
            {
                "detail": [
                    {"type": "extra_forbidden", "loc": ["body", "x"], "msg": "no"}
                ]
            },
            HTTPValidationError,
            "invalid_request",
        ),
        (
            b"429 Too Many Requests",
            {"message": "Requests rate limit exceeded"},
            SDKError,
            "rate_limited",
        ),
    ],
    ids=["object", "detail", "message"],
)
async def test_refusals_of_all_shapes_are_seen_and_told(
    status, body, error, error_type, is_async, origin, proxy, player
):
    json_type = (b"content-type", b"application/json")
    answer = response(json.dumps(body).encode(), json_type, status=status)
    player.script = [answer, answer]
    asked = {
        "model": "mistral-small-latest",
        "messages": [{"role": "user", "content": "Hello."}],
    }

    def call(client: Any) -> Any:
        api = client.chat
        return (api.complete_async if is_async else api.complete)(**asked)

    seen = await see_both(client_for, "mistral", call, origin, proxy, is_async=is_async)
    assert seen["error"]["type"] is error
    (row,) = await rows_of(proxy, 1)
    assert (row.outcome, row.error_type, tokens(row)) == ("rejected", error_type, {})
