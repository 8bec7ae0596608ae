"""What an answer of Anthropic Messages says, streamed or not.

What lives here: its events and its document, read into a `Draft`. What does not: paths and requests
(`dialects/anthropic_messages.py`), the arithmetic of usage (`anthropic_usage.py`). It is shared by all that carry Anthropic's
objects (Messages; Bedrock and Vertex bodies).
"""

import re
from functools import partial
from typing import Any

import msgspec

from proxy.meter import anthropic_usage, lenient, skim
from proxy.meter.deltas import PlainDeltas
from proxy.meter.draft import Draft


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


_EVENT = msgspec.json.Decoder(_Event)
_MESSAGE = msgspec.json.Decoder(_Message)
_BLOCKS = msgspec.json.Decoder(list[_Block] | None)

_DELTA_EVENT = b"event: content_block_delta"
# Anthropic fills up with blanks behind the text: `"text":"Hello"}      }`.
_texts = partial(
    skim.matching, re.compile(rb'(?<=\n)([^"\\\n]*+(?:\\.[^"\\\n]*+)*+)"} *\n').findall
)
_DELTA_KEYS = {
    "text_delta": b'"text":"',
    "thinking_delta": b'"thinking":"',
    "input_json_delta": b'"partial_json":"',
}


class AnthropicAnswer:
    """The `Family` of an answer."""

    def __init__(self, status: int) -> None:
        self.draft = Draft(status)
        self._deltas = PlainDeltas(self.draft.skimmer, _DELTA_EVENT + b"\n", _texts)
        self.said: dict[str, Any] = {}
        """The usage object so far, merged from those of the stream."""

    def plain(self, line: bytes) -> bool:
        """See `Family`."""
        return self._deltas.take(line) or line == _DELTA_EVENT

    def event(self, name: bytes, data: bytes) -> None:
        """See `Family`."""
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
        """See `Family`."""
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
        self.said.update(
            (name, found) for name, found in said.items() if found is not None
        )
        draft.usage = anthropic_usage.buckets(self.said)
        draft.usage_json = msgspec.json.encode(self.said)
        draft.parts = anthropic_usage.parts(self.said, draft.model)
        draft.server_tool_uses = anthropic_usage.server_tools(self.said)
        draft.service_tier = anthropic_usage.service_tier(self.said)
