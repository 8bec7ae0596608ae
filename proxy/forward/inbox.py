"""What has arrived of an answer's body and has not been read yet, and when it arrived."""

from collections import deque

HIGH_WATER_BYTES = 256 << 10
"""With more than this unread the upstream is made to wait."""


class Inbox:
    """Pieces of one body; times are monotonic seconds."""

    __slots__ = ("_buffered", "_pieces", "chunks", "last_at", "max_gap")

    def __init__(self, now: float) -> None:
        """Start empty; a gap is measured from the first piece on."""
        self._pieces: deque[bytes] = deque()
        self._buffered = 0
        self.chunks = 0
        """How often bytes of the body arrived."""
        self.max_gap = 0.0
        self.last_at = now

    def put(self, pieces: list[bytes], now: float) -> None:
        """Add what arrived at once."""
        if self.chunks:
            self.max_gap = max(self.max_gap, now - self.last_at)
        self.last_at = now
        self.chunks += 1
        self._pieces.extend(pieces)
        self._buffered += sum(map(len, pieces))

    def take(self) -> bytes:
        """Give all that is there, empty where nothing is."""
        pieces = self._pieces
        if not pieces:
            return b""
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._buffered = 0
        return data

    def is_empty(self) -> bool:
        """Whether all has been read."""
        return not self._pieces

    @property
    def full(self) -> bool:
        """Whether the upstream should wait."""
        return self._buffered > HIGH_WATER_BYTES
