"""Mistral's conversations: an agent or a model that the provider lets call its own tools.

What lives here: `POST …/v1/conversations`, going on with one, starting it anew; streamed or not. What does not: reading and deleting them, and
OpenAI's conversations (`openai_other`), which are only kept: what has the same path and no `inputs` is no work.

Usage is OpenAI's, and `connector_tokens` are input that the provider's tools brought (`proxy.meter.openai_usage`). In a stream it stands
in `conversation.response.done`, which ends it. Each output names its model.
"""

import re
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from proxy.meter import asks, lenient, openai_usage
from proxy.meter.answer import AnswerReader
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.draft import Draft
from proxy.model import Ask, Kind

CONVERSE = Operation("conversations", Kind.LLM, is_step=True, buffered=True)

_PATH = re.compile(r".*/v1/conversations(?:/[^/]+(?:/restart)?)?/?")
_DONE = "conversation.response.done"
_FAILED = "conversation.response.error"
_MESSAGES = ("message.output", "message.output.delta")
_CALLS = ("function.call", "function.call.delta")


class _Request(msgspec.Struct):
    model: Any = None
    stream: Any = None
    inputs: msgspec.Raw = msgspec.Raw()
    instructions: msgspec.Raw = msgspec.Raw()
    tools: msgspec.Raw = msgspec.Raw()


class _Output(msgspec.Struct):
    """An output, an event with a piece of one, or another event."""

    type: Any = None
    id: Any = None
    model: Any = None
    content: Any = None
    name: Any = None
    tool_call_id: Any = None
    arguments: msgspec.Raw = msgspec.Raw()
    conversation_id: Any = None
    usage: msgspec.Raw = msgspec.Raw()
    message: Any = None
    code: Any = None


class _Answer(msgspec.Struct):
    conversation_id: Any = None
    outputs: list[_Output] | None = None
    usage: msgspec.Raw = msgspec.Raw()


_REQUEST = msgspec.json.Decoder(_Request)
_ANSWER = msgspec.json.Decoder(_Answer)
_EVENT = msgspec.json.Decoder(_Output)


class MistralConversations:
    """See the module."""

    name = "mistral_conversations"

    def operation(self, method: str, path: str) -> Operation | None:
        """See `Dialect`."""
        return CONVERSE if method == "POST" and _PATH.fullmatch(path) else None

    def read_request(self, operation: Operation, body: bytes | None) -> Ask:
        """See `Dialect`."""
        said = asks.read(_REQUEST, body) if body else None
        if said is None or not said.inputs:
            ask = asks.blank(self.name, operation, well_formed=bool(said or not body))
            return replace(ask, kind=Kind.OTHER, is_step=False)
        return Ask(
            dialect=self.name,
            operation=operation.name,
            kind=operation.kind,
            is_step=operation.is_step,
            model=lenient.text(said.model),
            stream=said.stream is True,
            input_chars=asks.prompt_chars(said.instructions, said.inputs)
            + len(said.tools),
        )

    def reader(self, ask: Ask, head: Head) -> Reader:
        """See `Dialect`."""
        return AnswerReader(
            partial(_Family, head.status), head.status, head.content_type
        )


class _Family:
    def __init__(self, status: int) -> None:
        self.draft = Draft(status)

    def plain(self, line: bytes) -> bool:
        return False

    def event(self, name: bytes, data: bytes) -> None:
        said = lenient.load(_EVENT, data)
        draft = self.draft
        draft.identify(said.conversation_id, "")
        self._take(said)
        openai_usage.take(draft, said.usage)
        if said.type == _DONE:
            draft.terminal = True
        elif said.type == _FAILED:
            draft.fail({"message": said.message, "code": said.code})

    def document(self, body: bytes) -> None:
        said = lenient.load(_ANSWER, body)
        self.draft.identify(said.conversation_id, "")
        for output in said.outputs or ():
            self._take(output)
        openai_usage.take(self.draft, said.usage)

    def _take(self, said: _Output) -> None:
        draft = self.draft
        draft.identify("", said.model)
        if said.type in _MESSAGES:
            pieces = lenient.items(said.content) or [said.content]
            for piece in pieces:
                self._take_piece(piece)
        elif said.type in _CALLS:
            draft.output_started = True
            call_id = lenient.text(said.tool_call_id)
            call = draft.call(call_id, call_id, lenient.text(said.name))
            arguments = lenient.value(said.arguments)
            call.add(arguments)
            if isinstance(arguments, dict):
                call.whole = bytes(said.arguments)

    def _take_piece(self, piece: Any) -> None:
        """Take a text, or a piece that says what it is."""
        draft = self.draft
        if isinstance(piece, dict):
            for text in lenient.strings(piece.get("thinking"), lenient.NOT_TEXT):
                draft.reasoning.add(text)
            piece = piece.get("text")
        draft.output.add(piece)
        draft.output_started = True
