"""What an answer in the shapes of Bedrock's Converse says; Nova's own API has the same ones.

What lives here: its events and its document, read into a `Draft`. What does not: framing (`aws_answer.py`), paths and requests
(`dialects/`), the arithmetic of usage (`aws_usage.py`).
"""

from typing import Any

import msgspec

from proxy.meter import aws_usage, lenient
from proxy.meter.draft import Draft
from proxy.model import Usage


class _ToolUse(msgspec.Struct):
    name: Any = None
    id: Any = msgspec.field(name="toolUseId", default=None)
    type: Any = None
    input: msgspec.Raw = msgspec.Raw()


class _ReasoningText(msgspec.Struct):
    text: Any = None


class _Reasoning(msgspec.Struct):
    """Of a whole answer it has `reasoningText`, of a stream `text`."""

    text: Any = None
    whole: _ReasoningText | None = msgspec.field(name="reasoningText", default=None)


class _Block(msgspec.Struct, rename="camel"):
    """A content block, the start of one or a delta of one."""

    text: Any = None
    tool_use: _ToolUse | None = None
    reasoning_content: _Reasoning | None = None
    citations_content: Any = None


class _Message(msgspec.Struct):
    content: list[_Block] | None = None


class _Output(msgspec.Struct):
    """Where the message stands in a whole answer."""

    message: _Message | None = None


class _Said(msgspec.Struct, rename="camel"):
    """An event, or a whole answer."""

    content_block_index: Any = None
    start: _Block | None = None
    delta: _Block | None = None
    stop_reason: Any = None
    service_tier: Any = None
    output: msgspec.Raw = msgspec.Raw()
    trace: msgspec.Raw = msgspec.Raw()
    usage: msgspec.Raw = msgspec.Raw()


_SAID = msgspec.json.Decoder(_Said)
_OUTPUT = msgspec.json.Decoder(_Output | None)

_ROUTER = b'"promptRouter"'
_ON_SERVER = "server_tool_use"


class ConverseAnswer:
    """Reads into a draft that may be shared; the usage is its owner's to take."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.usage: Usage | None = None
        self.usage_json = b""
        """What said it; empty where `usage` is `None`."""

    def event(self, name: str, payload: bytes) -> None:
        """Take an event; raises one of `lenient.UNREADABLE` where it cannot be read."""
        said = lenient.load(_SAID, payload)
        index = lenient.count(said.content_block_index)
        if name == "contentBlockDelta" and said.delta is not None:
            self._take_delta(index, said.delta)
        elif name == "contentBlockStart" and said.start is not None:
            self._take_start(index, said.start)
        elif name in ("messageStop", "metadata"):
            self._take_facts(said)

    def document(self, body: bytes) -> None:
        """Take a whole answer; raises as `event` does."""
        said = lenient.load(_SAID, body)
        self._take_facts(said)
        output = lenient.load(_OUTPUT, said.output) if said.output else None
        blocks = output.message.content if output and output.message else None
        for index, block in enumerate(blocks or ()):
            self._take_whole(index, block)

    def _take_facts(self, said: _Said) -> None:
        draft = self.draft
        draft.finish_reason = lenient.text(said.stop_reason) or draft.finish_reason
        if isinstance(said.service_tier, dict):
            draft.service_tier = lenient.text(said.service_tier.get("type"))
        if _ROUTER in bytes(said.trace):
            router = lenient.member(lenient.value(said.trace), "promptRouter")
            draft.identify("", router.get("invokedModelId"))
        table = lenient.table(said.usage)
        usage = aws_usage.buckets(table)
        if usage is not None:
            self.usage, self.usage_json = usage, bytes(said.usage)
            draft.server_tool_uses = aws_usage.server_tools(table)

    def _take_whole(self, index: int, block: _Block) -> None:
        draft = self.draft
        draft.output.add(block.text)
        draft.output.add(_cited(block.citations_content))
        reasoning = block.reasoning_content
        if reasoning is not None:
            draft.reasoning.add(reasoning.whole.text if reasoning.whole else None)
        said = block.tool_use
        if said is not None and said.type != _ON_SERVER:
            call = draft.call(index, lenient.text(said.id), lenient.text(said.name))
            call.whole = bytes(said.input) or None

    def _take_start(self, index: int | None, start: _Block) -> None:
        said = start.tool_use
        if said is not None and said.type != _ON_SERVER:
            self.draft.output_started = True
            name = lenient.text(said.name)
            self.draft.call(index, lenient.text(said.id), name).first = b"{}"

    def _take_delta(self, index: int | None, delta: _Block) -> None:
        draft = self.draft
        reasoning = delta.reasoning_content
        if isinstance(delta.text, str):
            draft.output.parts.append(lenient.escape(delta.text))
            draft.output_started |= bool(delta.text)
        if reasoning is not None and isinstance(reasoning.text, str):
            draft.reasoning.parts.append(lenient.escape(reasoning.text))
            draft.output_started |= bool(reasoning.text)
        if delta.tool_use is not None:
            piece = lenient.value(delta.tool_use.input)
            call = draft.calls.get(index)
            draft.output_started = True
            if call is not None:
                call.add(piece)
            else:
                draft.output.add(piece)


def _cited(found: Any) -> Any:
    """Give the text of a block with citations; what it cites is input."""
    return lenient.items(found.get("content")) if isinstance(found, dict) else None
