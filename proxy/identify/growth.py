"""Prompts that grow: agents that write each answer and observation behind the same one text.

What lives here: places at which a text is cut so that a later, longer one is cut there, too. What does not: which call's text it was
(`continuation.py`).

A text is cut before lines that begin as turns do (`Observation:`, `Thought:`, `Human:`, …). A call is remembered under the hash of its
text up to its last cut and under its full length, at which its answer must begin in the longer text.
"""

import re
from typing import NamedTuple

import xxhash

from proxy.identify.hashing import utf8

MAX_CUTS = 32
_TURN = re.compile(
    r"\n[ \t\[<#*|]*(?:observation|thought|action|question|human|user|assistant|ai|system|input|im_start|inst)\b",
    re.IGNORECASE,
)


class Cut(NamedTuple):
    """One place."""

    digest: int
    """Of all before it."""
    place: int


def cuts(text: str, seed: int) -> list[Cut]:
    """Give the last so many places at which a text is cut, the latest first."""
    text = text.rstrip()
    places = [found.start() for found in _TURN.finditer(text)][-MAX_CUTS:]
    hashed, done, made = xxhash.xxh3_64(seed=seed), 0, []
    for place in places:
        hashed.update(utf8(text[done:place]))
        done = place
        made.append(Cut(hashed.intdigest(), place))
    return made[::-1]
