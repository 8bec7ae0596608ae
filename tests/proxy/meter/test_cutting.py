"""Streams are cut between their events and nowhere else, however they come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.meter.cutting import Cutter, EventCutter, cutter_for
from proxy.meter.dialect import Head
from proxy.meter.dialects import recognise
from proxy.meter.tee import Tee
from proxy.model import Kind
from tests.helpers.asking import AWS, EVENTS, FAMILIES, JSON, NDJSON
from tests.helpers.eventstream import event

STREAMS: dict[str, tuple[str, list[bytes]]] = {
    "events": (EVENTS, [b": hi\n\n", b"event: a\ndata: {}\n\n", b"data: 1\ndata: 2\n\n"]),
    "events with CRLF": ("Text/Event-Stream; charset=utf-8", [b": hi\r\n\r\n", b"data: {}\r\n\r\n"]),
    "lines": (NDJSON, [b'{"a": 1}\n', b"\n", b'{"done": true}\n']),
    "frames": (AWS, [event("messageStart", role="assistant"), event("messageStop", stopReason="end_turn")]),
}  # fmt: skip


def cutter(content_type: str) -> Cutter:
    made = cutter_for(content_type)
    assert made is not None
    return made


@pytest.mark.parametrize("name", STREAMS)
def test_whole_events_come_out_byte_by_byte(name: str):
    content_type, events = STREAMS[name]
    made = cutter(content_type)
    found = [each for byte in b"".join(events) for each in made.feed(bytes([byte]))]
    # That a line is blank shows with what follows it where lines end in CR LF.
    assert b"".join([*found, made.rest()]) == b"".join(events)
    assert found[: len(events) - 1] == events[:-1]


@pytest.mark.parametrize("name", STREAMS)
def test_several_events_at_once_are_given_apart(name: str):
    content_type, events = STREAMS[name]
    made = cutter(content_type)
    assert made.feed(b"".join(events)) == events
    assert (made.waiting_bytes, made.rest()) == (0, b"")


def test_what_has_not_ended_waits_and_is_given_at_the_end():
    made = cutter(EVENTS)
    assert made.feed(b"data: 1\n\ndata: 2\n") == [b"data: 1\n\n"]
    assert made.waiting_bytes == 8
    assert made.rest() == b"data: 2\n"
    assert made.rest() == b""


def test_events_can_be_cut_whatever_the_answer_says_it_is():
    assert EventCutter().feed(b"data: 1\n\ndata") == [b"data: 1\n\n"]


def test_carriage_returns_alone_end_lines_once_something_follows():
    made = cutter(EVENTS)
    assert made.feed(b"data: 1\r\r") == []
    assert made.feed(b"data: 2") == [b"data: 1\r\r"]


def test_what_is_no_frame_is_passed_on_as_it_comes():
    made = cutter(AWS)
    assert made.feed(b"\0\0") == []
    assert made.feed(b"\0\1what") == [b"\0\0\0\1what"]


@pytest.mark.parametrize("content_type", ["", "application/json", "text/plain"])
def test_other_answers_are_not_cut(content_type: str):
    assert cutter_for(content_type) is None


@given(st.sampled_from(sorted(STREAMS)), st.data())
def test_no_byte_is_lost_however_it_is_sliced(name: str, data: st.DataObject):
    content_type, events = STREAMS[name]
    said = b"".join(events)
    places = data.draw(st.lists(st.integers(0, len(said)), max_size=9).map(sorted))
    made = cutter(content_type)
    found: list[bytes] = []
    for start, end in zip([0, *places], [*places, len(said)], strict=True):
        found += made.feed(said[start:end])
    assert b"".join([*found, made.rest()]) == said


STREAMED = {name: each for name, each in FAMILIES.items() if each.content_type not in ("", JSON)}  # fmt: skip


@pytest.mark.parametrize("name", STREAMED)
def test_the_first_event_that_asks_for_a_call_is_known_in_every_family(name: str):
    family = STREAMED[name]
    dialect, operation = recognise(Kind.LLM, "", "POST", family.path)
    body = family.body([])
    reader = dialect.reader(dialect.read_request(operation, body), Head(200, family.content_type))  # fmt: skip
    tee = Tee(reader, "", 1 << 24)
    made = cutter(family.content_type)
    calls = family.answer([("f", '{"x": 1}')])
    started = []
    for each in made.feed(calls):
        tee.feed(each)
        started.append(tee.calls_started)
    assert started == sorted(started)
    assert started[-1]
    assert not Tee(reader, "", 1).failures


def test_lines_that_come_as_events_ask_for_calls_too():
    dialect, operation = recognise(Kind.LLM, "", "POST", "/api/chat")
    reader = dialect.reader(dialect.read_request(operation, b"{}"), Head(200, NDJSON))
    tee = Tee(reader, "", 1 << 24)
    assert not tee.calls_started
    tee.feed(b'data: {"message": {"tool_calls": [{"function": {"name": "f", "arguments": {}}}]}}\n\n')  # fmt: skip
    assert tee.calls_started
