"""The copy of an answer that is metered: inflated, within a limit, and harmless.

What lives here: the guard around all readers. What does not: what an answer says (`dialects/`), how it is inflated (`decode`).
"""

from proxy.meter.decode import Inflater
from proxy.meter.dialect import Reader
from proxy.model import Reading


class Tee:
    """Feeds a reader with the decoded bytes; never raises, whatever the bytes are."""

    def __init__(self, reader: Reader, content_encoding: str, limit_bytes: int) -> None:
        self._reader = reader
        plain = content_encoding.strip().lower() in ("", "identity")
        self._inflater = None if plain else Inflater(content_encoding, limit_bytes)
        self._limit_bytes = limit_bytes
        self._stopped = False
        self.failures = 0
        """How often the reader raised; each is a fault of ours."""

    @property
    def terminal(self) -> bool:
        """Whether the terminal event has been fed."""
        return self._reader.terminal

    @property
    def output_started(self) -> bool:
        """Whether the first output token of a stream has been fed."""
        return self._reader.output_started

    @property
    def calls_started(self) -> bool:
        """Whether the first event of a stream that asks for a tool call has been fed."""
        return self._reader.calls_started

    @property
    def truncated(self) -> bool:
        """Whether something could not be read: too long, or in a coding that is unknown or broken."""
        return self._stopped or self._reader.truncated

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes as they travelled."""
        if self._stopped:
            return
        try:
            if self._inflater is None:
                self._reader.feed(chunk)
            else:
                self._feed_inflated(self._inflater, chunk)
            if self._reader.held_bytes > self._limit_bytes:
                self._stopped = True
        except Exception:  # noqa: BLE001  # the one guard of this phase: the agent never pays for our mistakes
            self.failures += 1

    def reading(self) -> Reading:
        """Say what has been read so far."""
        try:
            return self._reader.reading()
        except Exception:  # noqa: BLE001  # as above
            self.failures += 1
            return Reading(malformed=True)

    def _feed_inflated(self, inflater: Inflater, chunk: bytes) -> None:
        """Feed piece by piece: what a bomb makes of a chunk never stands in memory whole."""
        for piece in filter(None, inflater.pieces(chunk)):
            self._reader.feed(piece)
        self._stopped = inflater.exceeded or inflater.unsupported or inflater.failed
