import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import RecordError
from proxy.record import framing
from proxy.record.framing import (
    HEADER_BYTES,
    Chunk,
    check_header,
    frame,
    header,
    read_frames,
)

WRITER = bytes(range(16))


def read(
    path: Path,
    data: bytes,
    *,
    sealed: bool = True,
    offset: int = HEADER_BYTES,
    limit_bytes: int = 1 << 20,
):
    path.write_bytes(data)
    losses: Counter[str] = Counter()
    fd = os.open(path, os.O_RDONLY)
    try:
        chunk = read_frames(fd, offset, losses, sealed=sealed, limit_bytes=limit_bytes)
    finally:
        os.close(fd)
    return [each.payload for each in chunk.frames], losses, chunk


def segment(*payloads: bytes) -> bytes:
    return header(WRITER, 1) + b"".join(map(frame, payloads))


def test_header_has_the_documented_layout():
    assert header(WRITER, 7)[:10] == b"TACHOSEG\x01\x00"
    assert header(WRITER, 7)[12:16] == b"\x07\x00\x00\x00"
    assert header(WRITER, 7)[16:] == WRITER
    assert len(header(WRITER, 7)) == HEADER_BYTES == 32


def test_header_says_what_is_wrong_with_it():
    good = header(WRITER, 7)
    assert check_header(good, 7) == ""
    assert check_header(good, 8) == "foreign"
    assert check_header(good[:31], 7) == "header"
    assert check_header(b"NOTOURS!" + good[8:], 7) == "header"


@pytest.mark.parametrize("bit", range(HEADER_BYTES * 8))
def test_flipped_bit_in_a_header_is_damage_and_never_a_newer_version(bit):
    data = bytearray(header(WRITER, 7))
    data[bit // 8] ^= 1 << bit % 8
    assert check_header(bytes(data), 7) == "header"


def test_newer_format_version_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setattr(framing, "FORMAT_VERSION", 2)
    newer = header(WRITER, 7)
    monkeypatch.undo()
    with pytest.raises(RecordError, match="use the newer version"):
        check_header(newer, 7)


@pytest.mark.parametrize("size", [0, framing.MAX_FRAME_BYTES + 1])
def test_payload_that_fits_no_frame_is_refused(size):
    with pytest.raises(RecordError, match="does not fit"):
        frame(bytes(size))


@given(st.lists(st.binary(min_size=1, max_size=300)), st.integers(40, 2000))
def test_frames_are_read_back_whatever_the_read_size(
    tmp_path_factory, payloads, limit_bytes
):
    path = tmp_path_factory.mktemp("f") / "s"
    data = segment(*payloads)
    offset, found, done = HEADER_BYTES, [], False
    while not done:
        got, losses, chunk = read(path, data, offset=offset, limit_bytes=limit_bytes)
        found += got
        assert not losses
        offset, done = chunk.offset, chunk.done
    assert found == payloads


def test_frame_larger_than_the_read_size_is_read_whole(tmp_path):
    found, losses, _ = read(tmp_path / "s", segment(b"a" * 5000, b"b"), limit_bytes=64)
    assert found == [b"a" * 5000]
    assert not losses


@pytest.mark.parametrize("cut", range(1, 12))
def test_unfinished_frame_of_a_live_segment_is_waited_for(tmp_path, cut):
    data = segment(b"one", b"two!")
    found, losses, chunk = read(tmp_path / "s", data[:-cut], sealed=False)
    assert found == [b"one"]
    assert not losses
    assert not chunk.done
    found, losses, _ = read(tmp_path / "s", data, sealed=False, offset=chunk.offset)
    assert found == [b"two!"]


@pytest.mark.parametrize("cut", range(1, 12))
def test_torn_tail_of_a_sealed_segment_is_skipped_and_counted(tmp_path, cut):
    found, losses, chunk = read(tmp_path / "s", segment(b"one", b"two!")[:-cut])
    assert found == [b"one"]
    assert losses["torn"] == 1
    assert losses["bytes"] == 12 - cut
    assert chunk.done


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("bit", range(8 * 18))
def test_any_flipped_bit_costs_exactly_the_frame_it_hits(tmp_path, bit, sealed):
    data = bytearray(segment(b"first", b"the second", b"third", b"fourth"))
    start = HEADER_BYTES + 8 + 5
    data[start + bit // 8] ^= 1 << bit % 8
    found, losses, _ = read(tmp_path / "s", bytes(data), sealed=sealed)
    # A length that grew past the end of a live file looks like a frame that is still being written.
    unfinished = not sealed and bit < 32 and found == [b"first"]
    assert unfinished or found == [b"first", b"third", b"fourth"]
    assert unfinished or losses["corrupt"] == 1


def test_last_frame_with_a_bad_checksum_is_given_up_only_when_sealed(tmp_path):
    data = segment(b"one", b"two")[:-1] + b"!"
    found, losses, chunk = read(tmp_path / "s", data, sealed=False)
    assert (found, chunk.done) == ([b"one"], False)
    assert not losses
    found, losses, chunk = read(tmp_path / "s", data)
    assert (found, losses["torn"], chunk.done) == ([b"one"], 1, True)


def test_zero_page_costs_the_frames_under_it(tmp_path):
    payloads = [bytes([65 + i]) * 700 for i in range(20)]
    data = bytearray(segment(*payloads))
    data[4096:8192] = bytes(4096)
    found, losses, _ = read(tmp_path / "s", bytes(data))
    lost = [
        p
        for i, p in enumerate(payloads)
        if 32 + i * 708 < 8192 and 32 + (i + 1) * 708 > 4096
    ]
    assert found == [p for p in payloads if p not in lost]
    assert losses["corrupt"] == 1


def test_zeros_at_the_end_are_a_torn_tail(tmp_path):
    found, losses, chunk = read(tmp_path / "s", segment(b"one") + bytes(4096))
    assert (found, losses["torn"], chunk.done) == ([b"one"], 1, True)


def test_offset_beyond_a_sealed_file_is_counted_once_and_passed(tmp_path):
    _, losses, chunk = read(tmp_path / "s", segment(b"one"), offset=5000)
    assert losses["ahead"] == 1
    assert chunk == Chunk([], 43, True)


def test_search_gives_up_after_its_budget(tmp_path, monkeypatch):
    monkeypatch.setattr(framing, "_SEARCH_CRC_BUDGET_BYTES", 10)
    noise = b"\x40\x00\x00\x00" * 50
    found, losses, _ = read(
        tmp_path / "s", segment(b"one") + b"\xff" * 8 + noise + frame(b"two")
    )
    assert (found, losses["torn"]) == ([b"one"], 1)


def test_large_frame_is_found_again_behind_damage(tmp_path):
    large = os.urandom(300 << 10)
    found, losses, _ = read(
        tmp_path / "s", segment(b"one") + b"\xff" * 9 + frame(large) + frame(b"x")
    )
    assert found == [b"one", large, b"x"]
    assert losses["corrupt"] == 1


def test_damaged_length_that_leads_to_another_frame_costs_no_good_one(tmp_path):
    data = bytearray(segment(b"a" * 24, b"b" * 24, b"c" * 24, b"d" * 24))
    data[HEADER_BYTES] ^= 32
    found, losses, _ = read(tmp_path / "s", bytes(data))
    assert found == [b"b" * 24, b"c" * 24, b"d" * 24]
    assert losses["corrupt"] == 1


@pytest.mark.parametrize("at", [0, 4, 20])
def test_frame_inside_a_damaged_payload_is_not_taken_for_one(tmp_path, at):
    data = bytearray(segment(b"one", b"before" + frame(b"forged") + b"after", b"three"))
    data[HEADER_BYTES + 11 + at] ^= 1
    found, losses, _ = read(tmp_path / "s", bytes(data))
    assert found == [b"one", b"three"]
    assert losses["corrupt"] == 1
