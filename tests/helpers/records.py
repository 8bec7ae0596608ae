"""Reading the raw spool as a test sees it.

What lives here: a reader of segment files written from the format's description alone (32-byte header, then length,
CRC32C, payload), and the records of one exchange put together. What does not: the product's own reader, which has its
own tests; a bug in it must not hide one in the writer.
"""

import asyncio
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import google_crc32c

from proxy.record.codec import Close, End, Event, Memo, Open, Price, decode
from tests.helpers.wire import WAIT_SECONDS

HEADER_BYTES = 32
FRAME = struct.Struct("<II")


@dataclass
class Recorded:
    """What the spool says of one exchange; well-formed when it has one record of each sort."""

    attempt_id: str
    opens: list[Open] = field(default_factory=list)
    closes: list[Close] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)

    @property
    def open(self) -> Open:
        (record,) = self.opens
        return record

    @property
    def close(self) -> Close:
        (record,) = self.closes
        return record

    @property
    def end(self) -> End:
        (record,) = self.ends
        return record


def frames(segment: bytes) -> Iterator[bytes]:
    """Give the payloads of the whole frames of a segment, each with a right checksum."""
    if len(segment) < HEADER_BYTES:
        return
    assert segment.startswith(b"TACHOSEG")
    at = HEADER_BYTES
    while at + FRAME.size <= len(segment):
        length, checksum = FRAME.unpack_from(segment, at)
        payload = segment[at + FRAME.size : at + FRAME.size + length]
        if length == 0 or len(payload) < length:
            return
        assert google_crc32c.value(payload) == checksum
        yield payload
        at += FRAME.size + length


def read_spool(data_dir: Path) -> tuple[list[Recorded], list[Event]]:
    """Read every record of every worker, exchanges in the order in which they were admitted."""
    exchanges: dict[str, Recorded] = {}
    events: list[Event] = []
    for path in sorted(data_dir.glob("spool/*/*/*.seg")):
        for payload in frames(path.read_bytes()):
            match decode(payload):
                case Open() as record:
                    _of(exchanges, record.attempt_id).opens.append(record)
                case Close() as record:
                    _of(exchanges, record.attempt_id).closes.append(record)
                case End() as record:
                    _of(exchanges, record.attempt_id).ends.append(record)
                case Event() as record:
                    events.append(record)
                case Price() | Memo():
                    pass  # one explains what other records say, the other is for the worker's successor
                case None:
                    raise AssertionError(f"unknown record in {path}")
    return list(exchanges.values()), events


def _of(exchanges: dict[str, Recorded], attempt_id: str) -> Recorded:
    return exchanges.setdefault(attempt_id, Recorded(attempt_id))


async def until(
    holds: Callable[[], bool], what: str, wait_seconds: float = WAIT_SECONDS
) -> None:
    """Poll until the condition holds; fail with `what` when it does not in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_seconds
    while not holds():
        assert loop.time() < deadline, f"not in {wait_seconds} s: {what}"
        await asyncio.sleep(0.005)


async def ended(
    data_dir: Path, count: int, wait_seconds: float = WAIT_SECONDS
) -> list[Recorded]:
    """Wait until `count` exchanges have ended; give all that are known."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_seconds
    while True:
        exchanges, _ = await asyncio.to_thread(read_spool, data_dir)
        done = sum(bool(exchange.ends) for exchange in exchanges)
        if done >= count:
            return exchanges
        assert loop.time() < deadline, (
            f"{done} of {count} exchanges ended in {wait_seconds} s: {exchanges}"
        )
        await asyncio.sleep(0.01)


async def all_ended(
    data_dir: Path, wait_seconds: float = WAIT_SECONDS
) -> list[Recorded]:
    """Wait until no exchange is open; give all of them."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_seconds
    while True:
        exchanges, _ = await asyncio.to_thread(read_spool, data_dir)
        open_ones = [exchange for exchange in exchanges if not exchange.ends]
        if exchanges and not open_ones:
            return exchanges
        assert loop.time() < deadline, (
            f"{len(open_ones)} still open after {wait_seconds} s: {open_ones[:3]}"
        )
        await asyncio.sleep(0.02)
