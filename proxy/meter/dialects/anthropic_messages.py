"""Anthropic Messages.

What lives here: `POST …/v1/messages`, streamed or not, and its neighbours (counting tokens, batches), also where Vertex
serves them (`…/publishers/anthropic/models/X:rawPredict`). What does not: reading the answer
(`proxy.meter.anthropic_answer`), the legacy text completions (`anthropic_complete`).

Usage is spread over a stream: `message_start` has the input and how it was cached, `message_delta` has totals that replace
it field by field (server tools make the input grow), the last one wins. Input excludes cache reads and writes; output
includes thinking. `iterations` bill further models, or the summary of a compaction, on top of the top-level numbers; each
becomes a part. Rules and counts: wire.md of the research, §1.1 to §1.3.
"""

import re
from functools import partial
from typing import Any
from urllib.parse import unquote

import msgspec
from msgspec.structs import replace

from proxy.meter import asks, lenient
from proxy.meter.answer import AnswerReader
from proxy.meter.anthropic_answer import AnthropicAnswer
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.unread import unmetered
from proxy.model import Ask, Kind

MESSAGES = Operation("messages", Kind.LLM, is_step=True, buffered=True)
COUNT_TOKENS = Operation("count_tokens", Kind.LLM, is_step=False, buffered=True)
BATCHES = Operation("message_batches", Kind.OTHER, is_step=False, buffered=False)

_PATH = re.compile(r".*/v1/messages(?P<sub>/count_tokens|/batches(?:/.*)?)?/?")
_VERTEX_PATH = re.compile(
    r".*/publishers/anthropic/models/(?P<model>[^/:]+?)(?::|%3[Aa])(?P<verb>rawPredict|streamRawPredict)/?"
)
_VERTEX_COUNTS = "count-tokens"
"""Stands in the model's place."""


class _Request(msgspec.Struct):
    model: Any = None
    stream: Any = None
    service_tier: Any = None
    max_tokens: Any = None
    system: msgspec.Raw = msgspec.Raw()
    messages: msgspec.Raw = msgspec.Raw()
    tools: msgspec.Raw = msgspec.Raw()


_REQUEST = msgspec.json.Decoder(_Request)


class AnthropicMessages:
    """See the module."""

    name = "anthropic_messages"

    def operation(self, method: str, path: str) -> Operation | None:
        """See `Dialect`."""
        found = _PATH.fullmatch(path)
        if found is None:
            return _on_vertex(method, path)
        sub = found["sub"] or ""
        if sub.startswith("/batches"):
            return BATCHES
        if method != "POST":
            return None
        return COUNT_TOKENS if sub else MESSAGES

    def read_request(self, operation: Operation, body: bytes | None) -> Ask:
        """See `Dialect`."""
        unread = body is None or not operation.buffered
        said = None if unread else asks.read(_REQUEST, body or b"")
        if said is None:
            ask = asks.blank(self.name, operation, well_formed=unread)
            return replace(ask, model=operation.model, stream=operation.stream)
        return Ask(
            dialect=self.name,
            operation=operation.name,
            kind=operation.kind,
            is_step=operation.is_step,
            model=lenient.text(said.model) or operation.model,
            stream=said.stream is True or operation.stream,
            service_tier=lenient.text(said.service_tier),
            input_chars=asks.prompt_chars(said.system, said.messages) + len(said.tools),
            max_output_tokens=lenient.count(said.max_tokens),
        )

    def reader(self, ask: Ask, head: Head) -> Reader:
        """See `Dialect`."""
        if ask.operation != MESSAGES.name:
            return unmetered(head.status)
        return AnswerReader(
            partial(AnthropicAnswer, head.status), head.status, head.content_type
        )


def _on_vertex(method: str, path: str) -> Operation | None:
    found = _VERTEX_PATH.fullmatch(path) if method == "POST" else None
    if found is None:
        return None
    if found["model"] == _VERTEX_COUNTS:
        return COUNT_TOKENS
    stream = found["verb"] == "streamRawPredict"
    return replace(MESSAGES, model=unquote(found["model"]), stream=stream)
