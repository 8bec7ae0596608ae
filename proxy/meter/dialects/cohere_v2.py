"""Cohere's second chat API.

What lives here: `POST …/v2/chat`, streamed or not. What does not: the first API (`cohere_v1`), and the arithmetic of usage
(`proxy.meter.cohere_usage`: the buckets are the billed units).

A stream's last event is `message-end`, with usage and finish reason; a `[DONE]` follows. The plan of tool use counts as output.
"""

from functools import partial
from typing import Any

import msgspec

from proxy.meter import asks, cohere_usage, lenient
from proxy.meter.answer import AnswerReader
from proxy.meter.deltas import PlainDeltas
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.draft import Draft
from proxy.model import Ask, Kind

CHAT = Operation("chat", Kind.LLM, is_step=True, buffered=True)

_FAILED = frozenset({"ERROR", "TIMEOUT"})


class _Request(msgspec.Struct):
    model: Any = None
    stream: Any = None
    max_tokens: Any = None
    messages: msgspec.Raw = msgspec.Raw()
    documents: msgspec.Raw = msgspec.Raw()
    tools: msgspec.Raw = msgspec.Raw()


class _Function(msgspec.Struct):
    name: Any = None
    arguments: Any = None


class _Call(msgspec.Struct):
    id: Any = None
    function: _Function | None = None


class _Message(msgspec.Struct):
    content: msgspec.Raw = msgspec.Raw()
    """A list of parts; in a stream one part."""
    tool_plan: Any = None
    tool_calls: msgspec.Raw = msgspec.Raw()
    """A list; in a stream one call."""


class _Part(msgspec.Struct):
    text: Any = None
    thinking: Any = None


class _Facts(msgspec.Struct):
    """What an answer says at its top, and the `delta` of an event."""

    message: _Message | None = None
    finish_reason: Any = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class _Answer(_Facts):
    type: Any = None
    id: Any = None
    index: Any = None
    delta: _Facts | None = None


_Piece = tuple[bytes, Any, list[bytes]]
"""What stands before a text in its line, the text, and where it is kept."""

_REQUEST = msgspec.json.Decoder(_Request)
_ANSWER = msgspec.json.Decoder(_Answer)
_PARTS = msgspec.json.Decoder(list[_Part] | _Part | None)
_CALLS = msgspec.json.Decoder(list[_Call] | _Call | None)


class CohereV2:
    """See the module."""

    name = "cohere_v2"

    def operation(self, method: str, path: str) -> Operation | None:
        """See `Dialect`."""
        mine = method == "POST" and path.rstrip("/").endswith("/v2/chat")
        return CHAT if mine else None

    def read_request(self, operation: Operation, body: bytes | None) -> Ask:
        """See `Dialect`."""
        said = None if body is None else asks.read(_REQUEST, body)
        if said is None:
            return asks.blank(self.name, operation, well_formed=body is None)
        return Ask(
            dialect=self.name,
            operation=operation.name,
            kind=operation.kind,
            is_step=operation.is_step,
            model=lenient.text(said.model),
            stream=said.stream is True,
            input_chars=asks.prompt_chars(said.messages, said.documents)
            + len(said.tools),
            max_output_tokens=lenient.count(said.max_tokens),
        )

    def reader(self, ask: Ask, head: Head) -> Reader:
        """See `Dialect`."""
        return AnswerReader(
            partial(_Family, head.status), head.status, head.content_type
        )


class _Family:
    def __init__(self, status: int) -> None:
        self.draft = Draft(status)
        self._deltas = PlainDeltas()
        self.plain = self._deltas.take

    def event(self, name: bytes, data: bytes) -> None:
        if data.startswith(b"[DONE]"):
            self.draft.terminal = True
            return
        said = lenient.load(_ANSWER, data)
        self.draft.identify(said.id, "")
        texts = [*self._take(said, None)]
        if said.delta is not None:
            texts += self._take(said.delta, lenient.count(said.index))
        if said.type == "message-end":
            self.draft.terminal = True
        elif len(texts) == 1 and isinstance(texts[0][1], str):
            self._deltas.learn(b"data: " + data, *texts[0])

    def document(self, body: bytes) -> None:
        said = lenient.load(_ANSWER, body)
        self.draft.identify(said.id, "")
        self._take(said, None)

    def _take(self, said: _Facts, index: int | None) -> list[_Piece]:
        """Take facts, and give the pieces of text that stood in them."""
        draft = self.draft
        reason = lenient.text(said.finish_reason)
        draft.finish_reason = reason or draft.finish_reason
        cohere_usage.take(draft, said.usage)
        error = lenient.value(said.error)
        if error or reason in _FAILED:
            draft.fail(error or reason)
        message = said.message or _Message()
        pieces = [*self._take_text(message), *self._take_calls(message, index)]
        draft.output_started |= bool(pieces or draft.calls)
        return pieces

    def _take_text(self, message: _Message) -> list[_Piece]:
        output, reasoning = self.draft.output, self.draft.reasoning
        said = [(b'"tool_plan":"', message.tool_plan, output)]
        parts = lenient.load(_PARTS, message.content) if message.content else None
        for part in parts if isinstance(parts, list) else [parts or _Part()]:
            said.append((b'"text":"', part.text, output))
            said.append((b'"thinking":"', part.thinking, reasoning))
        for _, text, into in said:
            into.add(text)
        return [(key, text, into.parts) for key, text, into in said if text]

    def _take_calls(self, message: _Message, index: int | None) -> list[_Piece]:
        calls = lenient.load(_CALLS, message.tool_calls) if message.tool_calls else None
        pieces: list[_Piece] = []
        for said in calls if isinstance(calls, list) else [calls] if calls else []:
            function = said.function or _Function()
            call_id, name = lenient.text(said.id), lenient.text(function.name)
            key = len(self.draft.calls) if index is None else index
            call = self.draft.call(key, call_id, name)
            call.add(function.arguments)
            if function.arguments and not call_id:
                pieces.append((b'"arguments":"', function.arguments, call.arguments))
        return pieces
