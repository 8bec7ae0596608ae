"""The reader of all Bedrock APIs: documents, streams, errors; a family of the test's own."""

from functools import partial

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.meter.answer import COMPACT_BYTES
from proxy.meter.aws_answer import AwsReader, counted
from proxy.meter.dialect import Head
from proxy.meter.draft import Draft
from proxy.model import ErrorType
from tests.helpers.eventstream import event, exception, frame


class Family:
    """Takes text from both sorts of answers."""

    def __init__(self, status: int) -> None:
        self.draft = Draft(status)

    def event(self, name: str, payload: bytes) -> None:
        said = msgspec.json.decode(payload)
        self.draft.output.add(said["text"])
        self.draft.output_started = True
        self.draft.terminal |= name == "end"

    def document(self, body: bytes) -> None:
        said = msgspec.json.decode(body, type=dict[str, str])
        self.draft.output.add(said.get("text"))


def reader(*chunks: bytes, status: int = 200, **headers: str) -> AwsReader:
    sent = [(n.replace("_", "-").encode(), v.encode()) for n, v in headers.items()]
    made = AwsReader(partial(Family, status), Head(status, "", sent))
    for chunk in chunks:
        made.feed(chunk)
    return made


def test_a_stream_is_read_whatever_its_content_type():
    made = reader(event("piece", text="ab"), event("end", text="c"))
    assert (made.terminal, made.output_started, made.held_bytes) == (True, True, 0)
    assert made.reading() is made.reading()
    said = made.reading()
    assert (said.output_chars, said.expects_terminal, said.terminal) == (3, True, True)
    assert (said.malformed, made.truncated) == (False, False)


def test_a_document_is_read_at_any_time():
    made = reader(b"", b'{"text"', b':"abc"')
    assert made.reading().malformed
    made.feed(b"}")
    said = made.reading()
    assert (said.output_chars, said.expects_terminal, said.malformed) == (
        3,
        False,
        False,
    )
    assert made.held_bytes == 14
    assert not made.terminal


def test_an_empty_answer_says_nothing():
    assert not reader().reading().malformed


def test_an_unreadable_event_or_frame_is_flagged():
    assert reader(frame({":message-type": "event"}, b"{")).reading().malformed
    damaged = bytearray(event("piece", text="ab"))
    damaged[-1] ^= 1
    assert reader(bytes(damaged)).reading().malformed


def test_what_is_kept_by_reference_is_let_go():
    piece = event("piece", text="x" * 1000)
    made = reader(*[piece] * (COMPACT_BYTES // len(piece) + 2))
    assert made.reading().output_chars > COMPACT_BYTES // 2


def test_a_frame_that_is_too_long_is_flagged():
    made = reader(event("piece", text="x" * (9 << 20)))
    assert made.truncated
    assert made.reading().malformed


@pytest.mark.parametrize(
    ("sent", "error_type", "code"),
    [
        (
            exception("throttlingException"),
            ErrorType.RATE_LIMITED,
            "ThrottlingException",
        ),
        (
            exception("modelStreamErrorException"),
            ErrorType.SERVER_ERROR,
            "ModelStreamErrorException",
        ),
        (
            frame({":message-type": "exception", ":exception-type": "odd"}, b"no JSON"),
            ErrorType.ERROR_IN_STREAM,
            "Odd",
        ),
        (
            frame(
                {
                    ":message-type": "error",
                    ":error-code": "InternalServerException",
                    ":error-message": "oh",
                }
            ),
            ErrorType.SERVER_ERROR,
            "InternalServerException",
        ),
    ],
)
def test_an_exception_after_a_200_ends_the_stream(
    sent: bytes, error_type: ErrorType, code: str
):
    made = reader(event("piece", text="ab"), sent)
    said = made.reading()
    assert made.terminal
    assert (said.error_type, said.error_code, said.error_in_stream) == (
        error_type,
        code,
        True,
    )


@pytest.mark.parametrize(
    ("status", "named", "body", "error_type", "code"),
    [
        (
            400,
            "ValidationException:http://internal.amazon.com/coral/com.amazon.bedrock/",
            b'{"message":"The provided model identifier is invalid."}',
            ErrorType.INVALID_REQUEST,
            "ValidationException",
        ),
        (403, "ExpiredTokenException", b"{}", ErrorType.AUTH, "ExpiredTokenException"),
        (
            403,
            "",
            b'{"__type":"com.amazon.coral#AccessDeniedException","Message":"no"}',
            ErrorType.AUTH,
            "AccessDeniedException",
        ),
        (
            429,
            "ThrottlingException",
            b"",
            ErrorType.RATE_LIMITED,
            "ThrottlingException",
        ),
        (
            429,
            "ModelNotReadyException",
            b"{}",
            ErrorType.OVERLOADED,
            "ModelNotReadyException",
        ),
        (
            400,
            "ServiceQuotaExceededException",
            b"{}",
            ErrorType.QUOTA,
            "ServiceQuotaExceededException",
        ),
        (
            408,
            "ModelTimeoutException",
            b"{}",
            ErrorType.SERVER_ERROR,
            "ModelTimeoutException",
        ),
        (
            424,
            "ModelErrorException",
            b"{}",
            ErrorType.SERVER_ERROR,
            "ModelErrorException",
        ),
        (503, "", b"<html>", ErrorType.SERVER_ERROR, ""),
    ],
)
def test_an_error_in_place_of_an_answer_is_named_by_its_header(
    status: int, named: str, body: bytes, error_type: ErrorType, code: str
):
    said = reader(body, status=status, x_amzn_errortype=named).reading()
    assert (said.error_type, said.error_code) == (error_type, code)
    assert not said.error_in_stream


def test_headers_count_under_the_names_of_the_metrics():
    head = Head(
        200,
        "",
        (
            (b"X-Amzn-Bedrock-Input-Token-Count", b"17"),
            (b"X-Amzn-Bedrock-Output-Token-Count", b"x"),
            (b"X-Amzn-Bedrock-Cache-Read-Input-Token-Count", b"0"),
            (b"X-Amzn-Bedrock-Cache-Write-Input-Token-Count", b"9" * 40),
        ),
    )
    assert counted(head) == {"inputTokenCount": 17, "cacheReadInputTokenCount": 0}


def test_a_stream_of_which_nothing_came_expects_its_end():
    kind = "application/vnd.amazon.eventstream"
    assert AwsReader(partial(Family, 200), Head(200, kind)).reading().expects_terminal
    said = AwsReader(partial(Family, 400), Head(400, kind)).reading()
    assert not said.expects_terminal


@given(st.lists(st.binary(max_size=60)), st.booleans())
def test_garbage_never_raises(chunks: list[bytes], as_stream: bool):
    made = reader(*([event("piece", text="ab")] if as_stream else []))
    for chunk in chunks:
        made.feed(chunk)
    made.reading()
