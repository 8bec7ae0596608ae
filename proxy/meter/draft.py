"""A `Reading` in the making, which the dialects fill.

What lives here: text that is kept as it arrives, tool calls that arrive in pieces, the plain facts. What does not: any
family's field names.
"""

from typing import Any

import msgspec

from proxy.meter import faults, lenient
from proxy.model import PartReading, Reading, ToolCall, Usage

MAX_TOOL_CALLS = 1000
MAX_ARGUMENT_BYTES = 1 << 20
"""Of one answer, all calls together. Beyond it arguments are cut, and the answer counts as truncated."""


class Text:
    """Counts text that arrives in pieces; a piece is kept by reference and looked at later, many at once."""

    __slots__ = ("_folded_chars", "parts")

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        """Raw JSON string bodies: escaped, without quotes. Whoever reads the stream appends here."""
        self._folded_chars = 0

    def add(self, text: Any) -> None:
        """Add decoded text, alone or in a list of content parts."""
        if text:
            self._folded_chars += lenient.string_lengths(text, lenient.NOT_TEXT)

    def chars(self) -> int:
        """Count the characters, and let go of what has been counted."""
        if self.parts:
            self._folded_chars += lenient.characters(self.parts)
            self.parts.clear()
        return self._folded_chars


class CallDraft:
    """A tool call whose arguments arrive in pieces."""

    __slots__ = ("arguments", "first", "id", "name", "whole")

    def __init__(self, call_id: str, name: str) -> None:
        self.id = call_id
        self.name = name
        self.arguments: list[bytes] = []
        """Raw JSON string bodies, as in `Text.parts`."""
        self.whole: bytes | None = None
        """The arguments as the wire gave them in one piece; they win."""
        self.first = b""
        """What the arguments are if no piece of them comes."""

    def add(self, arguments: Any) -> None:
        """Add a decoded piece of the arguments."""
        if isinstance(arguments, str):
            self.arguments.append(lenient.escape(arguments))

    def bytes(self) -> bytes:
        """Give the arguments so far."""
        if self.whole is not None:
            return self.whole
        return lenient.unescape(self.arguments).encode() or self.first


class Draft:
    """What has been read of one answer so far. The fields are those of `Reading`."""

    def __init__(self, status: int) -> None:
        self._status = status
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
            joined = b"".join(call.arguments)
            self.truncated |= len(joined) > room
            call.arguments[:] = [joined[:room]]
            room -= len(call.arguments[0])

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
            details=tuple(sorted(self.details.items())),
            server_tool_uses=tuple(sorted(self.server_tool_uses.items())),
            cost=self.cost,
            service_tier=self.service_tier,
            error_type=fault.error_type,
            error_code=fault.code,
            error_in_stream=self.error_in_stream,
            expects_terminal=expects_terminal,
            terminal=self.terminal,
            output_chars=self.output.chars()
            + sum(len(call.arguments.decode(errors="replace")) for call in calls),
            reasoning_chars=self.reasoning.chars(),
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
