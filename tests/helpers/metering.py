"""Recorded answers through the meter alone, as the pipeline would feed them.

What lives here: choosing the dialect by the route that a recording would have, feeding, and ways of cutting bytes. What does not: what must
come of it.
"""

import random
import struct

import msgspec

from proxy import providers
from proxy.meter.dialect import Head
from proxy.meter.dialects import Dialect, Operation, recognise
from proxy.meter.tee import Tee
from proxy.model import Ask, Kind, Reading, Usage
from tests.helpers.recordings import Recording

LIMIT = 8 << 20


def dialect_of(recording: Recording) -> tuple[Dialect, Operation]:
    known = providers.find(recording.route)
    kind = Kind.EMBEDDING if known and known.embeds else Kind.LLM
    return recognise(kind, "", recording.method, recording.path)


def ask_of(recording: Recording) -> Ask:
    dialect, operation = dialect_of(recording)
    return dialect.read_request(operation, recording.request_body)


def tee_of(recording: Recording, coding: str = "") -> Tee:
    dialect, _ = dialect_of(recording)
    head = Head(recording.status, recording.content_type, recording.response_headers)
    return Tee(dialect.reader(ask_of(recording), head), coding, LIMIT)


def read_recording(recording: Recording, chunks: list[bytes]) -> Reading:
    """Feed a reader with these bytes; it must not raise."""
    tee = tee_of(recording)
    for chunk in chunks:
        tee.feed(chunk)
    reading = tee.reading()
    assert tee.failures == 0
    return reading


def counted(usage: Usage | None) -> dict[str, int] | None:
    """Give the buckets that are not zero."""
    if usage is None:
        return None
    return {name: count for name, count in msgspec.to_builtins(usage).items() if count}


def one_by_one(body: bytes) -> list[bytes]:
    return [body[at : at + 1] for at in range(len(body))]


def seeded_slices(body: bytes, seed: str) -> list[bytes]:
    dice, at, chunks = random.Random(seed), 0, []
    while at < len(body):
        size = dice.choice((1, 2, 3, 7, 50, 333, 4096))
        chunks.append(body[at : at + size])
        at += size
    return chunks


def event_ends(recording: Recording) -> list[int]:
    """Give the places in a stream at which a line or a frame ends."""
    body = recording.body
    if recording.provider != "bedrock":
        return [at + 1 for at, byte in enumerate(body) if byte == 0x0A]
    ends, at = [], 0
    while at + 4 <= len(body):
        at += struct.unpack_from(">I", body, at)[0]
        ends.append(at)
    return ends
