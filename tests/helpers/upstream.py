"""The upstream of the drills: a provider and a tool on one raw socket that stream with pauses.

What lives here: the kinds of calls, their requests and answers, and what the upstream saw. What does not: who calls
(`load.py`). A streamed answer pauses between its events, and once more between its terminal event and its end, so that a
process killed at any moment is often killed there.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.helpers import sse
from tests.helpers.origin import Exchange, RawOrigin
from tests.helpers.wire import LAST_CHUNK, STREAM_HEAD, chunk, request, response

PAUSE_SECONDS = 0.02
"""Longest pause between two events."""
GAP_SECONDS = 0.08
"""Longest pause between the terminal event and the end of a stream."""

_JSON = (b"Content-Type", b"application/json")
_ASKED = {"role": "user", "content": "Which trains leave Bern after nine?"}


@dataclass(frozen=True)
class Kind:
    """One kind of call: where it goes, what it says, how its answer ends."""

    name: str
    path: str
    body: tuple[tuple[str, Any], ...] = field(default=(), repr=False)
    terminal: bytes = b""
    """The bytes of the event that ends the answer; empty where only the last byte does."""

    def request(self, call_id: str) -> bytes:
        """Give the whole request of a call; its id stands in the run and, for the upstream, in the query."""
        target = f"{self.path}?call={call_id}".encode()
        headers = [(b"x-tacho-run", call_id.encode())]
        if not self.body:
            return request(target, *headers)
        body = json.dumps(dict(self.body)).encode()
        return request(target, *headers, _JSON, method=b"POST", body=body)

    def ends_in(self, raw: bytes) -> bool:
        """Whether the terminal event stands in what came."""
        return bool(self.terminal) and self.terminal in raw


def _ask(model: str, **fields: Any) -> tuple[tuple[str, Any], ...]:
    asked = {"model": model, "max_tokens": 64, "messages": [_ASKED], **fields}
    return tuple(asked.items())


_CHAT = "/openai/v1/chat/completions"
_MESSAGES = "/anthropic/v1/messages"
_DONE = b"data: [DONE]\n"
_USAGE = {"stream_options": {"include_usage": True}}
KINDS = (
    Kind("chat", _CHAT, _ask("gpt-4o")),
    Kind("chat_stream", _CHAT, _ask("gpt-4o", stream=True, **_USAGE), _DONE),
    Kind("chat_stream_injected", _CHAT, _ask("gpt-4o", stream=True), _DONE),
    Kind("messages", _MESSAGES, _ask("claude-sonnet-4-5")),
    Kind("messages_stream", _MESSAGES, _ask("claude-sonnet-4-5", stream=True), sse.ANTHROPIC_STOP[:-1]),
    Kind("tool", "/tool/search"),
)  # fmt: skip


class Upstream:
    """Answers every kind of call, and knows which ones arrived how often."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._origin = RawOrigin(self._answer, record=False)
        self.arrived: Counter[str] = Counter()
        """How often each call came."""
        self.gaps = 0
        """How many answers have come to the pause before their end."""
        self.held = asyncio.Event()
        """Cleared: streams stay open before their terminal event, until it is set again."""
        self.held.set()
        self.holding = 0
        """Streams that stand there now."""

    @property
    def url(self) -> str:
        return self._origin.url

    async def start(self) -> None:
        await self._origin.__aenter__()

    async def close(self) -> None:
        await self._origin.__aexit__(None, None, None)

    async def _answer(self, exchange: Exchange) -> None:
        target = exchange.request.target.decode()
        call_id = parse_qs(urlsplit(target).query)["call"][0]
        self.arrived[call_id] += 1
        dice = random.Random(f"{self._seed}:{call_id}")
        body = json.loads(exchange.request.body or b"{}")
        await asyncio.sleep(dice.uniform(0, PAUSE_SECONDS))
        if body.get("stream"):
            await self._stream(exchange, _events(target, body), dice)
        else:
            await exchange.send(response(_whole(target), _JSON))

    async def _stream(
        self, exchange: Exchange, events: Sequence[bytes], dice: random.Random
    ) -> None:
        await exchange.send(STREAM_HEAD)
        for event in events[:-1]:
            await exchange.send(chunk(event))
            await asyncio.sleep(dice.uniform(0, PAUSE_SECONDS))
        self.holding += 1
        try:
            await self.held.wait()
        finally:
            self.holding -= 1
        await exchange.send(chunk(events[-1]))
        self.gaps += 1
        await asyncio.sleep(dice.uniform(0, GAP_SECONDS))
        await exchange.send(LAST_CHUNK)


def _events(target: str, body: dict[str, Any]) -> list[bytes]:
    if target.startswith("/v1/messages"):
        return sse.anthropic_stream("Two ", "trains.")
    usage = "include_usage" in body.get("stream_options", {})
    return [
        *(sse.openai_text(text) for text in ("Two ", "trains.")),
        sse.openai_text("", finish="stop"),
        *([sse.openai_usage(12, 3)] if usage else []),
        sse.OPENAI_DONE,
    ]


def _whole(target: str) -> bytes:
    if target.startswith("/v1/messages"):
        usage = {"input_tokens": 25, "output_tokens": 15}
        content = [{"type": "text", "text": "Two trains."}]
        answer = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5"}  # fmt: skip
        more: dict[str, Any] = {"content": content, "stop_reason": "end_turn"}
    elif target.startswith("/v1/chat"):
        usage = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
        message = {"role": "assistant", "content": "Two trains."}
        answer = {"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o-2024-08-06"}  # fmt: skip
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        more = {"choices": [choice]}
    else:
        return json.dumps({"trains": ["IC 1", "IR 15"]}).encode()
    return json.dumps({**answer, **more, "usage": usage}).encode()
