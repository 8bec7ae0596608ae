"""A local upstream that says again what a provider said, byte by byte, in a content coding and a framing of choice.

What lives here: recorded exchanges whole (`Tape`), their answers as pieces of bytes (`Playback`), and the handler of a raw
origin that plays them. What does not: expectations, HTTP libraries, anything of the product.
"""

import asyncio
import itertools
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import brotli
import zstandard

from tests.helpers.origin import Exchange
from tests.helpers.recordings import Recording, recordings
from tests.helpers.wire import LAST_CHUNK, Headers, chunk, fields_of

SLICE_SIZES = (1, 2, 3, 7, 61, 1, 509, 13, 4099)
"""Odd, and mostly prime, so that cuts fall into UTF-8 sequences, line ends and event boundaries."""

_OWN_TO_A_CONNECTION = frozenset(
    {
        b"connection",
        b"content-encoding",
        b"content-length",
        b"keep-alive",
        b"transfer-encoding",
    }
)
_OF_THE_CLIENT = frozenset(
    {*_OWN_TO_A_CONNECTION, b"host", b"expect"} - {b"content-encoding"}
)


def _gzipped(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(body) + packer.flush()


def _brotli(body: bytes) -> bytes:
    return bytes(brotli.compress(body, quality=5))


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "gzip": _gzipped,
    "br": _brotli,
    "zstd": zstandard.compress,
}


class Framing(Enum):
    """How an answer's body is framed and cut."""

    WHOLE = "whole, with a length"
    SLICED = "odd slices, with a length"
    CHUNKED = "odd slices, one a chunk"


@dataclass(frozen=True)
class Tape:
    """One recorded exchange, as it is played."""

    recording: Recording
    id: str
    api: str
    method: bytes
    target: bytes
    request_headers: Headers
    request_body: bytes
    status: int
    headers: Headers
    body: bytes
    streamed: bool
    usage: list[dict[str, Any]]

    @property
    def path(self) -> str:
        return self.target.partition(b"?")[0].decode()

    @property
    def asked(self) -> dict[str, Any]:
        """What the request's JSON says."""
        said = json.loads(self.request_body or b"{}")
        assert isinstance(said, dict)
        return said


def tapes(folder: Path, *names: str) -> list[Tape]:
    """Read all exchanges of these files."""
    return [tape_of(recording) for recording in recordings(folder, *names)]


def tape_of(recording: Recording) -> Tape:
    """Make a tape of a recording, without what is a connection's own."""
    headers = _without(recording.response_headers, _OWN_TO_A_CONNECTION)
    if not any(name.lower() == b"content-type" for name, _ in headers):
        # Some recorders kept no headers, and no provider sends none.
        headers.append((b"Content-Type", _content_type(recording)))
    return Tape(
        recording=recording,
        id=recording.id,
        api=recording.api,
        method=recording.method.encode(),
        # Mistral's SDK tells streams by a fragment, which no client sends.
        target=b"/" + recording.url.partition("#")[0].split("/", 3)[3].encode(),
        request_headers=_without(recording.request_headers, _OF_THE_CLIENT),
        request_body=recording.request_body,
        status=recording.status,
        headers=headers,
        body=recording.body,
        streamed=recording.streamed,
        usage=recording.usage,
    )


def _content_type(recording: Recording) -> bytes:
    if not recording.streamed:
        return b"application/json"
    if recording.provider == "bedrock":
        return b"application/vnd.amazon.eventstream"
    if recording.provider == "ollama":
        return b"application/x-ndjson"
    return b"text/event-stream; charset=utf-8"


def _without(
    fields: tuple[tuple[bytes, bytes], ...], names: frozenset[bytes]
) -> Headers:
    return [(name, value) for name, value in fields if name.lower() not in names]


def odd_slices(body: bytes) -> Iterator[bytes]:
    """Cut at odd places; large bodies get some large slices, too."""
    sizes, at = itertools.cycle(SLICE_SIZES), 0
    while at < len(body):
        size = next(sizes)
        yield body[at : at + size]
        at += size


@dataclass(frozen=True)
class Playback:
    """A tape's answer on the wire."""

    tape: Tape
    coding: str = "identity"
    framing: Framing = Framing.WHOLE

    @property
    def body(self) -> bytes:
        """The body as it is sent, without framing."""
        return CODINGS[self.coding](self.tape.body)

    @property
    def headers(self) -> Headers:
        """All headers but those of the framing."""
        if self.coding == "identity":
            return self.tape.headers
        return [*self.tape.headers, (b"Content-Encoding", self.coding.encode())]

    def pieces(self) -> Iterator[bytes]:
        """Give what is written, one write each."""
        body = self.body
        chunked = self.framing is Framing.CHUNKED
        length = (
            (b"Transfer-Encoding", b"chunked")
            if chunked
            else (b"Content-Length", b"%d" % len(body))
        )
        head = b"HTTP/1.1 %d Recorded\r\n" % self.tape.status
        head += fields_of([*self.headers, length]) + b"\r\n"
        if self.framing is Framing.WHOLE:
            yield head + body
            return
        yield head
        yield from (chunk(each) if chunked else each for each in odd_slices(body))
        if chunked:
            yield LAST_CHUNK


class Player:
    """The handler of a `RawOrigin`: plays `playing` until something else is put there."""

    def __init__(self) -> None:
        self.playing: Playback | None = None
        self.script: list[Playback | bytes] = []
        """Answers for the next requests, before `playing` is played again; bytes are sent as they are."""

    async def __call__(self, exchange: Exchange) -> None:
        answer = self.script.pop(0) if self.script else self.playing
        assert answer is not None, f"nobody expected {exchange.request.start!r}"
        pieces = [answer] if isinstance(answer, bytes) else answer.pieces()
        for piece in pieces:
            await exchange.send(piece)
            await asyncio.sleep(
                0
            )  # lets the proxy read this piece before the next one is there
