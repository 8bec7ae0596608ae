import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.meter.dialect import Head, Reader
from proxy.meter.dialects.ollama import Ollama
from proxy.model import Ask, ErrorType, Kind, Reading, Usage
from tests.helpers.meter import read

CHAT = "/api/chat"
PIECE = b'{"model":"m","message":{"content":"ab"},"done":false}\n'
LAST = b'{"model":"m","message":{"content":""},"done":true,"done_reason":"stop","prompt_eval_count":5,"eval_count":2}\n'
STREAM = PIECE + PIECE + LAST
NDJSON = "application/x-ndjson"
TOKENS = Usage(input=5, output=2)


def test_a_stream_of_lines_is_read_to_its_terminal_line():
    reading = read(CHAT, STREAM, content_type=NDJSON)
    assert (reading.usage, reading.output_chars) == (TOKENS, 4)
    assert reading.expects_terminal
    assert reading.terminal
    assert not reading.malformed


@pytest.mark.parametrize("content_type", ["", "application/json", NDJSON])
@pytest.mark.parametrize("body", [STREAM, STREAM.replace(b"\n", b"\r\n"), STREAM[:-1]])
def test_content_types_and_line_ends_change_nothing(body: bytes, content_type: str):
    assert read(CHAT, body, content_type=content_type) == read(CHAT, STREAM)


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\n \n", b" " * 5000])
def test_blanks_and_a_mark_before_it_are_nothing(start: bytes):
    assert read(CHAT, start + STREAM) == read(CHAT, STREAM)


@pytest.mark.parametrize("blank", [b"\n", b"\r\n\r\n"])
def test_blank_lines_between_are_nothing(blank: bytes):
    assert read(CHAT, PIECE + blank + PIECE + LAST) == read(CHAT, STREAM)


@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("content_type", ["", "application/json", NDJSON])
def test_a_value_alone_is_no_stream(content_type: str, end: bytes):
    reading = read(
        CHAT,
        LAST.rstrip() + end,
        content_type=content_type,
        request=b'{"stream":false}',
    )
    assert (reading.usage, reading.malformed) == (TOKENS, False)
    assert not reading.expects_terminal
    assert not reading.terminal


@pytest.mark.parametrize(
    "body",
    [
        b'{\n  "done": true,\n  "eval_count": 2,\n  "options": {\n    "a": 1\n  }\n}',
        b'{ "done": true,\n "eval_count": 2,\n "options": { "a": 1 } }\n\n',
        b'{ "done": true,\n "eval_count": 2,\n "options": {\n} }',
    ],
)
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_document_over_several_lines_is_read(body: bytes, end: bytes):
    reading = read(CHAT, body + end, content_type="application/json")
    assert (reading.usage, reading.malformed) == (Usage(output=2), False)


def test_a_document_over_several_lines_that_is_broken_is_malformed():
    reading = read(CHAT, b'{\n "done": tru\n}\n', content_type="application/json")
    assert (reading.usage, reading.malformed) == (None, True)


def test_a_cut_document_is_malformed():
    reading = read(CHAT, LAST[:40], content_type="application/json")
    assert (reading.usage, reading.malformed) == (None, True)
    assert not reading.expects_terminal


@pytest.mark.parametrize("cut", [10, len(PIECE) + 10, len(PIECE)])
def test_a_cut_stream_lacks_its_end(cut: int):
    reading = read(CHAT, STREAM[:cut], content_type=NDJSON)
    assert reading.expects_terminal
    assert not reading.terminal
    assert not reading.malformed


def test_a_broken_line_is_flagged_and_the_rest_is_read():
    reading = read(CHAT, PIECE + b'{"done"\n' + LAST, content_type=NDJSON)
    assert (reading.usage, reading.malformed) == (TOKENS, True)


def test_events_are_read_too():
    body = b"data: " + PIECE + b"\ndata: " + LAST + b"\n"
    for content_type in ("", "text/event-stream"):
        reading = read(CHAT, body, content_type=content_type)
        assert (reading.usage, reading.terminal) == (TOKENS, True)


def test_other_text_is_malformed():
    assert read(CHAT, b"what is this?").malformed


def test_an_error_status_has_a_document():
    reading = read(
        CHAT, b'{"error":"model not found"}', status=404, content_type=NDJSON
    )
    assert reading.error_type == ErrorType.NOT_FOUND


def test_a_reading_in_the_middle_changes_nothing():
    reader = reader_for("")
    for at in range(len(STREAM)):
        reader.feed(STREAM[at : at + 1])
        assert reader.reading() == reader.reading()
    assert reader.reading() == read(CHAT, STREAM)
    assert reader.held_bytes == 0


def test_what_is_held_can_be_told():
    reader = reader_for("application/json")
    reader.feed(b'{"message":')
    reader.feed(b'{"content":"')
    assert reader.held_bytes == 23
    reader.feed(b'"}}\n{"')
    assert reader.held_bytes == 2
    assert not reader.truncated


def test_a_long_stream_is_let_go_of():
    text = b"x" * 200_000
    line = b'{"message":{"content":"%b"},"done":false}\n' % text
    reader = reader_for(NDJSON)
    for _ in range(3):
        reader.feed(line)
    assert reader.reading().output_chars == 600_000


def reader_for(content_type: str) -> Reader:
    ask = Ask("ollama", "chat", Kind.LLM, is_step=True, stream=True)
    return Ollama().reader(ask, Head(200, content_type))


@given(st.lists(st.binary(max_size=40) | st.sampled_from([PIECE, LAST, b"{", b"\n"])))
def test_garbage_in_any_slices_never_raises(chunks: list[bytes]):
    reader = reader_for("")
    for chunk in chunks:
        reader.feed(chunk)
        assert isinstance(reader.reading(), Reading)
        assert isinstance(reader.terminal or reader.output_started, bool)


@given(st.lists(st.integers(0, len(STREAM)), max_size=9))
def test_any_slices_read_as_the_whole(cuts: list[int]):
    edges = [0, *sorted(cuts), len(STREAM)]
    reader = reader_for("")
    for start, end in itertools.pairwise(edges):
        reader.feed(STREAM[start:end])
    assert reader.reading() == read(CHAT, STREAM)
