import struct
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.meter.eventstream import Frame, FrameStream, read_headers
from tests.helpers.eventstream import event, exception, frame, framed, header

STREAM = event("messageStart", role="assistant") + event("messageStop", x="é" * 90)
ALL_TYPES = b"".join(
    [
        header("true", b"", 0),
        header("false", b"", 1),
        header("byte", b"1", 2),
        header("short", b"22", 3),
        header("int", b"4444", 4),
        header("long", b"88888888", 5),
        header("bytes", b"\x00\x03abc", 6),
        header("text", "abc"),
        header("when", b"88888888", 8),
        header("uuid", b"0123456789abcdef", 9),
    ]
)


def frames(*chunks: bytes, cap: int = 1 << 20) -> tuple[list[Frame], FrameStream]:
    found: list[Frame] = []
    stream = FrameStream(found.append, cap)
    for chunk in chunks:
        stream.feed(chunk)
    return found, stream


def test_frames_are_told_by_type_and_name():
    error = frame({":message-type": "error", ":error-code": "Oh"})
    found, stream = frames(
        STREAM + exception("throttlingException") + error + framed(b"", b"x")
    )
    assert [(each.kind, each.name) for each in found] == [
        (b"event", "messageStart"),
        (b"event", "messageStop"),
        (b"exception", "throttlingException"),
        (b"error", "Oh"),
        (b"", ""),
    ]
    assert found[0].payload == b'{"role":"assistant"}'
    assert not (stream.malformed)
    assert not (stream.truncated)


@given(st.lists(st.integers(0, len(STREAM))))
def test_cuts_do_not_matter(cuts: list[int]):
    pieces = [STREAM[a:b] for a, b in pairwise([0, *sorted(cuts), len(STREAM)])]
    assert frames(*pieces)[0] == frames(STREAM)[0]


def test_headers_of_all_types_are_stepped_over():
    found, stream = frames(framed(ALL_TYPES, b"x"))
    assert found == [Frame({b"text": b"abc"}, b"x")]
    assert not stream.malformed


@pytest.mark.parametrize(
    "block",
    [
        ALL_TYPES[:-1],
        header("unknown", b"", 10),
        header("short", b"\x00", 7),
        b"\x05ab",
        b"\x01",
        b"\x01a",
    ],
    ids=["cut", "unknown type", "no length", "name too long", "no name", "no type"],
)
def test_broken_headers_cost_their_frame(block: bytes):
    assert read_headers(block) is None
    found, stream = frames(framed(block, b"x") + STREAM)
    assert (len(found), stream.malformed) == (2, True)


def test_a_damaged_frame_is_skipped():
    damaged = bytearray(STREAM)
    damaged[40] ^= 1
    found, stream = frames(bytes(damaged))
    assert ([each.name for each in found], stream.malformed) == (["messageStop"], True)


@pytest.mark.parametrize(
    "start",
    [
        b"\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00\x00\x00",
        framed(b"", b"")[:4] + b"\x00\x00\x00\x01" + b"1234",
        b"HTTP/1.1 200 OK and so on",
    ],
)
def test_after_a_broken_prelude_nothing_is_read(start: bytes):
    found, stream = frames(start, STREAM)
    assert (found, stream.malformed) == ([], True)


@pytest.mark.parametrize(("total", "headers"), [(15, 0), (16, 1), (20, 5)])
def test_lengths_that_cannot_be_end_it(total: int, headers: int):

    lengths = struct.pack(">II", total, headers)
    prelude = lengths + struct.pack(">I", zlib.crc32(lengths))
    found, stream = frames(prelude + bytes(20) + STREAM)
    assert (found, stream.malformed) == ([], True)


@pytest.mark.parametrize("size", [1, 7, 5000])
def test_a_frame_beyond_the_cap_is_skipped(size: int):
    sent = event("a", x="y" * 1900) + STREAM
    pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
    found, stream = frames(*pieces, cap=900)
    assert [each.name for each in found] == ["messageStart", "messageStop"]
    assert (stream.truncated, stream.malformed) == (True, False)


def test_only_so_many_kinds_of_headers_are_remembered():
    found, stream = frames(*(event(f"e{number}") for number in range(200)))
    assert len(found) == 200
    assert len(stream._known) == 64
    frames(event("e" * 1100))


@given(st.lists(st.binary(max_size=60)))
def test_garbage_never_raises(chunks: list[bytes]):
    frames(*chunks)
    frames(STREAM[:50], *chunks)
