"""Splits an AWS event stream (`application/vnd.amazon.eventstream`) into frames while it arrives.

What lives here: the framing, its checksums and its headers. What does not: what a payload means.

A frame is: u32 length of all, u32 length of the headers, CRC32 of these eight bytes, headers, payload, CRC32 of all before.
The lengths can be believed once their own checksum holds: a frame whose content is damaged is skipped, and so is one that is
too long to be held. Where that checksum fails nobody knows where the next frame begins, and the rest is not read.
https://smithy.io/2.0/aws/amazon-eventstream.html
"""

from collections.abc import Callable, Mapping
from struct import Struct
from zlib import crc32

import msgspec

FRAME_CAP = 8 << 20
"""Bytes of one frame that are held; a longer one is skipped and flagged."""

_PRELUDE = Struct(">III")
_CRC = Struct(">I")
_SMALLEST = _PRELUDE.size + _CRC.size

_MAX_KNOWN_HEADERS = 64
_MAX_KNOWN_BYTES = 1024

_STRING, _BYTES = 7, 6
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of the value by type: true, false, byte, short, integer, long, timestamp, uuid."""

Headers = Mapping[bytes, bytes]


class Frame(msgspec.Struct, frozen=True):
    """One message."""

    headers: Headers
    """Those whose values are text; others say nothing that is needed here."""
    payload: bytes

    @property
    def kind(self) -> bytes:
        """`event`, `exception` or `error`."""
        return self.headers.get(b":message-type", b"")

    @property
    def name(self) -> str:
        """Give the type of the event or exception, or the code of the error."""
        names = {b"exception": b":exception-type", b"error": b":error-code"}
        found = self.headers.get(names.get(self.kind, b":event-type"), b"")
        return found.decode("utf-8", "replace")


class FrameStream:
    """Tells `take` the frames of chunks cut anywhere; the result does not depend on the cuts."""

    def __init__(self, take: Callable[[Frame], None], cap: int = FRAME_CAP) -> None:
        self._take = take
        self._cap = cap
        self._held = bytearray()
        self._skip = 0
        self._lost = False
        self._known: dict[bytes, Headers] = {}
        self.truncated = False
        """A frame was longer than the cap and is missing."""
        self.malformed = False
        """A checksum was wrong, or headers could not be read."""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        if self._skip:
            skipped = min(self._skip, len(chunk))
            self._skip -= skipped
            chunk = chunk[skipped:]
        if self._lost or not chunk:
            return
        self._held += chunk
        at = 0
        while len(self._held) - at >= _PRELUDE.size and not self._lost:
            end = self._one(at)
            if end is None:
                break
            at = end
        del self._held[:at]

    def _one(self, at: int) -> int | None:
        """Read the frame that begins here and give its end; `None` where it is not all here."""
        held = self._held
        total, header_bytes, checksum = _PRELUDE.unpack_from(held, at)
        if (
            crc32(held[at : at + 8]) != checksum
            or total < _SMALLEST
            or header_bytes > total - _SMALLEST
        ):
            self._lost = self.malformed = True
            return len(held)
        end = at + int(total)
        if total > self._cap:
            self.truncated = True
            self._skip = max(0, end - len(held))
            return min(end, len(held))
        if end > len(held):
            return None
        self._whole(bytes(held[at:end]), int(header_bytes))
        return end

    def _whole(self, frame: bytes, header_bytes: int) -> None:
        body = frame[: -_CRC.size]
        if crc32(body) != _CRC.unpack_from(frame, len(body))[0]:
            self.malformed = True
            return
        start = _PRELUDE.size + header_bytes
        headers = self._headers(body[_PRELUDE.size : start])
        if headers is None:
            self.malformed = True
        else:
            self._take(Frame(headers, body[start:]))

    def _headers(self, block: bytes) -> Headers | None:
        """Read a block of headers; nearly all frames of a stream have one of a few."""
        found = self._known.get(block)
        if found is not None:
            return found
        read = read_headers(block)
        if (
            read is not None
            and len(self._known) < _MAX_KNOWN_HEADERS
            and len(block) <= _MAX_KNOWN_BYTES
        ):
            self._known[block] = read
        return read


def read_headers(block: bytes) -> Headers | None:
    """Give the text headers of a frame; `None` where the block is broken."""
    found: dict[bytes, bytes] = {}
    at = 0
    try:
        while at < len(block):
            start = at + 1
            at = start + block[at]
            name, kind = block[start:at], block[at]
            at += 1
            if kind in (_STRING, _BYTES):
                size = int.from_bytes(block[at : at + 2])
                at += 2
            else:
                size = _FIXED[kind]
            if kind == _STRING:
                found[name] = block[at : at + size]
            at += size
    except (IndexError, KeyError):
        return None
    return found if at == len(block) else None
