"""Pieces of text by which an answer is recognised where it was pasted into a later prompt.

What lives here: cutting text into pieces that stay the same when it is quoted, and the votes of those that were found. What does not:
keeping them.

It is the weakest evidence of all, so it is conservative: one short piece is chance, pieces that stood in the request already are not
the answer's, and where two runs are echoed alike none is meant.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import starmap
from typing import NamedTuple

import xxhash

from proxy.identify.facts import Fact, Link
from proxy.identify.hashing import utf8

MIN_CHARS = 24
"""Shorter pieces stand in many texts."""
MIN_LONE_CHARS = 40
"""A lone piece must be longer than this."""
MIN_SHARE = 2
"""The echoed run must have so many times the characters of the next."""
MAX_KEPT = 8
"""Pieces of one answer that are remembered."""
MAX_LOOKED = 64
LOOKED_CHARS = 6000
"""Of a prompt, its beginning and its end, half each."""
LABEL_BYTES = 40

_EDGES = bytes.maketrans(b"\r\t.!?;{}[]|<>", b"\n" * 13)
_AROUND = b" ,:()-="
_MARKS = b"\"'`*#\\_"


class Piece(NamedTuple):
    """A piece of text."""

    digest: int
    chars: int


def pieces(text: str, seed: int, most: int = MAX_LOOKED) -> list[Piece]:
    """Give the pieces of a text, each once; of too many, those with the smallest hashes, so that all texts choose alike."""
    if len(text) > LOOKED_CHARS:
        text = f"{text[: LOOKED_CHARS // 2]}\n{text[-LOOKED_CHARS // 2 :]}"
    found: dict[int, int] = {}
    for line in _lines(text):
        kept = line.strip(_AROUND)
        chars = _characters(kept)
        if chars < MIN_CHARS:
            continue
        found[xxhash.xxh3_64_intdigest(kept, seed)] = chars
        label = kept.find(b": ", 0, LABEL_BYTES)
        if label > 0 and len(kept) - label >= MIN_CHARS + 2:
            rest = kept[label + 2 :].strip()
            found[xxhash.xxh3_64_intdigest(rest, seed)] = _characters(rest)
    if len(found) <= most:
        return list(starmap(Piece, found.items()))
    return [Piece(each, found[each]) for each in sorted(found)[:most]]


def _lines(text: str) -> list[bytes]:
    """Cut a text where sentences and values end, and leave out what is too short for a piece.

    As bytes, since Python is slow in replacing signs of texts that are not ASCII.
    """
    written = utf8(text.lower()).replace(b"\\n", b"\n").translate(_EDGES, _MARKS)
    return [line for line in written.split(b"\n") if len(line) >= MIN_CHARS]


def _characters(piece: bytes) -> int:
    return len(piece) if piece.isascii() else len(piece.decode("utf-8", "surrogatepass"))  # fmt: skip


def of_answer(answer: str, request: str, seed: int) -> list[Piece]:
    """Give the pieces by which an answer will be known, without those that its request had written already."""
    had = {piece.digest for piece in pieces(request, seed, 1 << 20)}
    own = [piece for piece in pieces(answer, seed, 1 << 20) if piece.digest not in had]
    return sorted(own)[:MAX_KEPT]


def echoed(
    looked: Sequence[tuple[int, int]], found: Mapping[int, Fact]
) -> tuple[Link, int] | None:
    """Give the one run whose answers are quoted, and by how many pieces; `looked` are keys and characters."""
    votes: dict[str, list[tuple[Link, int]]] = defaultdict(list)
    for each, chars in looked:
        link = found.get(each)
        if isinstance(link, Link) and not link.is_ambiguous:
            votes[link.run_id].append((link, chars))
    ranked = sorted(((_chars(vote), run_id) for run_id, vote in votes.items()), reverse=True)  # fmt: skip
    if not ranked or (len(ranked) > 1 and ranked[0][0] < MIN_SHARE * ranked[1][0]):
        return None
    chars, run_id = ranked[0]
    best = votes[run_id]
    if len(best) < 2 and chars < MIN_LONE_CHARS:
        return None
    turn = max(link.turn_seq for link, _ in best)
    return Link(run_id, turn), len(best)


def _chars(vote: Iterable[tuple[Link, int]]) -> int:
    return sum(chars for _, chars in vote)
