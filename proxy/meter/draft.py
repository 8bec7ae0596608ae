"""A `Reading` in the making, which the dialects fill.

What lives here: text that is kept as it arrives, tool calls that arrive in pieces, the plain facts. What does not: any
family's field names.
"""

from typing import Any

import msgspec

from proxy.meter import faults, lenient
from proxy.meter.skim import Skimmer
from proxy.model import PartReading, Reading, ToolCall, Usage

MAX_TEXT_CHARS = 1 << 15
"""So much of the text of an answer is kept."""

MAX_TOOL_CALLS = 1000
MAX_ARGUMENT_BYTES = 1 << 20
"""Of one answer, all calls together. Beyond it arguments are cut, and the answer counts as truncated."""


class Text:
    """Keeps and counts text that arrives in pieces; a piece is kept by reference and looked at later, many at once."""

    __slots__ = ("_chars", "_deltas", "_kept", "_room", "parts")

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        """Raw JSON string bodies: escaped, without quotes. Whoever reads the stream appends here."""
        self._chars = 0
        self._deltas = 0
        self._kept: list[str] = []
        self._room = MAX_TEXT_CHARS

    def add(self, text: Any) -> None:
        """Add decoded text, alone or in a list of content parts."""
        if text:
            self._fold()
            self._deltas += 1
            for found in lenient.strings(text, lenient.NOT_TEXT):
                self._take(found)

    def chars(self) -> int:
        """Count the characters."""
        self._fold()
        return self._chars

    def deltas(self) -> int:
        """Count the pieces that were not empty."""
        self._fold()
        return self._deltas

    def text(self) -> str:
        """Give the text, or its beginning."""
        self._fold()
        return "".join(self._kept)

    def _fold(self) -> None:
        """Decode what has come, and let go of the pieces."""
        if self.parts:
            self._deltas += len(self.parts) - self.parts.count(b"")
            self._take(lenient.unescape(self.parts))
            self.parts.clear()

    def _take(self, text: str) -> None:
        self._chars += len(text)
        if self._room > 0:
            self._kept.append(text[: self._room])
            self._room -= len(text)


class CallDraft:
    """A tool call whose arguments arrive in pieces."""

    __slots__ = ("_folded", "arguments", "first", "id", "name", "whole")

    def __init__(self, call_id: str, name: str) -> None:
        self.id = call_id
        self.name = name
        self.arguments: list[bytes] = []
        """Raw JSON string bodies, as in `Text.parts`."""
        self.whole: bytes | None = None
        """The arguments as the wire gave them in one piece; they win."""
        self.first = b""
        """What the arguments are if no piece of them comes."""
        self._folded = 0

    def add(self, arguments: Any) -> None:
        """Add a decoded piece of the arguments."""
        if isinstance(arguments, str) and arguments:
            self.arguments.append(lenient.escape(arguments))

    def deltas(self) -> int:
        """Count the pieces that were not empty."""
        return self._folded + len(self.arguments) - self.arguments.count(b"")

    def fold(self, room: int) -> int:
        """Join the pieces, in this room; give how much they would take."""
        folded = self.deltas()
        joined = b"".join(self.arguments)
        self.arguments[:] = [joined[:room]]
        self._folded = folded - bool(self.arguments[0])
        return len(joined)

    def bytes(self) -> bytes:
        """Give the arguments so far."""
        if self.whole is not None:
            return self.whole
        return lenient.unescape(self.arguments).encode() or self.first


class Draft:
    """What has been read of one answer so far. The fields are those of `Reading`."""

    def __init__(self, status: int) -> None:
        self._status = status
        self.skimmer = Skimmer()
        """What a family that knows its deltas by their ends teaches, so that most of them pass unread."""
        self.terminal = False
        self.output_started = False
        self.truncated = False
        self.malformed = False
        self.model = ""
        self.response_id = ""
        self.finish_reason = ""
        self.service_tier = ""
        self.usage: Usage | None = None
        self.usage_json: bytes | None = None
        self.parts: tuple[PartReading, ...] = ()
        self.details: dict[str, int] = {}
        self.server_tool_uses: dict[str, int] = {}
        self.cost: int | None = None
        self.deferred = False
        self.output = Text()
        self.reasoning = Text()
        self.calls: dict[Any, CallDraft] = {}
        self.fault: faults.Fault | None = None
        self.error_in_stream = False
        self.error_answer = False
        self.open_ended = False
        """A stream of this answer may end without a terminal event."""

    def identify(self, response_id: Any, model: Any) -> None:
        """Keep the first id and the first model that are not empty."""
        self.response_id = self.response_id or lenient.text(response_id)
        self.model = self.model or lenient.text(model)

    def take_usage(self, usage: Usage | None, said: msgspec.Raw) -> None:
        """Keep the newest usage and the object that said it; `None` changes nothing."""
        if usage is not None:
            self.usage = usage
            self.usage_json = bytes(said)

    def call(self, key: Any, call_id: str, name: str) -> CallDraft:
        """Give the tool call under this key, a new one where it is the first piece."""
        call = self.calls.get(key)
        if call is None:
            call = CallDraft(call_id, name)
            if len(self.calls) < MAX_TOOL_CALLS:
                self.calls[key] = call
            else:
                self.truncated = True
        call.id = call.id or call_id
        call.name = call.name or name
        return call

    def fail(self, error: Any) -> None:
        """Take an error that came in place of an answer, or in the middle of it; it ends a stream."""
        self.fault = faults.classify(self._status, error)
        self.error_in_stream = self._status < 400
        self.terminal = True

    def compact(self) -> None:
        """Let go of what need not be kept; called every so many bytes."""
        self.output.chars()
        self.reasoning.chars()
        room = MAX_ARGUMENT_BYTES
        for call in self.calls.values():
            size = call.fold(room)
            self.truncated |= size > room
            room -= min(size, room)

    def reading(self, *, expects_terminal: bool) -> Reading:
        """Give it as a value."""
        calls = self._tool_calls()
        fault = self.fault or faults.NO_FAULT
        return Reading(
            model=self.model,
            response_id=self.response_id,
            finish_reason=self.finish_reason,
            usage=self.usage,
            usage_json=self.usage_json,
            parts=self.parts,
            tool_calls=calls,
            details=_pairs(self.details),
            server_tool_uses=_pairs(self.server_tool_uses),
            cost=self.cost,
            service_tier=self.service_tier,
            error_type=fault.error_type,
            error_code=fault.code,
            error_in_stream=self.error_in_stream,
            error_answer=self.error_answer,
            expects_terminal=expects_terminal and not self.open_ended,
            terminal=self.terminal,
            output_chars=self.output.chars() + sum(map(_chars, calls)),
            reasoning_chars=self.reasoning.chars(),
            output_text=self.output.text(),
            reasoning_text=self.reasoning.text(),
            output_deltas=self.output.deltas()
            + sum(map(CallDraft.deltas, self.calls.values())),
            reasoning_deltas=self.reasoning.deltas(),
            deferred=self.deferred,
            malformed=self.malformed or self.truncated,
        )

    def _tool_calls(self) -> tuple[ToolCall, ...]:
        room = MAX_ARGUMENT_BYTES
        calls: list[ToolCall] = []
        for call in self.calls.values():
            arguments = call.bytes()
            self.truncated |= len(arguments) > room
            calls.append(ToolCall(call.id, call.name, arguments[:room]))
            room -= len(calls[-1].arguments)
        return tuple(calls)


def _pairs(counts: dict[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items())) if counts else ()


def _chars(call: ToolCall) -> int:
    return len(call.arguments.decode(errors="replace"))
