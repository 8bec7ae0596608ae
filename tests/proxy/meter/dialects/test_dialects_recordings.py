"""Every recorded answer, however it is cut and packed, reads as what its provider told."""

import itertools
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.meter.dialects import PLAIN_HTTP
from proxy.model import ErrorType, Reading
from tests.helpers.arithmetic import expected_buckets
from tests.helpers.metering import (
    ask_of,
    counted,
    dialect_of,
    event_ends,
    one_by_one,
    read_recording,
    seeded_slices,
    tee_of,
)
from tests.helpers.recordings import (
    ALL_TRAFFIC,
    NAMES,
    OTHERS,
    SPINE,
    SUBSET,
    Recording,
    recordings,
)
from tests.helpers.replay import CODINGS
from tests.helpers.told import models_asked, told, values

BY_NAME = {name: list(recordings(SUBSET, name)) for name in NAMES}
RECORDINGS = [each for found in BY_NAME.values() for each in found]
STREAMS = [each for each in RECORDINGS if each.streamed]
SMALL = [each for each in RECORDINGS if len(each.body) <= 30_000]
"""Those that can be fed byte by byte without taking long."""

ENDED_BY_CONNECTION = ("gemini", "vertex", "writer")
"""Whose streams have no last event: there may be more after the event that tells why it ended."""

UNNAMED = ("openai_assistants", "openai_other", PLAIN_HTTP.name)
"""Dialects of what has no tokens: nobody asks who answered there."""


def name_of(recording: Recording) -> str:
    return f"{recording.provider}-{recording.api}-{recording.id}"


def over(found: list[Recording]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("recording", found, ids=name_of)


def whole(recording: Recording) -> Reading:
    return read_recording(recording, [recording.body])


def test_the_recordings_are_there_in_number_and_variety():
    assert sum(len(BY_NAME[name]) for name in SPINE) >= 100
    assert sum(len(BY_NAME[name]) for name in OTHERS) >= 250
    assert sum(bool(each.usage) for each in RECORDINGS) >= 250
    assert len(STREAMS) >= 100


@over(RECORDINGS)
def test_buckets_equal_the_numbers_of_the_provider(recording: Recording):
    assert counted(whole(recording).usage) == expected_buckets(recording)


@over(SMALL)
def test_a_recording_byte_by_byte_reads_as_the_whole(recording: Recording):
    assert read_recording(recording, one_by_one(recording.body)) == whole(recording)


@over(RECORDINGS)
def test_a_recording_in_odd_slices_reads_as_the_whole(recording: Recording):
    slices = seeded_slices(recording.body, recording.id)
    assert read_recording(recording, slices) == whole(recording)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_recording_cut_anywhere_reads_as_the_whole(data: st.DataObject):
    recording = data.draw(st.sampled_from(RECORDINGS))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(recording.body)), max_size=20)))
    edges = [0, *cuts, len(recording.body)]
    chunks = [recording.body[a:b] for a, b in itertools.pairwise(edges)]
    assert read_recording(recording, chunks) == whole(recording)


@over(RECORDINGS)
def test_a_recording_cut_short_reads_alike_however_it_arrived(recording: Recording):
    dice = random.Random(recording.id)
    for _ in range(5):
        short = recording.body[: dice.randrange(len(recording.body) + 1)]
        slices = seeded_slices(short, recording.id)
        assert read_recording(recording, slices) == read_recording(recording, [short])


@over(SMALL)
def test_reading_again_changes_nothing(recording: Recording):
    tee, slices = tee_of(recording), seeded_slices(recording.body, recording.id)
    for chunk in slices[:200]:
        tee.feed(chunk)
        assert tee.reading() == tee.reading()
    tee.feed(b"".join(slices[200:]))
    assert tee.reading() == whole(recording)


@over([each for each in STREAMS if each.provider not in ENDED_BY_CONNECTION])
def test_the_terminal_event_ends_the_stream_and_all_is_known_then(
    recording: Recording,
):
    tee, end = tee_of(recording), 0
    for before, after in itertools.pairwise([0, *event_ends(recording)]):
        tee.feed(recording.body[before:after])
        if tee.terminal:
            end = after
            break
    assert end, "no terminal event"
    assert recording.body[end:].strip() in (b"", b"data: [DONE]")
    reading = whole(recording)
    assert tee.reading() == reading
    assert reading.expects_terminal
    assert reading.terminal


@over([each for each in STREAMS if each.provider not in ENDED_BY_CONNECTION])
def test_a_stream_without_its_last_event_is_not_finished(recording: Recording):
    body = recording.body
    if recording.provider == "cohere":
        body = body.rstrip().removesuffix(b"data: [DONE]")
    ends = [end for end in event_ends(recording) if end < len(body.rstrip())]
    if not ends:
        return  # an answer of one event
    last = ends[-1]
    reading = read_recording(recording, [body[:last]])
    assert reading.expects_terminal
    assert not reading.terminal


@over([each for each in STREAMS if each.provider in ENDED_BY_CONNECTION])
def test_a_stream_that_ends_with_the_connection_is_not_taken_for_cut(
    recording: Recording,
):
    reading = whole(recording)
    assert reading.terminal or not reading.expects_terminal


@over(RECORDINGS)
def test_what_can_be_read_is_well_formed_and_errors_are_told(recording: Recording):
    reading = whole(recording)
    assert (reading.error_type != ErrorType.NONE) == (recording.status >= 400)
    assert not reading.error_in_stream
    assert ask_of(recording).well_formed or not _is_json(recording.request_body)
    if recording.streamed:
        assert reading.malformed == any(each is None for each in _read(recording))
    else:
        assert not reading.malformed


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def _read(recording: Recording) -> list[Any]:
    """Give the values of a stream, `None` for what is no JSON; `[DONE]` left out."""
    found = list(values(recording))
    return found[:-1] if recording.body.rstrip().endswith(b"[DONE]") else found


@over([each for each in RECORDINGS if each.status < 400])
def test_nothing_that_the_answer_tells_is_left_out(recording: Recording):
    assert left_out(recording) == []


def left_out(recording: Recording) -> list[str]:
    """Name what the raw JSON tells and the reading does not, or tells otherwise."""
    if dialect_of(recording)[0].name in UNNAMED:
        return []
    reading, said = whole(recording), told(recording)
    facts = (
        ("model_served", reading.model, said.models),
        ("response_id", reading.response_id, said.ids),
        ("finish_reason", reading.finish_reason, said.finish_reasons),
        ("model_requested", ask_of(recording).model, models_asked(recording)),
    )
    found = [
        f"{name}: {value!r}, told: {sorted(options)}"
        for name, value, options in facts
        if options and value not in options
    ]
    tools = {call.name for call in reading.tool_calls if call.name}
    if tools != said.tools:
        found.append(f"tools: {sorted(tools)}, told: {sorted(said.tools)}")
    if recording.usage and not _is_said(reading.usage_json, recording.usage):
        found.append(f"usage_json: {reading.usage_json!r}, told: {recording.usage}")
    return found


def _is_said(usage_json: bytes | None, usages: list[dict[str, Any]]) -> bool:
    """Whether the kept object has each number of the last object, and none that nobody said."""
    if usage_json is None:
        return False
    kept = set(_numbers(json.loads(usage_json)))
    said = {each for usage in usages for each in _numbers(usage)}
    return set(_numbers(usages[-1])) <= kept <= said


def _numbers(value: Any, path: str = "") -> list[tuple[str, float]]:
    if isinstance(value, dict):
        return [
            n for key, each in value.items() for n in _numbers(each, f"{path}.{key}")
        ]
    if isinstance(value, list):
        return [n for each in value for n in _numbers(each, path + "[]")]
    return [(path, value)] if isinstance(value, int | float) else []


@over(RECORDINGS)
def test_a_compressed_recording_reads_as_the_plain_one(recording: Recording):
    for coding in ("gzip", "br", "zstd"):
        tee = tee_of(recording, coding)
        for chunk in seeded_slices(CODINGS[coding](recording.body), recording.id):
            tee.feed(chunk)
        assert tee.reading() == whole(recording), coding


@over([e for e in STREAMS if e.provider != "bedrock" and b"\r" not in e.body])
def test_streams_with_crlf_read_as_with_lf(recording: Recording):
    crlf = recording.body.replace(b"\n", b"\r\n")
    slices = seeded_slices(crlf, recording.id)
    assert read_recording(recording, slices) == whole(recording)


@pytest.mark.skipif(
    not ALL_TRAFFIC.is_dir(),
    reason="the whole recorded traffic is not beside this checkout",
)
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", NAMES)
def test_all_recorded_traffic_is_read_with_the_numbers_of_the_provider(name: str):
    wrong: list[tuple[str, object]] = []
    for recording in recordings(ALL_TRAFFIC, name):
        reading, expected = whole(recording), expected_buckets(recording)
        slices = seeded_slices(recording.body, recording.id)
        if counted(reading.usage) != expected:
            wrong.append((recording.id, (expected, counted(reading.usage))))
        if read_recording(recording, slices) != reading:
            wrong.append((recording.id, "reads otherwise in slices"))
        if recording.status < 400:
            wrong += [(recording.id, each) for each in left_out(recording)]
        if reading.expects_terminal and not reading.terminal:
            wrong.append((recording.id, "no terminal event"))
    assert wrong == []
