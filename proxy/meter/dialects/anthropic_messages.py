"""Anthropic Messages.

What lives here: `POST …/v1/messages`, streamed or not, and its neighbours (counting tokens, batches). What does not: the
legacy text completions (`anthropic_complete`).

Usage is spread over a stream: `message_start` has the input and how it was cached, `message_delta` has totals that replace
it field by field (server tools make the input grow), the last one wins. Input excludes cache reads and writes; output
includes thinking. `iterations` bill further models, or the summary of a compaction, on top of the top-level numbers; each
becomes a part. Rules and counts: wire.md of the research, §1.1 to §1.3.
"""

import re
from functools import partial
from typing import Any

import msgspec

from proxy.meter import anthropic_usage, asks, lenient
from proxy.meter.answer import AnswerReader
from proxy.meter.deltas import PlainDeltas
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.draft import Draft
from proxy.meter.unread import unmetered
from proxy.model import Ask, Kind

MESSAGES = Operation("messages", Kind.LLM, is_step=True, buffered=True)
COUNT_TOKENS = Operation("count_tokens", Kind.LLM, is_step=False, buffered=True)
BATCHES = Operation("message_batches", Kind.OTHER, is_step=False, buffered=False)

_PATH = re.compile(r".*/v1/messages(?P<sub>/count_tokens|/batches(?:/.*)?)?/?")


class _Request(msgspec.Struct):
    model: Any = None
    stream: Any = None
    service_tier: Any = None
    max_tokens: Any = None
    system: msgspec.Raw = msgspec.Raw()
    messages: msgspec.Raw = msgspec.Raw()
    tools: msgspec.Raw = msgspec.Raw()


class _Block(msgspec.Struct):
    type: Any = None
    id: Any = None
    name: Any = None
    text: Any = None
    thinking: Any = None
    input: msgspec.Raw = msgspec.Raw()


class _Delta(msgspec.Struct):
    type: Any = None
    text: Any = None
    thinking: Any = None
    partial_json: Any = None
    stop_reason: Any = None


class _Message(msgspec.Struct):
    id: Any = None
    model: Any = None
    stop_reason: Any = None
    content: msgspec.Raw = msgspec.Raw()
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class _Event(msgspec.Struct):
    type: Any = None
    index: Any = None
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_REQUEST = msgspec.json.Decoder(_Request)
_EVENT = msgspec.json.Decoder(_Event)
_MESSAGE = msgspec.json.Decoder(_Message)
_BLOCKS = msgspec.json.Decoder(list[_Block] | None)

_DELTA_EVENT = b"event: content_block_delta"
_DELTA_KEYS = {
    "text_delta": b'"text":"',
    "thinking_delta": b'"thinking":"',
    "input_json_delta": b'"partial_json":"',
}


class AnthropicMessages:
    """See the module."""

    name = "anthropic_messages"

    def operation(self, method: str, path: str) -> Operation | None:
        """See `Dialect`."""
        found = _PATH.fullmatch(path)
        if found is None:
            return None
        sub = found["sub"] or ""
        if sub.startswith("/batches"):
            return BATCHES
        if method != "POST":
            return None
        return COUNT_TOKENS if sub else MESSAGES

    def read_request(self, operation: Operation, body: bytes | None) -> Ask:
        """See `Dialect`."""
        if body is None or not operation.buffered:
            return asks.blank(self.name, operation)
        said = asks.read(_REQUEST, body)
        if said is None:
            return asks.blank(self.name, operation, well_formed=False)
        return Ask(
            dialect=self.name,
            operation=operation.name,
            kind=operation.kind,
            is_step=operation.is_step,
            model=lenient.text(said.model),
            stream=said.stream is True,
            service_tier=lenient.text(said.service_tier),
            input_chars=asks.prompt_chars(said.system, said.messages) + len(said.tools),
            max_output_tokens=lenient.count(said.max_tokens),
        )

    def reader(self, ask: Ask, head: Head) -> Reader:
        """See `Dialect`."""
        if ask.operation != MESSAGES.name:
            return unmetered(head.status)
        return AnswerReader(
            partial(_Family, head.status), head.status, head.content_type
        )


class _Family:
    def __init__(self, status: int) -> None:
        self.draft = Draft(status)
        self._deltas = PlainDeltas()
        self._usage: dict[str, Any] = {}

    def plain(self, line: bytes) -> bool:
        return self._deltas.take(line) or line == _DELTA_EVENT

    def event(self, name: bytes, data: bytes) -> None:
        said = lenient.load(_EVENT, data)
        kind = lenient.text(said.type)
        if kind == "content_block_delta" and said.delta is not None:
            self._take_delta(said.delta, said.index, data)
        elif kind == "content_block_start" and said.content_block is not None:
            self._take_block(said.index, said.content_block, whole=False)
        elif kind == "message_start" and said.message is not None:
            self._take_message(said.message)
        elif kind == "message_delta":
            reason = said.delta.stop_reason if said.delta else None
            self.draft.finish_reason = lenient.text(reason) or self.draft.finish_reason
            self._take_usage(said.usage)
        elif kind == "message_stop":
            self.draft.terminal = True
        elif kind == "error":
            self.draft.fail(lenient.value(said.error))

    def document(self, body: bytes) -> None:
        said = lenient.load(_MESSAGE, body)
        self._take_message(said)
        if self.draft.usage is not None:
            self.draft.usage_json = bytes(said.usage)
        if lenient.value(said.error):
            self.draft.fail(lenient.value(said.error))

    def _take_message(self, said: _Message) -> None:
        draft = self.draft
        draft.identify(said.id, said.model)
        draft.finish_reason = lenient.text(said.stop_reason)
        self._take_usage(said.usage)
        blocks = lenient.load(_BLOCKS, said.content) if said.content else None
        for index, block in enumerate(blocks or ()):
            self._take_block(index, block, whole=True)

    def _take_block(self, index: Any, block: _Block, *, whole: bool) -> None:
        draft = self.draft
        draft.output.add(block.text)
        draft.reasoning.add(block.thinking)
        if block.type == "tool_use":
            draft.output_started = True
            call = draft.call(
                lenient.count(index), lenient.text(block.id), lenient.text(block.name)
            )
            call.first = bytes(block.input)
        elif block.type == "server_tool_use" and whole:
            draft.output.add(lenient.value(block.input))

    def _take_delta(self, delta: _Delta, index: Any, data: bytes) -> None:
        draft = self.draft
        key = _DELTA_KEYS.get(lenient.text(delta.type))
        text = delta.text or delta.thinking or delta.partial_json
        if key is None or not isinstance(text, str):
            return
        draft.output_started = True
        call = draft.calls.get(lenient.count(index))
        if delta.type == "thinking_delta":
            into = draft.reasoning.parts
        elif call is not None and delta.type == "input_json_delta":
            into = call.arguments
        else:
            into = draft.output.parts
        into.append(lenient.escape(text))
        self._deltas.learn(b"data: " + data, key, text, into)

    def _take_usage(self, raw: msgspec.Raw) -> None:
        said = lenient.table(raw)
        if said is None:
            return
        draft = self.draft
        self._usage.update(
            (name, found) for name, found in said.items() if found is not None
        )
        draft.usage = anthropic_usage.buckets(self._usage)
        draft.usage_json = msgspec.json.encode(self._usage)
        draft.parts = anthropic_usage.parts(self._usage, draft.model)
        draft.server_tool_uses = anthropic_usage.server_tools(self._usage)
        draft.service_tier = lenient.text(self._usage.get("service_tier"))
