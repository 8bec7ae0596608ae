"""Calls of the SDKs that are more than one question and one answer, or less.

What lives here: counting tokens, lists of models, other models billed
inside of an answer, our headers. What does not: plain calls (`test_sdk_recorded.py`), responses in the
background (`test_sdk_background.py`).
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from exporters.enrich.rows import step_rows
from tests.helpers.origin import Exchange, RawOrigin
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.recordings import SUBSET
from tests.helpers.replay import Playback, Player, tapes
from tests.helpers.sdk import client_for, on_both
from tests.helpers.wire import response

pytestmark = [
    # An SDK reads certificates and asks for the platform when it is made and first used, in whatever loop that is.
    pytest.mark.blocking_allowed,
    pytest.mark.filterwarnings("ignore:The model .* is deprecated:DeprecationWarning"),
]

JSON = (b"content-type", b"application/json")
ASKED: list[Any] = [{"role": "user", "content": "Say hello, please."}]
CLAUDE = "claude-sonnet-4-5"


@pytest.fixture
async def proxy(origin: RawOrigin, data_dir: Path) -> AsyncIterator[Proxy]:
    async with running(settings_for(data_dir, origin, response_headers=True)) as proxy:
        yield proxy


def answer(body: Any) -> bytes:
    return response(json.dumps(body).encode(), JSON)


async def test_counting_tokens_and_listing_models_are_no_steps_and_cost_nothing(
    origin: RawOrigin, proxy: Proxy
):
    async def handler(exchange: Exchange) -> None:
        counts = exchange.request.target.startswith(b"/v1/messages/count_tokens")
        models = {"data": [], "has_more": False, "first_id": None, "last_id": None}
        await exchange.send(answer({"input_tokens": 2095} if counts else models))

    def session(client: anthropic.Anthropic) -> list[Any]:
        counted = client.messages.count_tokens(model=CLAUDE, messages=ASKED)
        return [
            counted.model_dump(),
            [each.model_dump() for each in client.models.list()],
        ]

    origin.handler = handler
    assert (await on_both("anthropic", session, origin, proxy))[0][
        "input_tokens"
    ] == 2095
    rows = await proxy.ended(2)
    assert rows[0].open.operation == "count_tokens"
    for row in rows:
        assert not row.open.is_step
        assert (row.close.usage_source, row.close.usage.total()) == ("none", 0)
        assert row.close.cost.total() is None
        assert row.end.outcome == "completed"


ITERATIONS = [
    {
        "type": "message",
        "input_tokens": 100,
        "output_tokens": 50,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0,
    },
    {
        "type": "advisor_message",
        "model": "claude-opus-4-5",
        "input_tokens": 400,
        "output_tokens": 70,
        "cache_read_input_tokens": 5,
        "cache_creation_input_tokens": 0,
    },
    {
        "type": "compaction",
        "input_tokens": 900,
        "output_tokens": 30,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0,
    },
    {
        "type": "message",
        "input_tokens": 20,
        "output_tokens": 10,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0,
    },
]


async def test_other_models_billed_inside_an_answer_are_rows_with_tokens_and_cost_only(
    origin: RawOrigin, proxy: Proxy
):
    usage = {
        "input_tokens": 120,
        "output_tokens": 60,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0,
        "iterations": ITERATIONS,
    }
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": CLAUDE,
        "content": [{"type": "text", "text": "Hi."}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }

    async def handler(exchange: Exchange) -> None:
        await exchange.send(answer(body))

    def session(client: anthropic.Anthropic) -> Any:
        made = client.beta.messages.create(model=CLAUDE, max_tokens=64, messages=ASKED)
        return made.model_dump(warnings=False)

    origin.handler = handler
    await on_both("anthropic", session, origin, proxy)
    exchange = await proxy.only()
    rows = step_rows(exchange.open, exchange.close, exchange.end)
    found = [
        (row.part, row.model_served, row.tok_input, row.tok_cache_read, row.tok_output)
        for row in rows
    ]
    assert found == [
        (0, CLAUDE, 120, 0, 60),
        (1, "claude-opus-4-5", 400, 5, 70),
        (2, CLAUDE, 900, 0, 30),
    ]
    assert len({row.attempt_id for row in rows}) == 1
    assert [row.is_step for row in rows] == [True, False, False]
    assert all(row.cost_usd and float(row.cost_usd) > 0 for row in rows)
    assert {row.duration_us for row in rows[1:]} == {None}


async def test_an_answer_names_its_run_step_and_attempt_to_the_sdk(
    origin: RawOrigin, proxy: Proxy
):
    player = Player()
    player.playing = Playback(
        next(
            t
            for t in tapes(SUBSET, "openai")
            if t.api == "chat" and t.usage and not t.streamed
        )
    )
    origin.handler = player

    def call(url: str, headers: dict[str, str]) -> dict[str, str]:
        with client_for("openai", url) as client:
            assert isinstance(client, openai.OpenAI)
            raw = client.chat.completions.with_raw_response.create(
                model="gpt-4o", messages=ASKED, extra_headers=headers
            )
            return {
                name: value
                for name, value in raw.headers.items()
                if name.startswith("x-tacho-")
            }

    base = f"http://127.0.0.1:{proxy.port}"
    by_path = await asyncio.to_thread(call, f"{base}/run/r-1/openai", {})
    by_header = await asyncio.to_thread(call, f"{base}/openai", {"x-tacho-run": "r-2"})
    first, second = await proxy.ended(2)
    for said, row, run in ((by_path, first, "r-1"), (by_header, second, "r-2")):
        assert (said["x-tacho-run"], said["x-tacho-attempt"]) == (run, "0")
        assert said["x-tacho-step"] == row.open.step_id
        assert (row.open.run_id, row.open.run_source, row.open.step_seq) == (
            run,
            "explicit",
            1,
        )
    assert not [
        name
        for request in origin.requests
        for name, _ in request.headers
        if name.lower().startswith(b"x-tacho-")
    ]
    assert {request.target for request in origin.requests} == {b"/v1/chat/completions"}
