"""An agent's loop in the words of four families, for `identifying.py`.

What lives here: conversations of a given size and number of messages, each message said once only. What does not: measuring.
"""

from collections.abc import Callable
from functools import cache
from itertools import count
from random import Random
from typing import Any, NamedTuple

import msgspec

from proxy.model import Reading, ToolCall

_SYLLABLES = [
    "ka",
    "ro",
    "mi",
    "ten",
    "dor",
    "ul",
    "sha",
    "pre",
    "con",
    "ver",
    "is",
    "al",
    "tion",
    "ment",
    "ing",
    "er",
]
_SIGNS = (
    ", ",
    ". ",
    ".\n",
    ": ",
    ' "',
    '" ',
    " (",
    ") ",
    "\n\n- ",
    " \u2014 ",
    " 2,150 ",
    " caf\u00e9 ",
    " C:\\data\\",
)
_COMMON = [first + second for first in _SYLLABLES for second in _SYLLABLES]
_QUERY = "tea houses in Kyoto"


CALLS_OF_A_LOOP = 1000
"""As in `mock.c`."""
MAX_SYSTEM, MAX_TOOLS = 12_000, 40
"""Characters of a prompt, definitions of tools: some 30 KB in all, as coding agents have them. Smaller requests give a fifth to both."""


class Shape(NamedTuple):
    """What a request looks like."""

    family: str
    size: str
    body_bytes: int
    messages: int

    @property
    def name(self) -> str:
        """Give it in words."""
        return f"{self.size} of {self.messages} {self.family}"


Arguments = dict[str, Any]


class _Words(NamedTuple):
    """How a family says it."""

    path: str
    dialect: str
    user: Callable[[str], Any]
    call: Callable[[str, Arguments], Any]
    result: Callable[[str, str], Any]
    request: Callable[[str, list[Any], list[Any]], dict[str, Any]]


class Loop:
    """An agent that calls one tool again and again; `number` makes what is said its own, `agent` the prompt."""

    def __init__(self, shape: Shape, number: int, agent: int = 0) -> None:
        self._words = FAMILIES[shape.family]
        self._ids = count(1)
        self._number = number
        share = shape.body_bytes // 10
        self._system = (
            f"You are a research assistant. {text_of(min(share, MAX_SYSTEM), agent)}"
        )
        self._tools = [_tool(n) for n in range(min(share // 400, MAX_TOOLS))]
        self._messages: list[Any] = []
        empty = len(self.body())
        each = max(1, (shape.body_bytes - empty) // ((shape.messages + 1) // 2) - 300)
        self._messages.append(self._words.user(text_of(each, number << 12)))
        for n in range(shape.messages // 2):
            self.go_on(text_of(each, (number << 12) + n + 1))

    @property
    def path(self) -> str:
        """Where the request goes."""
        return self._words.path

    @property
    def dialect(self) -> str:
        """Give the family's name in the product."""
        return self._words.dialect

    def go_on(self, found: str = "nothing", query: str = _QUERY) -> None:
        """Add a call and its result."""
        call_id = self._call_id(next(self._ids))
        call = self._words.call(call_id, _arguments(query))
        self._messages += [call, self._words.result(call_id, found)]

    def body(self, **more: Any) -> bytes:
        """Give the next request, with more members."""
        request = self._words.request(self._system, self._tools, self._messages)
        return msgspec.json.encode({**request, **more})

    @property
    def seed(self) -> int:
        """Give the number of which `mock.c` makes what `answer` gives for the query "page SEED"."""
        return len(self._messages) // 2 + 1 + CALLS_OF_A_LOOP * self._number

    def reading(self) -> Reading:
        """Say what it is answered."""
        arguments = msgspec.json.encode(_arguments(_QUERY))
        return Reading(tool_calls=(ToolCall(self._next_id(), "search", arguments),))

    def answer(self, query: str) -> Any:
        """Give the message with which it is answered, before `go_on` adds it."""
        return self._words.call(self._next_id(), _arguments(query))

    def _next_id(self) -> str:
        return self._call_id(len(self._messages) // 2 + 1)

    def _call_id(self, number: int) -> str:
        return f"call_{number:05d}aB3dE5gH7jK9{self._number:05d}mN1pQ"


def text_of(size: int, number: int) -> str:
    """Give so many characters of prose, other ones for each number."""
    prose = _prose()
    start = number * 7919 % len(prose)
    whole = (prose[start:] + prose * (size // len(prose) + 1))[:size]
    return f"Page {number}. {whole}"


@cache
def _prose() -> str:
    """Give words with signs, numbers and escapes between them; most words come often."""
    dice = Random(7)
    written: list[str] = []
    for _ in range(20_000):
        common = dice.choice(_COMMON)
        word = common if dice.random() < 0.7 else "".join(dice.choices(_SYLLABLES, k=3))
        written += (word, dice.choice(_SIGNS) if dice.random() < 0.2 else " ")
    return "".join(written)


def _tool(number: int) -> dict[str, Any]:
    """Give a tool as OpenAI's SDKs do, in some 400 bytes."""
    query = {"type": "string", "description": "What is looked for, in the words of the user. " * 3}  # fmt: skip
    limit = {"type": "integer", "minimum": 1, "maximum": 100, "description": "How many."}  # fmt: skip
    schema = {"type": "object", "properties": {"query": query, "limit": limit}, "required": ["query"]}  # fmt: skip
    return {"name": f"search_{number}", "description": "Searches the documents.", "parameters": schema}  # fmt: skip


def _arguments(query: str) -> Arguments:
    return {"query": query, "limit": 10}


def _encoded(arguments: Arguments) -> str:
    return msgspec.json.encode(arguments).decode()


FAMILIES = {
    "chat": _Words(
        "/v1/chat/completions",
        "openai_chat",
        lambda text: {"role": "user", "content": text},
        lambda call_id, asked: {"role": "assistant", "content": None, "tool_calls": [
            {"id": call_id, "type": "function", "function": {"name": "search", "arguments": _encoded(asked)}}]},
        lambda call_id, text: {"role": "tool", "tool_call_id": call_id, "content": text},
        lambda system, tools, messages: {
            "model": "gpt-5",
            "messages": [{"role": "system", "content": system}, *messages],
            "tools": [{"type": "function", "function": each} for each in tools],
        },
    ),
    "anthropic": _Words(
        "/v1/messages",
        "anthropic",
        lambda text: {"role": "user", "content": [{"type": "text", "text": text}]},
        lambda call_id, asked: {"role": "assistant", "content": [
            {"type": "text", "text": "Let me look."},
            {"type": "tool_use", "id": call_id, "name": "search", "input": asked}]},
        lambda call_id, text: {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": call_id, "content": [{"type": "text", "text": text}]}]},
        lambda system, tools, messages: {
            "model": "claude-opus-4-5",
            "max_tokens": 4096,
            "system": [{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}],
            "tools": tools,
            "messages": messages,
        },
    ),
    "responses": _Words(
        "/v1/responses",
        "openai_responses",
        lambda text: {"role": "user", "content": [{"type": "input_text", "text": text}]},
        lambda call_id, asked: {"type": "function_call", "call_id": call_id, "name": "search", "arguments": _encoded(asked)},
        lambda call_id, text: {"type": "function_call_output", "call_id": call_id, "output": text},
        lambda system, tools, messages: {
            "model": "gpt-5",
            "instructions": system,
            "tools": [{"type": "function", **each} for each in tools],
            "input": messages,
        },
    ),
    "gemini": _Words(
        "/v1beta/models/gemini-3-pro:generateContent",
        "gemini",
        lambda text: {"role": "user", "parts": [{"text": text}]},
        lambda call_id, asked: {"role": "model", "parts": [{"functionCall": {"id": call_id, "name": "search", "args": asked}}]},
        lambda call_id, text: {"role": "user", "parts": [
            {"functionResponse": {"id": call_id, "name": "search", "response": {"output": text}}}]},
        lambda system, tools, messages: {
            "systemInstruction": {"parts": [{"text": system}]},
            "tools": [{"functionDeclarations": tools}],
            "contents": messages,
        },
    ),
}  # fmt: skip
