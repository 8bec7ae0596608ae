"""Appends a line to the newest tool result of a request, in its own bytes, so that a model can be told something.

What lives here: where the newest result's text stands in each family, and the splice. What does not: what is said (`judge/wording.py`), and when
(`govern/noting.py`), signing the changed body (`outbound.py`).

Only a result in the newest message is touched, and only where its end is plain text: what stands before it is the same bytes as ever,
so that a provider's cache loses no more than this result. Everything else is left alone, which is no error.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from proxy.meter.members import find_member, read_members

_BLANK = frozenset({b" ", b"\t", b"\r", b"\n"})
_BEFORE = "\n\n"
_TEXTS = frozenset({"text", "input_text"})
_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


class _Node(NamedTuple):
    """A value, and where it stands in the body."""

    text: bytes
    at: int


def add_note(dialect: str, body: bytes, note: str) -> bytes | None:
    """Give the request with the note; `None` where it has no newest result whose end is plain text."""
    find = _FINDERS.get(dialect)
    found = None if find is None else _text(find(_Node(body, 0)))
    if found is None:
        return None
    end = found.at + len(found.text) - 1  # before the quote
    return body[:end] + msgspec.json.encode(_BEFORE + note)[1:-1] + body[end:]


def _chat(body: _Node) -> _Node | None:
    message = _newest(_member(body, "messages"))
    return _member(message, "content") if _says(message, "role") == "tool" else None


def _anthropic(body: _Node) -> _Node | None:
    """What the user says may stand behind the results."""
    message = _newest(_member(body, "messages"))
    for block in _from_the_end(_member(message, "content")):
        if _says(block, "type") == "tool_result":
            return _member(block, "content")
    return None


def _responses(body: _Node) -> _Node | None:
    item = _newest(_member(body, "input"))
    return _member(item, "output") if _says(item, "type") in _OUTPUTS else None


def _gemini(body: _Node) -> _Node | None:
    part = _newest(_member(_newest(_member(body, "contents")), "parts"))
    answer = _member(part, "functionResponse", "function_response")
    return _member(_member(answer, "response"), "output", "result")


def _converse(body: _Node) -> _Node | None:
    message = _newest(_member(body, "messages"))
    for block in _from_the_end(_member(message, "content")):
        content = _member(_member(block, "toolResult"), "content")
        if content is not None:
            return _member(_newest(content), "text")
    return None


def _conversations(body: _Node) -> _Node | None:
    entry = _newest(_member(body, "inputs"))
    return _member(entry, "result") if _says(entry, "type") == "function.result" else None  # fmt: skip


_FINDERS: Mapping[str, Callable[[_Node], _Node | None]] = {
    "openai_chat": _chat,
    "ollama": _chat,
    "cohere_v2": _chat,
    "anthropic_messages": _anthropic,
    "bedrock_invoke": _anthropic,
    "openai_responses": _responses,
    "gemini_generate": _gemini,
    "bedrock_converse": _converse,
    "mistral_conversations": _conversations,
}
"""By dialect: the result's content."""


def _text(content: _Node | None) -> _Node | None:
    """Give the string at the end of a content: itself, or the text of its last block."""
    block = _newest(content)
    if _says(block, "type") in _TEXTS:
        content = _member(block, "text")
    return content if content is not None and content.text[:1] == b'"' else None


def _says(node: _Node | None, name: str) -> str:
    value = _member(node, name)
    try:
        return "" if value is None else msgspec.json.decode(value.text, type=str)
    except _UNREADABLE:
        return ""


def _member(node: _Node | None, *names: str) -> _Node | None:
    """Give the first of these members that an object has."""
    members = None if node is None else read_members(node.text)
    if node is None or members is None:
        return None
    for name in names:
        place = find_member(node.text, members, name) if name in members else None
        if place is not None:
            return _Node(bytes(members[name]), node.at + place.value)
    return None


def _newest(node: _Node | None) -> _Node | None:
    return next(_from_the_end(node), None)


def _from_the_end(node: _Node | None) -> Iterator[_Node]:
    """Give the elements of a list, the last one first; of anything else none."""
    if node is None:
        return
    try:
        values = _decode_list(node.text)
    except _UNREADABLE:
        return
    text, end = node.text, len(node.text)
    for value in reversed(values):
        element = bytes(value)
        # Before each stands what parts it from the next one: the bracket at the end, else a comma.
        end = _ends(text, _ends(text, end) - 1)
        yield _Node(element, node.at + end - len(element))
        end -= len(element)


def _ends(text: bytes, end: int) -> int:
    """Say where the text before this place ends that is no space."""
    while text[end - 1 : end] in _BLANK:
        end -= 1
    return end
