"""Asks for token counts in a stream that would carry none, so that the agent never notices.

What lives here: the byte splice of `stream_options.include_usage` into a request, and how a refusal of the field looks. What does
not: which routes and operations inject (the caller knows), the second try after a refusal, and the undo in `strip.py`, whose
`Stripper` is offered here too.
"""

import re

import msgspec

from proxy.meter.members import Members, find_member, read_members
from proxy.meter.strip import Stripper

__all__ = ["Splice", "Stripper", "refused", "splice"]

_OPTIONS, _INCLUDE = "stream_options", "include_usage"
_MEMBER = b'"include_usage":true'
_OBJECT = b"{" + _MEMBER + b"}"
_TRUE = msgspec.Raw(b"true")


class Splice(msgspec.Struct, frozen=True):
    """A request body with the field in it, and what was done to get it."""

    body: bytes
    """What goes upstream: the agent's body but for the bytes at `offset`."""
    offset: int
    removed: bytes
    """What stood there before: `null` or `false`, mostly nothing."""
    inserted: bytes


def splice(body: bytes) -> Splice | None:
    """Ask for usage in a streaming request; `None` where nothing needs to or safely can be done."""
    members = read_members(body)
    if members is None or members.get("stream") != _TRUE:
        return None
    made = _change_options(body, members) if _OPTIONS in members else _add_options(body)
    return made if made and _only_usage_changed(members, made.body) else None


def _made(body: bytes, offset: int, removed: bytes, inserted: bytes) -> Splice:
    return Splice(
        body[:offset] + inserted + body[offset + len(removed) :],
        offset,
        removed,
        inserted,
    )


def _end_of_members(text: bytes) -> int:
    """Find where the last member of an object ends: before the spaces before its brace."""
    return len(text.rstrip()[:-1].rstrip())


def _add_options(body: bytes) -> Splice:
    return _made(body, _end_of_members(body), b"", b',"stream_options":' + _OBJECT)


def _change_options(body: bytes, members: Members) -> Splice | None:
    value, place = bytes(members[_OPTIONS]), find_member(body, members, _OPTIONS)
    if place is None:
        return None
    if value == b"null":
        return _made(body, place.value, value, _OBJECT)
    options = read_members(value)
    # vLLM counts in every chunk when both are set: that could not be taken out again.
    if options is None or bytes(
        options.get("continuous_usage_stats", b"false")
    ) not in (b"false", b"null"):
        return None
    if _INCLUDE not in options:
        comma = b"," if options else b""
        return _made(body, place.value + _end_of_members(value), b"", comma + _MEMBER)
    inner, old = find_member(value, options, _INCLUDE), bytes(options[_INCLUDE])
    if inner is None or old not in (b"false", b"null"):
        return None
    return _made(body, place.value + inner.value, old, b"true")


def _only_usage_changed(before: Members, body: bytes) -> bool:
    after = read_members(body)
    if after is None or list(before | {_OPTIONS: _TRUE}) != list(after):
        return False
    old, new = (
        read_members(bytes(members.get(_OPTIONS, b"{}"))) or {}
        for members in (before, after)
    )
    return (
        new == old | {_INCLUDE: _TRUE} and before | {_OPTIONS: after[_OPTIONS]} == after
    )


_NAMED = re.compile(rb"stream_?options|include_?usage", re.IGNORECASE)
_UNNAMED = re.compile(
    rb"(?:unknown|unrecogni[sz]ed|unexpected) (?:request )?(?:parameter|argument|field)s?[.\"]",
    re.IGNORECASE,
)
_OTHER_PARAM = re.compile(rb'"param"\s*+:\s*+"')


def refused(status: int, body: bytes) -> bool:
    """Tell whether an error answer is about the injected field: it names it, or speaks of an unknown one and names none."""
    if status not in (400, 422):
        return False
    if _NAMED.search(body):
        return True
    return _UNNAMED.search(body) is not None and not _OTHER_PARAM.search(body)
