"""The bytes of a segment file: its header, its frames, and how they are read back when some are damaged.

What lives here: the format, pure functions over bytes, and `read_frames`, which reads one file. What does not: which file
comes next (`log_reader.py`), writing (`segment_writer.py`), what a payload means (`codec.py`).

Segment = 32-byte header + frames. Header (little endian): magic `TACHOSEG`, u16 format version, u16 check, u32 segment
number, 16 bytes of the writer's id; the check is the low half of the CRC32C of the header with a zero check, so that a
flipped bit is not taken for a newer version. Frame = u32 length, u32 CRC32C of the payload, payload; length 0 is invalid.

Strategy for damage, in this order: if the payload is good up to some later place, only the length was damaged. Else the
length is trusted if it leads to a good frame, or past the end as a torn one does; so bytes inside a payload that look like a
frame are not taken for one. Else the next good frame is searched byte by byte, with a budget. In a file that may still grow nothing is
given up before its writer has moved on: what looks bad at the tail may only be unfinished.
"""

import os
import re
import struct
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import google_crc32c

from proxy.errors import RecordError

MAGIC = b"TACHOSEG"
FORMAT_VERSION = 1
MAX_FRAME_BYTES = 64 << 20
READ_BYTES = 1 << 20
"""How much is read at once; a larger frame is read alone."""

_HEADER = struct.Struct("<8sHHI16s")
_FRAME = struct.Struct("<II")
HEADER_BYTES = _HEADER.size
PREFIX_BYTES = _FRAME.size

_SEARCH_WINDOW_BYTES = 4 << 20
_SEARCH_CRC_BUDGET_BYTES = 1 << 30
_MOST_FOUND = 64
_SHORT_BYTES = 64 << 10
"""In payloads up to this size each byte may be the last one of a frame whose length was damaged."""
_MOST_BAD_IN_A_ROW = 64
_LONE_CANDIDATE_BYTES = 256 << 10
"""A candidate longer than this must be followed by a plausible frame before its CRC is worth computing."""
_CANDIDATE = re.compile(rb"(?s)(?=(?!\x00{4})...[\x00-\x04])")
"""Four bytes that can be a length up to 64 MB and are not zero."""

Losses = Counter[str]
"""What was skipped, by reason: `corrupt`, `torn`, `header`, `foreign`, `missing`, `ahead`, `unreadable`, and `bytes`."""


class Position(NamedTuple):
    """The place after a frame; `Position(0, 0)` is before everything."""

    segment: int
    offset: int


class Frame(NamedTuple):
    """One good frame of a segment: where it starts, where the next one starts, and what it carries."""

    start: int
    end: int
    payload: bytes


class Chunk(NamedTuple):
    """What one read gave; `done` says that a sealed segment has nothing more."""

    frames: list[Frame]
    offset: int
    done: bool


def header(writer_id: bytes, number: int) -> bytes:
    """Give the 32 bytes at the start of segment `number`."""
    blank = _HEADER.pack(MAGIC, FORMAT_VERSION, 0, number, writer_id)
    return _HEADER.pack(
        MAGIC, FORMAT_VERSION, google_crc32c.value(blank) & 0xFFFF, number, writer_id
    )


def check_header(data: bytes, number: int) -> str:
    """Say what is wrong with a header: empty, `header` (damaged) or `foreign` (of another segment).

    Raises `RecordError` when a newer version wrote it.
    """
    if len(data) < HEADER_BYTES:
        return "header"
    magic, version, check, found, writer_id = _HEADER.unpack(data[:HEADER_BYTES])
    blank = _HEADER.pack(magic, version, 0, found, writer_id)
    if magic != MAGIC or google_crc32c.value(blank) & 0xFFFF != check:
        return "header"
    if version > FORMAT_VERSION:
        raise RecordError(
            f"segment {number} has format version {version}, this program reads up to {FORMAT_VERSION}: use the newer version"
        )
    return "" if found == number else "foreign"


def frame(payload: bytes) -> bytes:
    """Give the bytes of one frame."""
    if not 0 < len(payload) <= MAX_FRAME_BYTES:
        raise RecordError(
            f"a payload of {len(payload)} bytes does not fit a frame (1 to {MAX_FRAME_BYTES})"
        )
    return _FRAME.pack(len(payload), google_crc32c.value(payload)) + payload


def read_frames(
    fd: int, offset: int, losses: Losses, *, sealed: bool, limit_bytes: int = READ_BYTES
) -> Chunk:
    """Read the good frames from `offset`, about `limit_bytes` of them; `sealed` says that the file will not grow."""
    end = os.fstat(fd).st_size
    if sealed and offset > end:
        losses["ahead"] += 1
        return Chunk([], end, True)
    window = _Window(fd, end, limit_bytes)
    frames: list[Frame] = []
    start = offset
    while offset < end and offset - start < limit_bytes:
        payload = window.payload(offset)
        if payload is not None:
            frames.append(Frame(offset, offset + PREFIX_BYTES + len(payload), payload))
            offset = frames[-1].end
            continue
        following = _after_damage(window, offset, sealed)
        if following is None:
            break
        losses["torn" if following == end else "corrupt"] += 1
        losses["bytes"] += following - offset
        offset = following
    return Chunk(frames, offset, sealed and offset >= end)


class _Window:
    """A file up to a fixed end, read in pieces; only the piece at hand is kept."""

    def __init__(self, fd: int, end: int, piece_bytes: int) -> None:
        self.fd = fd
        self.end = end
        self._piece_bytes = max(piece_bytes, HEADER_BYTES)
        self._start = 0
        self._data = b""

    def bytes_at(self, start: int, length: int) -> bytes:
        """Give up to `length` bytes at `start`; shorter where the file ends."""
        length = min(length, self.end - start)
        if length <= 0:
            return b""
        inside = start - self._start
        if inside < 0 or inside + length > len(self._data):
            if length > self._piece_bytes:
                return os.pread(self.fd, length, start)
            self._start, self._data = (
                start,
                os.pread(self.fd, min(self._piece_bytes, self.end - start), start),
            )
            inside = 0
        return self._data[inside : inside + length]

    def length_at(self, start: int) -> int:
        """Give the length of the frame at `start`, or 0 when no whole frame can be there."""
        prefix = self.bytes_at(start, PREFIX_BYTES)
        if len(prefix) < PREFIX_BYTES:
            return 0
        length = int.from_bytes(prefix[:4], "little")
        return (
            length
            if length <= min(MAX_FRAME_BYTES, self.end - start - PREFIX_BYTES)
            else 0
        )

    def payload(self, start: int) -> bytes | None:
        """Give the payload of the frame at `start` if it is whole and good."""
        length = self.length_at(start)
        if not length:
            return None
        data = self.bytes_at(start, PREFIX_BYTES + length)
        payload = data[PREFIX_BYTES:]
        if len(payload) != length or google_crc32c.value(payload) != int.from_bytes(
            data[4:8], "little"
        ):
            return None
        return payload


def _after_damage(window: _Window, start: int, sealed: bool) -> int | None:
    """Find where to go on after a bad frame at `start`; `None`: wait, since the file may still grow."""
    length = window.length_at(start)
    if not sealed and not length and _seems_torn(window, start):
        return None
    following = _by_checksum(window, start) or _by_length(window, start)
    if following is None and not length and _seems_torn(window, start):
        following = window.end
    if following is None:
        following = next(_good_frames(window, start + 1), window.end)
    return following if sealed or following < window.end else None


def _seems_torn(window: _Window, start: int) -> bool:
    """Say whether the file ends before the frame does, going by a length that is possible."""
    prefix = window.bytes_at(start, 4)
    return len(prefix) < 4 or 0 < int.from_bytes(prefix, "little") <= MAX_FRAME_BYTES


def _by_checksum(window: _Window, start: int) -> int | None:
    """Find the end of a frame whose payload is good and whose length is not: its checksum tells."""
    begin = start + PREFIX_BYTES
    if begin >= window.end:
        return None
    wanted = int.from_bytes(window.bytes_at(start, PREFIX_BYTES)[4:], "little")
    value = 0
    data = window.bytes_at(begin, _SHORT_BYTES)
    for index in range(len(data)):
        value = google_crc32c.extend(value, data[index : index + 1])
        if value == wanted:
            return begin + index + 1
    for place in _good_frames(window, begin + len(data)):
        if _checksum(window, begin, place) == wanted:
            return place
    return None


def _by_length(window: _Window, start: int) -> int | None:
    """Trust the length of a bad frame when it and those behind it lead to a good one, or to the very end."""
    length = window.length_at(start)
    following = place = start + PREFIX_BYTES + length
    for _ in range(_MOST_BAD_IN_A_ROW):
        if not length:
            return None
        if place == window.end or window.payload(place) is not None:
            return following
        length = window.length_at(place)
        if _by_checksum(window, place) is not None or (
            not length and _seems_torn(window, place)
        ):
            return following
        place += PREFIX_BYTES + length
    return None


def _good_frames(window: _Window, start: int) -> Iterator[int]:
    """Give where good frames begin, each behind the one before, with a bound on the work."""
    budget = _SEARCH_CRC_BUDGET_BYTES
    found = 0
    while start + PREFIX_BYTES < window.end and found < _MOST_FOUND:
        data = os.pread(window.fd, min(_SEARCH_WINDOW_BYTES, window.end - start), start)
        behind = start
        for match in _CANDIDATE.finditer(data):
            place = start + match.start()
            length = window.length_at(place)
            if place < behind or not _worth(window, place, length):
                continue
            budget -= length
            if budget < 0:
                return
            if window.payload(place) is not None:
                yield place
                found += 1
                behind = place + PREFIX_BYTES + length
        if len(data) < 4:
            return
        start = max(behind, start + len(data) - 3)


def _worth(window: _Window, place: int, length: int) -> bool:
    if length <= _LONE_CANDIDATE_BYTES:
        return length > 0
    return _plausible_at(window, place + PREFIX_BYTES + length)


def _checksum(window: _Window, start: int, end: int) -> int:
    value = 0
    while start < end:
        data = os.pread(window.fd, min(_SEARCH_WINDOW_BYTES, end - start), start)
        if not data:
            break
        value = google_crc32c.extend(value, data)
        start += len(data)
    return value


def _plausible_at(window: _Window, start: int) -> bool:
    return start == window.end or window.length_at(start) > 0
