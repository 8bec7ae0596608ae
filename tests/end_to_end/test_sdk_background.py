"""Responses that the provider makes in the background: their tokens come with a later call, and are counted once.

What lives here: asking again by id, and streams that are taken up again. What does not: plain calls (`test_sdk_recorded.py`).
"""

import json
from typing import Any

import openai
import pytest

from tests.helpers.meter import named
from tests.helpers.origin import Exchange, RawOrigin
from tests.helpers.proxy import Proxy
from tests.helpers.sdk import on_both
from tests.helpers.sse import streamed
from tests.helpers.wire import response

# An SDK reads certificates and asks for the platform when it is made and first used, in whatever loop that is.
pytestmark = pytest.mark.blocking_allowed


def answer(body: Any) -> bytes:
    return response(json.dumps(body).encode(), (b"content-type", b"application/json"))


def stored(status: str, usage: dict[str, Any] | None) -> dict[str, Any]:
    """Give a response as the provider keeps it."""
    text = {"type": "output_text", "text": "Hi.", "annotations": []}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [text],
    }
    return {
        "id": "resp_background_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "background": True,
        "model": "gpt-4o-2024-08-06",
        "output": [message] if usage else [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage,
    }


RESPONSES_USAGE = {
    "input_tokens": 30,
    "input_tokens_details": {"cached_tokens": 10},
    "output_tokens": 12,
    "output_tokens_details": {"reasoning_tokens": 4},
    "total_tokens": 42,
}


async def test_a_background_response_is_billed_once_by_the_call_that_first_shows_its_tokens(
    origin: RawOrigin, proxy: Proxy
):
    async def handler(exchange: Exchange) -> None:
        number = len(origin.requests)
        done = exchange.request.method == b"GET" and number % 4 in (3, 0)
        status = "completed" if done else "queued"
        await exchange.send(answer(stored(status, RESPONSES_USAGE if done else None)))

    def session(client: openai.OpenAI) -> list[Any]:
        made = client.responses.create(
            model="gpt-4o", input="Say hello.", background=True
        )
        later = [client.responses.retrieve(made.id) for _ in range(3)]
        return [each.model_dump() for each in (made, *later)]

    origin.handler = handler
    seen = await on_both("openai", session, origin, proxy)
    assert [each["status"] for each in seen] == [
        "queued",
        "queued",
        "completed",
        "completed",
    ]
    rows = await proxy.ended(4)
    assert [row.open.operation for row in rows] == ["responses", *["responses_get"] * 3]
    assert [row.open.is_step for row in rows] == [True, False, False, False]
    assert [row.close.usage_source for row in rows] == [
        "none",
        "none",
        "provider",
        "none",
    ]
    billed = rows[2].close
    assert (
        billed.usage.input,
        billed.usage.cache_read,
        billed.usage.output,
        billed.usage.reasoning,
    ) == (20, 10, 8, 4)
    assert {row.close.response_id for row in rows} == {"resp_background_1"}
    assert (billed.cost.total() or 0) > 0


async def test_responses_that_are_streamed_in_the_background_are_billed_once_too(
    origin: RawOrigin, proxy: Proxy
):
    events = [
        {
            "type": "response.created",
            "sequence_number": 0,
            "response": stored("queued", None),
        },
        {
            "type": "response.in_progress",
            "sequence_number": 1,
            "response": stored("in_progress", None),
        },
        {
            "type": "response.completed",
            "sequence_number": 2,
            "response": stored("completed", RESPONSES_USAGE),
        },
    ]

    async def handler(exchange: Exchange) -> None:
        await exchange.send(streamed(named(*events)))

    def session(client: openai.OpenAI) -> list[Any]:
        first = client.responses.create(
            model="gpt-4o", input="Hello.", background=True, stream=True
        )
        seen = [event.model_dump() for event in first]
        again = client.responses.retrieve(
            "resp_background_1", stream=True, starting_after=1
        )
        return seen + [event.model_dump() for event in again]

    origin.handler = handler
    assert len(await on_both("openai", session, origin, proxy)) == 6
    made, resumed = await proxy.ended(2)
    assert (made.close.usage_source, made.close.usage.total()) == ("provider", 42)
    assert (resumed.close.usage_source, resumed.close.usage.total()) == ("none", 0)
