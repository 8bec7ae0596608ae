"""Takes whole chunks of a stream unread, where they hold nothing but text deltas like one that was parsed before.

What lives here: recognising such a chunk by its two ends, and reading the text of many of them at once. What does not: any
family's fields (who parses a delta says what is around its text), chunks of any other kind (`framing.py`).

Strategy. Most chunks of a stream are one event that differs from the one before in its text. What stands before the text is
known once such an event was parsed, and so is the end of the line. A chunk with both ends is set aside: what is between them is
a text, and where it is not, the line ends and quotes in it tell so as soon as the pieces are looked at together, in a few
passes that cost next to nothing per event; then all of them are read one by one, as if they came now. So nothing is ever
missed, at most late, and only what need not be known at once: a chunk that ends with a text delta cannot end the stream.
"""

from collections.abc import Callable, Sequence

from proxy.meter import lenient

MAX_PIECES = 128
"""So many are set aside at most before they are looked at."""

SHORT_BYTES = 4096
"""A piece of more bytes is looked at when it comes, with all that was set aside before it."""

LINE_END = 10
"""A number, since `b"\\n" in chunk` takes five times as long in CPython: it first tries the bytes as a number."""

_KEY_BYTES = 20
_AT_ONCE = 8
"""So many pieces of several events are taken apart together: more would leave the processor's first cache."""
_OBJECT_BYTES = 41
"""What a piece takes beside its bytes."""
_CLEAN = b"\x7f"
"""Put between texts that are checked together; a text that ends inside of an escape is no longer valid with it."""

Texts = Callable[[list[bytes]], Sequence[bytes] | None]
"""Gives the raw texts of pieces (what stood between head and tail); `None` where one is not like the parsed one."""


class Skimmer:
    """Pieces that were set aside; `AnswerReader` puts them there without a call, for that would cost more than the rest."""

    __slots__ = (
        "_head",
        "_into",
        "_key",
        "_several",
        "_texts",
        "handed_bytes",
        "head",
        "pieces",
        "tail",
    )

    def __init__(self) -> None:
        self.head = b""
        """Empty while nothing may be set aside: no chunk can be told by it then."""
        self.tail = b""
        self.pieces: list[bytes] = []
        self.handed_bytes = 0
        """How much memory the texts take that the last `settle` handed over."""
        self._head = b""
        self._key = b""
        self._several = False
        self._texts: Texts = as_they_are
        self._into: list[bytes] = []

    def learn(self, head: bytes, tail: bytes, texts: Texts, into: list[bytes]) -> None:
        """Learn what stands around the text of an event, blank line and all; its raw text belongs to `into`."""
        self._into = into
        self._texts = texts
        self._head, self.tail = head, tail
        self._key = head[-_KEY_BYTES:]

    def arm(self, ready: bool) -> None:
        """Begin or stop setting aside; `ready` between two events of a stream that goes on."""
        self.head = self._head if ready else b""

    def take(self, text: bytes) -> bool:
        """Set aside what stands between the ends of several events, if the last of them is a text delta, too."""
        if LINE_END in text.rpartition(self._key)[2]:
            return False
        self.pieces.append(text)
        self._several = True
        return True

    def settle(self) -> list[bytes]:
        """Hand the texts over; give the events instead, as they came, where they are not what they seemed to be."""
        pieces = self.pieces
        parts = self._parts(pieces) if self._several else pieces
        texts = None if parts is None else self._texts(parts)
        self.pieces = []
        self._several = False
        if texts is not None and lenient.is_text(joined := _CLEAN.join(texts)):
            self._into += texts
            self.handed_bytes = len(joined) + len(texts) * _OBJECT_BYTES
            return []
        self.handed_bytes = 0
        return [b"%b%b%b" % (self._head, piece, self.tail) for piece in pieces]

    def _parts(self, pieces: list[bytes]) -> list[bytes] | None:
        """Take pieces of several events apart; `None` where something else stands between them."""
        between = self.tail + self._head
        glue = between.removesuffix(self._key)
        parts: list[bytes] = []
        for at in range(0, len(pieces), _AT_ONCE):
            whole = between.join(pieces[at : at + _AT_ONCE])
            found = [part.removesuffix(glue) for part in whole.split(self._key)]
            joined = b"".join(found)
            lost = (len(found) - 1) * len(between)
            if LINE_END in joined or len(whole) - len(joined) != lost:
                return None
            parts += found
        return parts


def as_they_are(pieces: list[bytes]) -> Sequence[bytes]:
    """Give the texts where head and tail leave nothing else."""
    return pieces


def before(ending: bytes, pieces: list[bytes]) -> Sequence[bytes] | None:
    """Give the texts before a known ending, and a quote, that are followed by one random value."""
    split = [piece.rpartition(b'"') for piece in pieces]
    fronts, _, values = zip(*split, strict=True)
    texts = [front.removesuffix(ending) for front in fronts]
    removed = len(b"".join(fronts)) - len(b"".join(texts))
    if removed != len(ending) * len(texts) or not b"".join(values).isalnum():
        return None
    return texts


def matching(
    find: Callable[[bytes], list[bytes]], pieces: list[bytes]
) -> Sequence[bytes] | None:
    """Give the texts that a pattern finds, one in each of the pieces, which stand in a line each."""
    texts = find(b"\n%b\n" % b"\n".join(pieces))
    return texts if len(texts) == len(pieces) else None
