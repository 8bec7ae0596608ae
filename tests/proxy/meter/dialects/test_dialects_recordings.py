import itertools
import random
import zlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.meter.dialect import Head
from proxy.meter.dialects import recognise
from proxy.meter.tee import Tee
from proxy.model import ErrorType, Kind, Reading, Usage
from tests.helpers.arithmetic import expected_buckets
from tests.helpers.recordings import (
    ALL_TRAFFIC,
    SUBSET,
    Recording,
    recordings,
)

NAMES = ("openai", "anthropic", "azure")
RECORDINGS = list(recordings(SUBSET, *NAMES))
STREAMS = [each for each in RECORDINGS if each.streamed]
LIMIT = 8 << 20

recorded = pytest.mark.parametrize("recording", RECORDINGS, ids=lambda each: each.id)
streamed = pytest.mark.parametrize("recording", STREAMS, ids=lambda each: each.id)


def tee_for(recording: Recording) -> Tee:
    dialect, operation = recognise(Kind.LLM, "", recording.method, recording.path)
    ask = dialect.read_request(operation, recording.request_body)
    reader = dialect.reader(
        ask, Head(recording.status, recording.content_type, recording.response_headers)
    )
    return Tee(reader, "", LIMIT)


def read(recording: Recording, chunks: list[bytes]) -> Reading:
    tee = tee_for(recording)
    for chunk in chunks:
        tee.feed(chunk)
    assert tee.failures == 0
    return tee.reading()


def counted(usage: Usage | None) -> dict[str, int] | None:
    if usage is None:
        return None
    return {name: count for name, count in msgspec.to_builtins(usage).items() if count}


def one_by_one(body: bytes) -> list[bytes]:
    return [body[at : at + 1] for at in range(len(body))]


def odd_slices(body: bytes, seed: str) -> list[bytes]:
    dice, at, chunks = random.Random(seed), 0, []
    while at < len(body):
        size = dice.choice((1, 2, 3, 7, 50, 333, 4096))
        chunks.append(body[at : at + size])
        at += size
    return chunks


def line_ends(body: bytes) -> list[int]:
    return [at + 1 for at, byte in enumerate(body) if byte == 0x0A]


def test_the_recordings_are_there_in_number_and_variety():
    assert len(RECORDINGS) >= 100
    assert sum(bool(each.usage) for each in RECORDINGS) >= 60
    assert len(STREAMS) >= 30


@recorded
def test_buckets_equal_the_numbers_of_the_provider(recording: Recording):
    assert counted(read(recording, [recording.body]).usage) == expected_buckets(
        recording
    )


@recorded
def test_a_recording_byte_by_byte_reads_as_the_whole(recording: Recording):
    whole = read(recording, [recording.body])
    assert read(recording, one_by_one(recording.body)) == whole


@recorded
def test_a_recording_in_odd_slices_reads_as_the_whole(recording: Recording):
    whole = read(recording, [recording.body])
    assert read(recording, odd_slices(recording.body, recording.id)) == whole


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_recording_cut_anywhere_reads_as_the_whole(data: st.DataObject):
    recording = data.draw(st.sampled_from(RECORDINGS))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(recording.body)), max_size=20)))
    edges = [0, *cuts, len(recording.body)]
    chunks = [recording.body[a:b] for a, b in itertools.pairwise(edges)]
    assert read(recording, chunks) == read(recording, [recording.body])


@recorded
def test_a_recording_cut_short_reads_alike_however_it_arrived(recording: Recording):
    dice = random.Random(recording.id)
    for _ in range(5):
        short = recording.body[: dice.randrange(len(recording.body) + 1)]
        assert read(recording, odd_slices(short, recording.id)) == read(
            recording, [short]
        )


@recorded
def test_reading_again_changes_nothing(recording: Recording):
    tee = tee_for(recording)
    for chunk in odd_slices(recording.body, recording.id)[:200]:
        tee.feed(chunk)
        assert tee.reading() == tee.reading()
    rest = recording.body[
        sum(map(len, odd_slices(recording.body, recording.id)[:200])) :
    ]
    tee.feed(rest)
    assert tee.reading() == read(recording, [recording.body])


@streamed
def test_the_line_of_the_terminal_event_ends_the_stream_and_all_is_known_then(
    recording: Recording,
):
    tee, end = tee_for(recording), 0
    for before, after in zip(
        [0, *line_ends(recording.body)], line_ends(recording.body), strict=False
    ):
        tee.feed(recording.body[before:after])
        if tee.terminal:
            end = after
            break
    assert end, "no terminal event"
    assert (
        not recording.body[end:].strip()
        or recording.body[end:].strip() == b"data: [DONE]"
    )
    whole = read(recording, [recording.body])
    assert tee.reading() == whole
    assert whole.expects_terminal
    assert whole.terminal


@streamed
def test_a_stream_without_its_last_line_is_not_finished(recording: Recording):
    body = recording.body.rstrip()
    reading = read(recording, [body[: body.rindex(b"\n") + 1]])
    assert reading.expects_terminal
    assert not reading.terminal


@recorded
def test_what_can_be_read_is_well_formed_and_errors_are_told(recording: Recording):
    reading = read(recording, [recording.body])
    assert not reading.malformed
    assert (reading.error_type != ErrorType.NONE) == (recording.status >= 400)
    assert not reading.error_in_stream


@recorded
def test_a_compressed_recording_reads_as_the_plain_one(recording: Recording):
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(recording.body) + packer.flush()
    dialect, operation = recognise(Kind.LLM, "", recording.method, recording.path)
    ask = dialect.read_request(operation, recording.request_body)
    tee = Tee(
        dialect.reader(
            ask,
            Head(recording.status, recording.content_type, recording.response_headers),
        ),
        "gzip",
        LIMIT,
    )
    for chunk in odd_slices(packed, recording.id):
        tee.feed(chunk)
    assert tee.reading() == read(recording, [recording.body])


@recorded
def test_streams_with_crlf_read_as_with_lf(recording: Recording):
    if not recording.streamed or b"\r" in recording.body:
        return
    crlf = recording.body.replace(b"\n", b"\r\n")
    assert read(recording, odd_slices(crlf, recording.id)) == read(
        recording, [recording.body]
    )


@pytest.mark.skipif(
    not ALL_TRAFFIC.is_dir(),
    reason="the whole recorded traffic is not beside this checkout",
)
@pytest.mark.parametrize("name", NAMES)
def test_all_recorded_traffic_is_read_with_the_numbers_of_the_provider(name: str):
    wrong = []
    for recording in recordings(ALL_TRAFFIC, name):
        whole = read(recording, [recording.body])
        expected = expected_buckets(recording)
        sliced = read(recording, odd_slices(recording.body, recording.id))
        if counted(whole.usage) != expected or sliced != whole or whole.malformed:
            wrong.append((recording.id, expected, counted(whole.usage)))
        if recording.streamed:
            assert whole.terminal, recording.id
    assert wrong == []
