"""Reads `choices` of OpenAI's shape in the answers of those who put other things around them.

What lives here: text and tool calls of choices, whole or in pieces. What does not: OpenAI's own API (`dialects/openai_chat.py`), and
where usage stands.
"""

from typing import Any

import msgspec

from proxy.meter import lenient
from proxy.meter.draft import Draft


class _Function(msgspec.Struct):
    name: Any = None
    arguments: Any = None


class _Call(msgspec.Struct):
    index: Any = None
    id: Any = None
    function: _Function | None = None


class _Message(msgspec.Struct):
    content: Any = None
    refusal: Any = None
    reasoning_content: Any = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    index: Any = 0
    delta: _Message | None = None
    message: _Message | None = None
    finish_reason: Any = None


_CHOICES = msgspec.json.Decoder(list[_Choice] | None)


class Choices:
    """The choices of one answer. A piece may say the same in `delta` and in `message` (Writer): the first counts."""

    def __init__(self, draft: Draft, asked: int = 1) -> None:
        """`asked` is how many were asked for."""
        self._draft = draft
        self._asked = asked
        self._open: set[int] = set()
        self._finished: set[int] = set()

    @property
    def finished(self) -> bool:
        """Every choice that was asked for, or begun, has said why it ended."""
        return len(self._finished) >= self._asked and not self._open

    def take(self, raw: msgspec.Raw) -> int | None:
        """Take them, and say how many there were; `None` where there is no list. Raises one of `lenient.UNREADABLE`."""
        choices = lenient.load(_CHOICES, raw) if raw else None
        for choice in choices or ():
            self._take_one(choice)
        return None if choices is None else len(choices)

    def _take_one(self, choice: _Choice) -> None:
        draft = self._draft
        place = lenient.count(choice.index) or 0
        reason = lenient.text(choice.finish_reason)
        if reason:
            draft.finish_reason = reason
            self._finished.add(place)
            self._open.discard(place)
        elif place not in self._finished:
            self._open.add(place)
        message = choice.delta or choice.message
        if message is None:
            return
        draft.output.add(message.content)
        draft.output.add(message.refusal)
        draft.reasoning.add(message.reasoning_content)
        for call in message.tool_calls or ():
            self._take_call(place, call)
        draft.output_started |= bool(
            message.content
            or message.refusal
            or message.reasoning_content
            or message.tool_calls
        )

    def _take_call(self, place: int, said: _Call) -> None:
        call_id = lenient.text(said.id)
        index = lenient.count(said.index)
        key = (place, call_id or len(self._draft.calls) if index is None else index)
        function = said.function or _Function()
        call = self._draft.call(key, call_id, lenient.text(function.name))
        call.add(function.arguments)
