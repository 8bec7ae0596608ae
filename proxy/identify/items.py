"""What of a message stays the same when a framework sends it again.

What lives here: the value, and how it is made of text, calls and results. What does not: finding these in a message (`messages.py`).

Frameworks rewrite what they send again: they move `cache_control`, drop thinking or turn it into `<think>` text, invent ids, strip text,
put an answer's text and calls into several messages. So a hash covers who speaks, text without surrounding blanks, names and arguments
of calls and bodies of results, and nothing else; what follows one another in the assistant's voice is one item.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice

import msgspec

from proxy.identify.hashing import added, digest, mix, utf8

HEAD_CHARS = 48
"""So much of a text must be equal where frameworks cut or extend the rest."""
MAX_IDS = 64
BARE_CHARS = 32_000
"""A longer text has no form without digits: it would cost more than it helps."""
MIN_ID_CHARS = 8
MAX_COUNTER_CHARS = 512
SIGNATURE = "signature-"
"""How a thought's signature begins among the ids."""
MAX_NAME_CHARS = 256
MAX_TAGS = 2000
"""So many beginnings and ends of thoughts are looked at."""

_THINKS = re.compile(r"<(?P<ends>/?)(?P<name>think(?:ing)?)>", re.IGNORECASE)
_COUNTER = re.compile(r"[a-z_.:-]*[0-9]{0,5}_?", re.IGNORECASE)
_CALLING = "Calling tools:"
"""How smolagents writes the calls of an answer into its text, with their ids."""
_CALLED = re.compile(
    r"""['"]id['"]: ['"](?P<id>[\w.:-]{1,128})['"], ['"]type['"]: ['"]function['"], ['"]function['"]: \{['"]name['"]: ['"](?P<name>[\w.:-]{1,128})['"]"""
)
_IN_A_ROW = re.compile(r"(?P<upper>[A-Z](?=[A-Z]))|(?P<lower>[a-z](?=[a-z]))")
_CHANCE = 3
"""Random letters have so many capitals beside capitals, and small ones beside small ones; words of a name do not have both."""
_DIGITS = b"0123456789"
_USER, _ASSISTANT, _TOOL, _HEAD, _BARE, _CALL = (bytes([each]) for each in range(6))

Call = tuple[str, str, bytes]
"""Id, name and canonical arguments."""


class Item(msgspec.Struct, frozen=True, gc=False):
    """What a user said, what was answered (text and calls), or one result."""

    role: str
    """`user`, `assistant` or `tool`."""
    full: int
    """Hash of all that stays."""
    loose: int
    """The same without what agents change later: bodies of results, clocks and counters in what a user said."""
    ids: tuple[str, ...] = ()
    """Provider's ids of the calls made or answered here."""
    telling: tuple[int, ...] = ()
    """Hashes of those of them that name one call in the world."""
    names: tuple[str, ...] = ()
    """Tools called, or the one whose result this is."""
    text: int = 0
    """Of an answer: hash of its text; 0 without any."""
    calls: int = 0
    """Of an answer: hash of names and arguments of the calls made; 0 without any."""
    head: int = 0
    """Hash of the beginning of the text without blanks; 0 without text."""
    size: int = 0
    """Characters of text and arguments: what is short is said often."""


def user_item(
    seed: int, text: str, media: Sequence[bytes] = (), *, is_later: bool = False
) -> Item | None:
    """Make an item of what a user said; `None` of nothing. Of what is said after the first answer no loose form is needed."""
    kept = text.strip()
    if not kept and not media:
        return None
    written = utf8(kept)
    full = loose = digest(seed, _USER, written, *media)
    if not is_later and len(kept) <= BARE_CHARS:
        loose = digest(seed, _BARE, written.translate(None, _DIGITS), *media)
    return Item("user", full, loose, size=len(kept))


def tool_item(seed: int, call_id: str, name: str, body: Sequence[bytes]) -> Item:
    """Make an item of a result. Its name does not count: not all families send one."""
    issued = _short(seed, call_id)
    return Item(
        "tool",
        digest(seed, _TOOL, *body),
        mix(seed, 1),
        (issued,) if issued else (),
        _telling(seed, (issued,)),
        (name,) if name else (),
        size=sum(map(len, body)),
    )


def answer_item(
    seed: int,
    text: str,
    calls: Sequence[Call] = (),
    media: Sequence[bytes] = (),
    signatures: Iterable[str] = (),
) -> Item | None:
    """Make an item of an answer, as it was given or as it stands in a later request; `None` of nothing."""
    kept = _without_thoughts(text).strip() if "</think" in text else text.strip()
    if not kept and not calls and not media:
        return None
    said = digest(seed, utf8(kept), *media) if kept or media else 0
    called = 0
    ids, names, size = [], [], len(kept)
    for call_id, name, arguments in calls:
        called = added(called, digest(seed, _CALL, utf8(name), arguments))
        if call_id:
            ids.append(_short(seed, call_id))
        names.append(name[:MAX_NAME_CHARS])
        size += len(name) + len(arguments)
    ids += [f"{SIGNATURE}{digest(seed, utf8(each)):016x}" for each in signatures]
    if not calls and kept.startswith(_CALLING):
        for written in _CALLED.finditer(kept):
            ids.append(written["id"])
            names.append(written["name"])
    start = head(seed, kept) if kept else 0
    shown = tuple(ids[:MAX_IDS])
    return _answer(shown, _telling(seed, shown), tuple(names[:MAX_IDS]), said, called, start, size)  # fmt: skip


def _without_thoughts(text: str) -> str:
    """Leave out `<think>…</think>`, and all up to the first end of a thought that the text did not begin with.

    Each tag is looked at once: to look for the end of each beginning would cost the square of their number.
    """
    tags = [(each["name"].lower(), bool(each["ends"]), each) for each in islice(_THINKS.finditer(text), MAX_TAGS)]  # fmt: skip
    ends = {name: each.start() for name, is_end, each in tags if is_end}
    kept, done, inside = [], 0, ""
    begins = tags and not tags[0][1] and not tags[0][2].start() and tags[0][0] in ends
    if not begins:
        done = next((each.end() for _, is_end, each in tags if is_end), 0)
    for name, is_end, each in tags:
        if each.start() < done:
            continue
        if inside:
            if is_end and name == inside:
                done, inside = each.end(), ""
        elif not is_end and ends.get(name, -1) > each.start():
            kept.append(text[done : each.start()])
            inside = name
    return "".join((*kept, text[done:]))


def _answer(
    ids: tuple[str, ...],
    telling: tuple[int, ...],
    names: tuple[str, ...],
    text: int,
    calls: int,
    start: int,
    size: int,
) -> Item:
    full = mix(mix(_ASSISTANT[0], text), calls)
    return Item("assistant", full, full, ids, telling, names, text, calls, start, size)


def joined(first: Item, second: Item) -> Item:
    """Make one answer of two that follow one another."""
    return _answer(
        (first.ids + second.ids)[:MAX_IDS],
        (first.telling + second.telling)[:MAX_IDS],
        (first.names + second.names)[:MAX_IDS],
        mix(first.text, second.text) if first.text and second.text else first.text or second.text,
        added(first.calls, second.calls),
        first.head or second.head,
        first.size + second.size,
    )  # fmt: skip


def _short(seed: int, issued: str) -> str:
    """Give an id as it is kept: some gateways put what a model thought into ids, and these are kept for many calls."""
    return issued if len(issued) <= MAX_COUNTER_CHARS else f"{digest(seed, utf8(issued)):020d}"  # fmt: skip


def head(seed: int, text: str) -> int:
    """Hash the beginning of a text; blanks do not count."""
    start = "".join(text[: HEAD_CHARS * 4].split())[:HEAD_CHARS]
    return digest(seed, _HEAD, utf8(start)) if start else 0


def _telling(seed: int, ids: Sequence[str]) -> tuple[int, ...]:
    return tuple(digest(seed, utf8(each)) for each in ids if is_telling(each))


def is_telling(issued: str) -> bool:
    """Tell whether an id names one call in the world: counters (`call_0`, `functions.search:3`) do not."""
    if not MIN_ID_CHARS <= len(issued) <= MAX_COUNTER_CHARS:
        return len(issued) > MAX_COUNTER_CHARS
    return _is_no_counter(issued)


@lru_cache(maxsize=8192)
def _is_no_counter(issued: str) -> bool:
    if _COUNTER.fullmatch(issued) is None:
        return True
    # One in sixty random ids of 24 signs has no digit but at its end.
    pairs = [found.lastgroup for found in _IN_A_ROW.finditer(issued)]
    return min(pairs.count("upper"), pairs.count("lower")) >= _CHANCE
