"""Finds the members of a JSON object in its own bytes, so that a splice touches nothing else.

What lives here: raw values and the places of top-level members. What does not: what to splice.
"""

import re

import msgspec

Members = dict[str, msgspec.Raw]

MEMBERS_CAP = 1000
"""Beyond so many members no place is given."""

_BOM = b"\xef\xbb\xbf"
_HEAD = re.compile(
    rb'[ \t\r\n]*+("(?:[^"\\]++|\\.)*+")[ \t\r\n]*+:[ \t\r\n]*+', re.DOTALL
)
_TAIL = re.compile(rb"[ \t\r\n]*+(,?)[ \t\r\n]*+")

_decode_members = msgspec.json.Decoder(Members).decode
_decode_name = msgspec.json.Decoder(str).decode


def read_members(text: bytes) -> Members | None:
    """Give the raw values of an object's own members (of a key that occurs twice, the last); `None` for anything else."""
    try:
        return _decode_members(text.removeprefix(_BOM))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


class Place(msgspec.Struct, frozen=True):
    """Where a member of an object stands in the text."""

    value: int
    cut: slice
    """What to remove with it: the comma before, or for a first member the comma and spaces behind."""


def find_member(text: bytes, members: Members, wanted: str) -> Place | None:
    """Find a top-level member by stepping over those before it.

    The values are known, so nothing inside them is looked at. A key that occurs twice with two values ends the walk.
    """
    at, comma = text.index(b"{") + 1, -1
    for _ in range(MEMBERS_CAP):
        head = _HEAD.match(text, at)
        if head is None:
            return None
        name = _decode_name(head[1])
        value = bytes(members[name])
        end = head.end() + len(value)
        tail = _TAIL.match(text, end)
        if tail is None or not text.startswith(value, head.end()):
            return None
        if name == wanted:
            cut = (
                slice(head.start(1), tail.end() if tail[1] else end)
                if comma < 0
                else slice(comma, end)
            )
            return Place(head.end(), cut)
        if not tail[1]:
            return None
        comma, at = tail.start(1), tail.end()
    return None
