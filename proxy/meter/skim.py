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

MAX_PIECES = 256
"""So many are set aside at most before they are looked at."""

SHORT_BYTES = 4096
"""A chunk of more bytes is looked at when it comes, with all that was set aside before it."""

_KEY_BYTES = 12
_OBJECT_BYTES = 41
"""What a piece takes beside its bytes."""
_CLEAN = b"\x7f"
"""Put between texts that are checked together; a text that ends inside of an escape is no longer valid with it."""

Texts = Callable[[list[bytes]], Sequence[bytes] | None]
"""Gives the raw texts of pieces (what stood between head and tail); `None` where one is not like the parsed one."""


class Skimmer:
    """Pieces that were set aside; `AnswerReader` puts them there without a call, for that would cost more than the rest."""

    __slots__ = (
        "_into",
        "_key",
        "_several",
        "_texts",
        "handed_bytes",
        "head",
        "limit",
        "pieces",
        "tail",
    )

    def __init__(self) -> None:
        self.head = b""
        self.tail = b""
        self.limit = 0
        """Shorter chunks wait: `SHORT_BYTES` or, while nothing may be set aside, 0."""
        self.pieces: list[bytes] = []
        self.handed_bytes = 0
        """How much memory the texts take that the last `settle` handed over."""
        self._key = b""
        self._several = False
        self._texts: Texts = as_they_are
        self._into: list[bytes] = []

    def learn(self, head: bytes, tail: bytes, texts: Texts, into: list[bytes]) -> None:
        """Learn what stands around the text of an event, blank line and all; its raw text belongs to `into`."""
        self._into = into
        self._texts = texts
        if head != self.head or tail != self.tail:
            self.head, self.tail = head, tail
            self._key = head[-_KEY_BYTES:]

    def arm(self, ready: bool) -> None:
        """Begin or stop setting aside; `ready` between two events of a stream that goes on."""
        self.limit = SHORT_BYTES if ready and self.head else 0

    def take(self, text: bytes) -> bool:
        """Set aside what stands between the ends of several events, if the last of them is a text delta, too."""
        last = text.rfind(self._key)
        if last < 0 or text.find(b"\n", last) >= 0:
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
        return [b"%b%b%b" % (self.head, piece, self.tail) for piece in pieces]

    def _parts(self, pieces: list[bytes]) -> list[bytes] | None:
        """Take pieces of several events apart; `None` where something else stands between them."""
        between = self.tail + self.head
        glue = between.removesuffix(self._key)
        *parts, last = between.join(pieces).split(self._key)
        cut = [part.removesuffix(glue) for part in parts]
        whole = sum(map(len, parts)) - len(parts) * len(glue)
        if len(b"".join(cut)) != whole:
            return None
        return [*cut, last]


def as_they_are(pieces: list[bytes]) -> Sequence[bytes]:
    """Give the texts where head and tail leave nothing else."""
    return pieces


def before(ending: bytes, pieces: list[bytes]) -> Sequence[bytes] | None:
    """Give the texts before a known ending that is followed by one random value."""
    split = [piece.rpartition(ending) for piece in pieces]
    texts, endings, values = zip(*split, strict=True)
    if b"" in endings or not b"".join(values).isalnum():
        return None
    return texts


def matching(
    find: Callable[[bytes], list[bytes]], pieces: list[bytes]
) -> Sequence[bytes] | None:
    """Give the texts that a pattern finds, one in each of the pieces, which stand in a line each."""
    texts = find(b"\n%b\n" % b"\n".join(pieces))
    return texts if len(texts) == len(pieces) else None
