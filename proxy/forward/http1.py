"""HTTP/1.1 of the provider's side as bytes: the answer's reader. No I/O.

Strategy: `AnswerReader.feed` takes bytes as they come and gives body bytes as they are found; it is strict where leniency
lets two parsers disagree (RFC 9112 §6.3 and §11.2): an answer with both Content-Length and Transfer-Encoding, two lengths,
a folded header line or a control character is a protocol error, never a guess. Bytes behind a complete answer are kept out
of the next one: they make the connection unfit for another use.
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from re import compile as pattern

from proxy.forward.headers import connection_tokens
from proxy.http.headers import RawHeaders

_STATUS_LINE = pattern(
    rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*))?\r?\Z"
)
_NAME = pattern(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_VALUE = pattern(rb"[\t\x20-\x7e\x80-\xff]*\Z")
_CHUNK_SIZE = pattern(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?\r?\Z")
_MAX_CHUNK_LINE = 4096
_MAX_TRAILER_BYTES = 64 << 10
_MAX_LENGTH_DIGITS = 18
_ENOUGH_SURPLUS_BYTES = 4096
"""With so much behind an answer nothing more is kept: its connection is not used again anyway."""


class ProtocolError(Exception):
    """The upstream broke HTTP; the message says how, without quoting data."""


class Framing(Enum):
    """How the end of a body is known."""

    EMPTY = auto()
    LENGTH = auto()
    CHUNKED = auto()
    UNTIL_CLOSE = auto()


@dataclass(slots=True, frozen=True)
class AnswerHead:
    """Status line and headers of an answer."""

    status: int
    reason: bytes
    headers: RawHeaders
    minor_version: int
    framing: Framing
    length: int | None
    """Content-Length, also where the answer has no body (HEAD, 304)."""
    keep_alive: bool

    def get(self, name: bytes) -> bytes:
        """Give the first value of a header (name in lower case), or empty."""
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return b""


@dataclass(slots=True)
class AnswerReader:
    """Reads one answer, interim ones (1xx) skipped, from bytes in any slicing."""

    method: bytes
    max_head_bytes: int
    allow_upgrade: bool = False
    head: AnswerHead | None = None
    complete: bool = False
    surplus: bytes = b""
    """What came first behind the end of the answer; for a 101, all of the other protocol's first bytes."""
    _buffer: bytearray = field(default_factory=bytearray)
    _left: int = 0
    _in_chunk: bool = False
    _in_trailers: bool = False
    _trailer_bytes: int = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take what came; give the body bytes in it. Raises `ProtocolError`."""
        if self.complete:
            if self.allow_upgrade or len(self.surplus) < _ENOUGH_SURPLUS_BYTES:
                self.surplus += data
            return []
        while self.head is None:
            self._buffer += data
            data = b""
            if not self._read_head():
                return []
            data = bytes(self._buffer)
            self._buffer.clear()
        return self._body(data)

    def feed_eof(self) -> bool:
        """Say that no more bytes come; whether that is a proper end of the answer."""
        if self.head is not None and self.head.framing is Framing.UNTIL_CLOSE:
            self.complete = True
        return self.complete

    def _read_head(self) -> bool:
        """Read the head that counts, behind any number of interim ones; whether all of it is here."""
        while self._buffer:
            if not self._read_one_head():
                return False
            if self.head is not None:
                return True
        return False

    def _read_one_head(self) -> bool:
        end = _end_of_head(self._buffer)
        if end < 0:
            if len(self._buffer) > self.max_head_bytes:
                raise ProtocolError(
                    f"the answer's head is longer than {self.max_head_bytes} bytes"
                )
            return False
        if end > self.max_head_bytes:
            raise ProtocolError(
                f"the answer's head is longer than {self.max_head_bytes} bytes"
            )
        raw = bytes(self._buffer[:end])
        del self._buffer[:end]
        head = parse_head(raw, self.method)
        if head.status < 200 and not (head.status == 101 and self.allow_upgrade):
            if head.status == 101:
                raise ProtocolError("the upstream switched protocols unasked")
            return True
        self.head = head
        self._left = head.length or 0 if head.framing is Framing.LENGTH else 0
        return True

    def _body(self, data: bytes) -> list[bytes]:
        assert self.head is not None
        match self.head.framing:
            case Framing.EMPTY:
                self._finish(data)
                return []
            case Framing.LENGTH:
                body, rest = data[: self._left], data[self._left :]
                self._left -= len(body)
                if not self._left:
                    self._finish(rest)
                return [body] if body else []
            case Framing.UNTIL_CLOSE:
                return [data] if data else []
            case _:
                return self._chunks(data)

    def _finish(self, rest: bytes) -> None:
        self.complete = True
        self.surplus = rest

    def _chunks(self, data: bytes) -> list[bytes]:
        if self._buffer:
            data = bytes(self._buffer) + data
            self._buffer.clear()
        out: list[bytes] = []
        at = 0
        while not self.complete and at < len(data):
            if self._left:
                piece = data[at : at + self._left]
                at += len(piece)
                self._left -= len(piece)
                out.append(piece)
                continue
            newline = data.find(b"\n", at)
            if newline < 0:
                if len(data) - at > _MAX_CHUNK_LINE:
                    raise ProtocolError("a line of the chunked encoding is too long")
                self._buffer += data[at:]
                return out
            self._chunk_line(data[at:newline])
            at = newline + 1
        if self.complete:
            self.surplus = data[at:]
        return out

    def _chunk_line(self, line: bytes) -> None:
        if self._in_trailers:
            self._trailer_bytes += len(line)
            if self._trailer_bytes > _MAX_TRAILER_BYTES:
                raise ProtocolError("the answer's trailers are too long")
            self.complete = line in (b"", b"\r")
        elif self._in_chunk:
            if line not in (b"", b"\r"):
                raise ProtocolError("a chunk is longer than its size says")
            self._in_chunk = False
        else:
            found = _CHUNK_SIZE.match(line)
            if found is None:
                raise ProtocolError("a chunk size is not a hexadecimal number")
            self._left = int(found[1], 16)
            self._in_chunk = self._left > 0
            self._in_trailers = self._left == 0


def _end_of_head(buffer: bytearray) -> int:
    """Give the offset behind the empty line that ends a head, or -1."""
    if buffer[:2] == b"\r\n" or buffer[:1] == b"\n":
        raise ProtocolError("the answer begins with an empty line")
    crlf, lf = buffer.find(b"\r\n\r\n"), buffer.find(b"\n\n")
    if crlf < 0:
        return lf + 2 if lf >= 0 else -1
    return crlf + 4 if lf < 0 or crlf < lf else lf + 2


def parse_head(raw: bytes, method: bytes) -> AnswerHead:
    """Read a whole head, its empty line included. Raises `ProtocolError`."""
    status_line, *lines = raw.split(b"\n")
    found = _STATUS_LINE.match(status_line)
    if found is None:
        raise ProtocolError("the answer does not begin with an HTTP/1 status line")
    status = int(found[2])
    headers = [_header(line.removesuffix(b"\r")) for line in lines[:-2]]
    framing, length = _framing(status, method, headers, int(found[1]))
    tokens = connection_tokens(headers)
    keep_alive = b"close" not in tokens if found[1] == b"1" else b"keep-alive" in tokens
    keep_alive = keep_alive and framing is not Framing.UNTIL_CLOSE
    return AnswerHead(
        status,
        found[3] or b"",
        tuple(headers),
        int(found[1]),
        framing,
        length,
        keep_alive,
    )


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    value = value.strip(b" \t")
    if not colon or _NAME.match(name) is None or _VALUE.match(value) is None:
        raise ProtocolError("a header line of the answer is malformed")
    return name, value


def _framing(
    status: int, method: bytes, headers: RawHeaders, minor: int
) -> tuple[Framing, int | None]:
    """Decide the body's length as RFC 9112 §6.3 orders it."""
    lengths = {value for name, value in headers if name.lower() == b"content-length"}
    codings = [
        value.lower() for name, value in headers if name.lower() == b"transfer-encoding"
    ]
    count = sum(1 for name, _ in headers if name.lower() == b"content-length")
    if count > 1 or (lengths and codings):
        raise ProtocolError("the answer states its length twice")
    length = _length(lengths.pop()) if lengths else None
    if codings and codings != [b"chunked"]:
        raise ProtocolError("the answer has a transfer coding other than chunked")
    if codings and minor == 0:
        raise ProtocolError("an HTTP/1.0 answer has a transfer coding")
    if method == b"HEAD" or status in (101, 204, 304):
        if status == 204 and (length or codings):
            raise ProtocolError("a 204 answer claims to have a body")
        return Framing.EMPTY, length
    if codings:
        return Framing.CHUNKED, None
    if length is None:
        return Framing.UNTIL_CLOSE, None
    return (Framing.LENGTH if length else Framing.EMPTY), length


def _length(value: bytes) -> int:
    if not value.isdigit() or len(value) > _MAX_LENGTH_DIGITS:
        raise ProtocolError("the answer's Content-Length is not a number")
    return int(value)
