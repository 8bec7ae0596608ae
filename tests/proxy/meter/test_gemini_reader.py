from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.meter import lenient
from proxy.meter.answer import COMPACT_BYTES
from proxy.meter.draft import Draft
from proxy.meter.gemini_reader import GeminiReader
from proxy.model import ErrorType, Reading
from tests.helpers.meter import EVENTS, data, dumps

_DECODER = msgspec.json.Decoder()


class Family:
    """Counts events; `text`, `finished`, `end` and `error` say what they mean."""

    def __init__(self, status: int) -> None:
        self.draft = Draft(status)
        self.finished = False

    def plain(self, line: bytes) -> bool:
        return False

    def settle(self) -> None:
        pass

    def event(self, name: bytes, data: bytes) -> None:
        self.document(data)

    def document(self, body: bytes) -> None:
        said = lenient.load(_DECODER, body)
        self.draft.output.add(said.get("text"))
        self.draft.output_started |= "text" in said
        if "call" in said:
            self.draft.call(said["call"], "", "f")
        self.finished |= "finished" in said
        self.draft.terminal |= "end" in said
        if "error" in said:
            self.draft.fail(said["error"])


def reader(status: int = 200, content_type: str = "") -> GeminiReader:
    return GeminiReader(partial(Family, status), status, content_type)


def read(body: bytes, **options: Any) -> Reading:
    whole, bytewise = reader(**options), reader(**options)
    whole.feed(body)
    for at in range(len(body)):
        bytewise.feed(body[at : at + 1])
    assert whole.reading() == bytewise.reading()
    assert (whole.terminal, whole.output_started, whole.truncated) == (
        bytewise.terminal,
        bytewise.output_started,
        bytewise.truncated,
    )
    return whole.reading()


TEXT, FINISHED, END = {"text": "ab"}, {"finished": 1}, {"end": 1}
BODIES = {
    "array": b"\xef\xbb\xbf\n[" + b"\n,\r\n".join(map(dumps, (TEXT, TEXT, FINISHED))),
    "events": data(TEXT, TEXT, FINISHED),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_both_framings_read_alike_and_end_with_the_body(body: bytes):
    stream = reader()
    stream.feed(body)
    assert not stream.terminal
    reading = read(body)
    assert (reading.output_chars, reading.expects_terminal, reading.terminal) == (
        4,
        True,
        True,
    )


def test_an_element_that_ends_it_is_known_before_the_array_closes():
    stream = reader()
    stream.feed(b"[" + dumps(TEXT))
    assert (stream.output_started, stream.terminal) == (True, False)
    stream.feed(b"," + dumps(END))
    assert stream.terminal


def test_the_first_call_is_known_when_its_element_has_come():
    stream = reader()
    stream.feed(b"[" + dumps(TEXT))
    assert not stream.calls_started
    stream.feed(b"," + dumps({"call": 1}))
    assert stream.calls_started


@pytest.mark.parametrize("body", [b"[" + dumps(TEXT), b"[]", data(TEXT)])
def test_what_was_not_finished_was_cut(body: bytes):
    reading = read(body, content_type=EVENTS)
    assert (reading.expects_terminal, reading.terminal) == (True, False)


def test_a_document_is_held_and_expects_no_end():
    whole = reader()
    whole.feed(dumps(TEXT | FINISHED))
    assert whole.held_bytes == len(dumps(TEXT | FINISHED))
    assert not whole.truncated
    reading = read(dumps(TEXT | FINISHED))
    assert (reading.output_chars, reading.expects_terminal, reading.terminal) == (
        2,
        False,
        False,
    )


def test_an_empty_answer_says_nothing():
    assert read(b"") == read(b" \r\n ") == Reading()


@pytest.mark.parametrize(
    ("body", "error_type", "code"),
    [
        (b'[{"error":{"code":429}}]', ErrorType.RATE_LIMITED, "429"),
        (b'{"error":{"code":429}}', ErrorType.RATE_LIMITED, "429"),
        (b"[", ErrorType.RATE_LIMITED, ""),
    ],
)
def test_an_error_answer_may_stand_in_an_array(
    body: bytes, error_type: ErrorType, code: str
):
    reading = read(body, status=429)
    assert (reading.error_type, reading.error_code) == (error_type, code)
    assert (reading.error_in_stream, reading.expects_terminal) == (False, False)


def test_an_error_in_the_middle_of_an_array_is_one_in_a_stream():
    reading = read(b'[{"text":"a"},{"error":{"code":503}}]')
    assert reading.error_in_stream
    assert reading.error_type == ErrorType.SERVER_ERROR
    assert reading.terminal


def test_an_element_that_is_no_json_is_told_and_the_next_is_read():
    reading = read(b'[{"text"},{"text":"a"}]')
    assert (reading.malformed, reading.output_chars) == (True, 1)


def test_a_long_array_is_counted_and_let_go_of(monkeypatch: pytest.MonkeyPatch):
    compacted: list[int] = []
    monkeypatch.setattr(Draft, "compact", lambda self: compacted.append(1))
    stream = reader()
    stream.feed(b"[")
    element = dumps({"text": "x" * 999}) + b","
    for _ in range(2 * COMPACT_BYTES // len(element) + 2):
        stream.feed(element)
    assert len(compacted) == 2


def test_an_element_that_is_too_long_truncates_the_reading():
    stream = reader()
    stream.feed(b'[{"text":"')
    for _ in range(9):
        stream.feed(b"x" * (1 << 20))
    assert stream.truncated
    assert stream.reading().malformed


@given(st.binary(max_size=120), st.sampled_from([200, 400]))
def test_garbage_reads_alike_however_it_is_cut(body: bytes, status: int):
    read(b"[" + body, status=status)
