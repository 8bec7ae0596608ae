"""Inflates a copy of a compressed body, piece by piece and within a limit.

What lives here: the content codings that providers use (gzip, deflate, br, zstd, identity, and stacks of them). What does not:
the bytes that travel on to the agent, which are never touched, and what the plain text means.
"""

import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import brotli

if sys.version_info >= (3, 14):  # pragma: no cover
    from compression import zstd
else:
    from backports import zstd

MAX_STACK = 4
"""More codings than this on one body are taken for an attack."""

_PIECE_BYTES = 65536
_SLICE_BYTES = 16384
_ZSTD_WINDOW_LOG = 23
"""8 MB, the largest window that RFC 9659 allows for `Content-Encoding: zstd`."""

_CORRUPT = (zlib.error, brotli.error, zstd.ZstdError)


class _Stage(Protocol):
    """One coding; gives pieces of at most about 64 KB, so that a bomb never stands in memory whole."""

    def run(self, data: bytes) -> Iterator[bytes]: ...


class _Zlib(Protocol):
    """What `zlib.decompressobj` gives; its own type has no public name."""

    @property
    def eof(self) -> bool: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _drain(stream: _Zlib, data: bytes) -> Iterator[bytes]:
    """Inflate all of the data; a full piece may leave output inside the stream though all its input is used up."""
    while not stream.eof:
        piece = stream.decompress(data, _PIECE_BYTES)
        yield piece
        data = stream.unconsumed_tail
        if not data and len(piece) < _PIECE_BYTES:
            return


class _Gzip:
    """One or more gzip members; whatever follows them is not ours to judge."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)

    def run(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._member.eof:
                if data[0] != 0x1F:
                    return
                self._member = zlib.decompressobj(wbits=31)
            yield from _drain(self._member, data)
            data = self._member.unused_data


class _Deflate:
    """Zlib as the RFC says, or raw deflate as some servers do."""

    def __init__(self) -> None:
        self._head = b""
        self._stream = zlib.decompressobj()
        self._begun = False

    def run(self, data: bytes) -> Iterator[bytes]:
        if not self._begun:
            data = self._head + data
            if len(data) < 2:
                self._head = data
                return
            self._begun = True
            is_zlib = data[0] & 0x0F == 8 and int.from_bytes(data[:2]) % 31 == 0
            self._stream = zlib.decompressobj(wbits=15 if is_zlib else -15)
        yield from _drain(self._stream, data)


class _Brotli:
    def __init__(self) -> None:
        self._stream = brotli.Decompressor()

    def run(self, data: bytes) -> Iterator[bytes]:
        if self._stream.is_finished():
            return
        piece = self._stream.process(data, output_buffer_limit=_PIECE_BYTES)
        yield piece
        # That it can accept more says nothing of output still inside; a full piece does.
        while len(piece) >= _PIECE_BYTES or not self._stream.can_accept_more_data():
            piece = self._stream.process(b"", output_buffer_limit=_PIECE_BYTES)
            yield piece


class _Zstd:
    """One or more frames, skippable ones included."""

    def __init__(self) -> None:
        self._frame = _zstd_frame()

    def run(self, data: bytes) -> Iterator[bytes]:
        while data or not self._frame.needs_input:
            if self._frame.eof:
                self._frame = _zstd_frame()
            yield self._frame.decompress(data, _PIECE_BYTES)
            data = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof and not data:
                return


def _zstd_frame() -> zstd.ZstdDecompressor:
    return zstd.ZstdDecompressor(
        options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
    )


_STAGES: dict[str, Callable[[], _Stage]] = {
    "gzip": _Gzip,
    "x-gzip": _Gzip,
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _Zstd,
}


class Inflater:
    """Turns what travelled into plain bytes: at most `limit_bytes` in all, whatever the input claims; never raises."""

    def __init__(self, encoding: str, limit_bytes: int) -> None:
        names = [name.strip().lower() for name in encoding.split(",")]
        names = [name for name in names if name not in ("", "identity")]
        self.unsupported = len(names) > MAX_STACK or any(
            name not in _STAGES for name in names
        )
        """A coding is not known: nothing comes out."""
        self.exceeded = False
        """There was more than the limit; what came out is its beginning."""
        self.failed = False
        """The data was corrupt; what came out before is good."""
        self._stages = (
            [] if self.unsupported else [_STAGES[name]() for name in reversed(names)]
        )
        self._room = [limit_bytes] * (len(self._stages) + 1)

    def feed(self, chunk: bytes) -> bytes:
        """Give the plain bytes that this chunk completes, all at once."""
        pieces = list(self.pieces(chunk))
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """Give the plain bytes that this chunk completes, in pieces of about 64 KB at most."""
        if self.unsupported or self.exceeded or self.failed:
            return
        try:
            yield from self._run(0, chunk)
        except _CORRUPT:
            self.failed = True

    def _run(self, index: int, data: bytes) -> Iterator[bytes]:
        if index == len(self._stages):
            yield self._admit(data, index)
            return
        for start in range(0, len(data), _SLICE_BYTES):
            for piece in self._stages[index].run(data[start : start + _SLICE_BYTES]):
                yield from self._run(index + 1, self._admit(piece, index))
                if self.exceeded:
                    return

    def _admit(self, piece: bytes, stage: int) -> bytes:
        """Count what a stage gave, so that an inner layer cannot grow beyond the limit unseen."""
        room = self._room[stage]
        self._room[stage] = room - min(len(piece), room)
        if len(piece) <= room:
            return piece
        self.exceeded = True
        return piece[:room]
