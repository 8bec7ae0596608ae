import json
from functools import partial

import pytest

from proxy.meter.answer import COMPACT_BYTES, MAX_BLANK_BYTES, AnswerReader
from proxy.meter.draft import Draft
from proxy.model import ErrorType


class Family:
    """Counts what it is given."""

    def __init__(self, status: int) -> None:
        self.draft = Draft(status)

    def plain(self, line: bytes, /) -> bool:
        if line.startswith(b"data: plain"):
            self.draft.output.parts.append(line)
            return True
        return False

    def event(self, name: bytes, data: bytes) -> None:
        self.draft.model = f"event {json.loads(data)}"

    def document(self, body: bytes) -> None:
        self.draft.model = f"document {json.loads(body)}"
        self.draft.output.add("x")


def reader(status: int = 200, content_type: str = "") -> AnswerReader:
    return AnswerReader(partial(Family, status), status, content_type)


@pytest.mark.parametrize(
    "content_type",
    ["", "application/json", "text/event-stream; charset=utf-8", "Text/Event-Stream"],
)
@pytest.mark.parametrize(
    "before", [b"", b"\n", b" \r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"]
)
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{}", "document {}"),
        (b"data: {}\n\n", "event {}"),
        (b":\nevent: e\ndata: {}\n", "event {}"),
    ],
)
def test_the_first_bytes_tell_documents_from_events(
    content_type: str, before: bytes, body: bytes, kind: str
):
    for size in (1, 3, 1000):
        answer, whole = reader(content_type=content_type), before + body
        if (
            before.startswith(b"\xef")
            and len(before) > 3
            and kind.startswith("document")
        ):
            continue
        for at in range(0, len(whole), size):
            answer.feed(whole[at : at + size])
        assert answer.reading().model == kind
        assert answer.reading().expects_terminal == kind.startswith("event")


def test_other_text_is_events_only_if_the_content_type_says_so():
    for content_type, is_stream in (("text/event-stream", True), ("text/plain", False)):
        answer = reader(content_type=content_type)
        answer.feed(b"upstream went away")
        assert answer.reading().expects_terminal == is_stream


def test_blanks_alone_are_not_kept_for_ever():
    answer = reader()
    for _ in range(100):
        answer.feed(b" " * 1000)
    assert len(answer._start) <= MAX_BLANK_BYTES + 1000
    assert answer.reading().model == ""
    answer.feed(b"{}")
    assert answer.reading().model == "document {}"


def test_a_document_that_grows_is_read_anew_and_nothing_is_counted_twice():
    answer = reader()
    answer.feed(b"{")
    assert answer.reading().malformed
    answer.feed(b"}")
    assert not answer.reading().malformed
    answer.feed(b" \n")
    assert (answer.reading().output_chars, answer.held_bytes) == (1, 4)


def test_events_are_held_nowhere_and_kept_text_is_let_go():
    answer = reader()
    line = b"data: plain" + b"x" * 989 + b"\n"
    for _ in range(2 * COMPACT_BYTES // len(line)):
        answer.feed(line)
    assert answer.held_bytes == 0
    assert sum(map(len, answer._family.draft.output.parts)) <= COMPACT_BYTES
    assert answer.reading().output_chars == (len(line) - 1) * (
        2 * COMPACT_BYTES // len(line)
    )


def test_an_event_that_cannot_be_read_is_told_when_it_is_complete():
    answer = reader()
    answer.feed(b"data: {]}\n")
    assert not answer.reading().malformed
    answer.feed(b"\n")
    assert answer.reading().malformed


@pytest.mark.parametrize(
    ("body", "malformed"),
    [
        (b'{"error":{}}', False),
        (b"<html>", True),
        (b"", False),
        (b"\xef\xbb\xbf{}", False),
        (b" \xef\xbb\xbf{}", False),
    ],
)
def test_an_error_answer_is_told_by_its_status_at_least(body: bytes, malformed: bool):
    answer = reader(500)
    answer.feed(body)
    reading = answer.reading()
    assert (reading.error_type, reading.malformed, reading.terminal) == (
        ErrorType.SERVER_ERROR,
        malformed,
        False,
    )


def test_a_repeated_reading_is_the_same_object():
    answer = reader()
    answer.feed(b"{}")
    assert answer.reading() is answer.reading()
