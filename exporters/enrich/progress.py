"""How far the enricher is: what it writes beside its rows and goes on from after a restart.

What lives here: the structs and their bytes. What does not: the row log that carries them (`row_log.py`).
"""

import msgspec

from exporters.enrich.pending import Awaiting
from proxy.errors import RecordError
from proxy.record.framing import Position


class SourceProgress(msgspec.Struct, frozen=True, array_like=True):
    """One incarnation of a worker."""

    incarnation: str
    """`<worker>/<name>` below `data_dir/spool`."""
    position: Position
    """All records before it are in rows, or pending."""
    pending: tuple[Position, ...] = ()
    """Records of exchanges without a row; they are read again after a restart."""
    awaiting: tuple[Awaiting, ...] = ()
    last_us: int = 0
    settled: bool = False
    """Its writer is dead and all of it is in rows."""


class Progress(msgspec.Struct, frozen=True, array_like=True):
    """All incarnations, and counters that must not forget."""

    sources: tuple[SourceProgress, ...] = ()
    counts: dict[str, int] = {}


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Progress)


def encode_progress(progress: Progress) -> msgspec.Raw:
    """Give the bytes that the row log carries."""
    return msgspec.Raw(_encoder.encode(progress))


def decode_progress(raw: bytes | msgspec.Raw | None) -> Progress:
    """Read them back; nothing is the beginning. Raises `RecordError`."""
    if raw is None:
        return Progress()
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise RecordError(
            f"the enricher's progress in the row log cannot be read: {error}"
        ) from error
