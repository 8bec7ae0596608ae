"""The answer's reader: RFC 9112's framing, strictness, and independence of how bytes are sliced."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.forward.http1 import (
    AnswerReader,
    Framing,
    ProtocolError,
    parse_head,
)

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: \xe9\xff\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nT: 1\r\n\r\n"
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world"
INTERIM = (
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    + LENGTH
)


def read(
    *pieces: bytes, method: bytes = b"GET", limit: int = 4096
) -> tuple[AnswerReader, bytes]:
    reader = AnswerReader(method, limit)
    return reader, b"".join(b"".join(reader.feed(piece)) for piece in pieces)


@st.composite
def sliced(draw: st.DrawFn, data: bytes) -> list[bytes]:
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@pytest.mark.parametrize(
    "answer", [CHUNKED, LENGTH, INTERIM], ids=["chunked", "length", "interim"]
)
@given(data=st.data())
def test_any_slicing_gives_the_same_body(answer: bytes, data: st.DataObject) -> None:
    reader, body = read(*data.draw(sliced(answer)))
    assert body == b"hello world"
    assert reader.complete
    assert reader.surplus == b""
    assert reader.head is not None
    assert reader.head.status == 200


@given(data=st.data())
def test_bytes_behind_the_answer_are_kept_apart(data: st.DataObject) -> None:
    reader, body = read(*data.draw(sliced(CHUNKED + b"HTTP/1.1 200 OK")))
    assert body == b"hello world"
    assert reader.surplus == b"HTTP/1.1 200 OK"


@given(st.binary(max_size=200))
def test_garbage_is_a_protocol_error_or_an_unfinished_answer(data: bytes) -> None:
    reader = AnswerReader(b"GET", 100)
    try:
        reader.feed(data)
    except ProtocolError:
        return
    assert not reader.complete or reader.head is not None


def test_an_answer_without_a_length_lasts_until_the_connection_ends() -> None:
    reader, body = read(b"HTTP/1.1 200 OK\r\n\r\n", b"abc")
    assert body == b"abc"
    assert not reader.complete
    assert reader.feed_eof()
    assert reader.head is not None
    assert not reader.head.keep_alive


def test_the_end_of_bytes_does_not_complete_an_answer_with_a_length() -> None:
    reader, _ = read(LENGTH[:-1])
    assert not reader.feed_eof()


@pytest.mark.parametrize(
    ("method", "head", "length"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", 10),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n", None),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", 10),
        (b"GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0),
    ],
    ids=["head", "204", "304", "zero"],
)
def test_an_answer_without_a_body_is_complete_with_its_head(
    method: bytes, head: bytes, length: int | None
) -> None:
    reader, body = read(head, method=method)
    assert (body, reader.complete) == (b"", True)
    assert reader.head is not None
    assert (reader.head.framing, reader.head.length) == (Framing.EMPTY, length)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1111111111111111111\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\x00c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 5000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        + b"A: b\r\n" * 20_000,
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 5000,
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 5000 + b"\r\n\r\n",
    ],
)
def test_what_two_parsers_could_read_differently_is_refused(answer: bytes) -> None:
    with pytest.raises(ProtocolError):
        read(answer)


def test_an_upgrade_leaves_what_follows_to_the_other_protocol() -> None:
    reader = AnswerReader(b"GET", 4096, allow_upgrade=True)
    assert (
        reader.feed(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n\x81\x00")
        == []
    )
    assert reader.complete
    assert reader.surplus == b"\x81\x00"
    assert reader.feed(b"more") == []
    assert reader.surplus == b"\x81\x00more"


@pytest.mark.parametrize(
    ("head", "keeps"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", True),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: X, Close\r\n\r\n",
            False,
        ),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", False),
        (
            b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n",
            True,
        ),
    ],
)
def test_the_connection_is_kept_as_the_upstream_says(head: bytes, keeps: bool) -> None:
    assert parse_head(head, b"GET").keep_alive is keeps


def test_reason_and_header_bytes_are_kept() -> None:
    head = parse_head(
        b"HTTP/1.1 529 Some\xe9thing else\nX-oDD:\t\xff \nx-odd: 2\n\n", b"GET"
    )
    assert head.reason == b"Some\xe9thing else"
    assert head.headers == ((b"X-oDD", b"\xff"), (b"x-odd", b"2"))
    assert head.get(b"x-odd") == b"\xff"
    assert head.get(b"missing") == b""


def test_any_number_of_interim_answers_may_come_at_once() -> None:
    reader, body = read(b"HTTP/1.1 103 Early\r\n\r\n" * 2000 + LENGTH)
    assert (reader.complete, body) == (True, b"hello world")


def test_what_comes_behind_an_answer_is_not_gathered() -> None:
    reader, _ = read(LENGTH, *[b"x" * 1000] * 100)
    assert len(reader.surplus) == 5000
