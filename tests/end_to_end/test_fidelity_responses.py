"""Promise 1, from the upstream to the agent: H04 (answers), H05 and H08."""

from pathlib import Path

import pytest

from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.wire import LAST_CHUNK, chunk, request, response


async def test_H04_hop_by_hop_response_headers_are_stripped(
    origin: RawOrigin, proxy: Proxy
) -> None:
    hop = [
        (b"Connection", b"X-B, keep-alive"),
        (b"X-B", b"secret"),
        (b"Keep-Alive", b"timeout=5"),
        (b"Proxy-Connection", b"keep-alive"),
        (b"Proxy-Authenticate", b"Basic"),
        (b"TE", b"gzip"),
        (b"Upgrade", b"foo"),
    ]
    origin.handler = always(
        response(b"ok", (b"X-Before", b"1"), *hop, (b"X-After", b"2"))
    )
    answer = await proxy.call(request(b"/t/x"))
    kept = answer.without(b"connection")
    assert kept == [(b"X-Before", b"1"), (b"X-After", b"2"), (b"Content-Length", b"2")]
    assert b",".join(answer.all(b"connection")).lower() in {b"", b"keep-alive"}


async def test_H04_tokens_after_an_empty_response_connection_header_count(
    origin: RawOrigin, proxy: Proxy
) -> None:
    origin.handler = always(
        response(
            b"ok", (b"Connection", b""), (b"Connection", b"X-B"), (b"X-B", b"secret")
        )
    )
    answer = await proxy.call(request(b"/t/x"))
    assert answer.without(b"connection") == [(b"Content-Length", b"2")]


STATUS_LINES = [
    b"200 OK",
    b"201 ",
    b"299 Odd But Fine",
    b"418 I'm a teapot",
    b"429 Too Many Requests",
    b"529 Overloaded",
    b"599 Very Busy, Come Back Later",
]


@pytest.mark.parametrize("status", STATUS_LINES, ids=bytes.decode)
async def test_H05_status_reason_and_headers_are_relayed_unchanged(
    status: bytes, origin: RawOrigin, proxy: Proxy
) -> None:
    headers = [
        (b"Set-Cookie", b"a=1; Path=/"),
        (b"x-oDd", b"\xe9\xff"),
        (b"Set-Cookie", b"b=2"),
        (b"X-Empty", b""),
    ]
    raw = response(b"body", *headers, status=status)
    origin.handler = always(raw)
    async with await proxy.connect() as client:
        answer = await client.call(request(b"/t/x"))
        assert answer.start == b"HTTP/1.1 " + status
        assert answer.headers == [*headers, (b"Content-Length", b"4")]
        assert client.raw == raw


async def test_H05_an_origin_that_names_itself_keeps_its_server_and_date(
    origin: RawOrigin, proxy: Proxy
) -> None:
    raw = response(
        b"ok", (b"Date", b"Thu, 01 Jan 1970 00:00:00 GMT"), (b"Server", b"other/1")
    )
    origin.handler = always(raw)
    async with await proxy.connect() as client:
        await client.call(request(b"/t/x"))
        assert client.raw == raw


async def test_H05_a_chunked_answer_without_content_type_gets_none(
    origin: RawOrigin, proxy: Proxy
) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    origin.handler = always(head + chunk(b"hello") + LAST_CHUNK)
    answer = await proxy.call(request(b"/t/x"))
    assert answer.raw_head == head
    assert answer.body == b"hello"


async def test_H05_an_answer_that_ends_with_the_connection_is_relayed_whole(
    origin: RawOrigin, proxy: Proxy
) -> None:
    async def answer_and_close(exchange: Exchange) -> None:
        await exchange.send(
            b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n", b"a" * 100_000, b"end"
        )
        exchange.close()

    origin.handler = answer_and_close
    answer = await proxy.call(request(b"/t/x"))
    assert answer.body == b"a" * 100_000 + b"end"
    assert answer.without(b"connection", b"transfer-encoding") == [(b"X-A", b"1")]
    assert (await proxy.only()).end.outcome == "completed"


CODING = b"Transfer-Encoding: chunked\r\n"
"""Hop-by-hop: where there is no body, it need not be repeated."""
BODYLESS: dict[str, tuple[bytes, bytes]] = {
    "head-with-length": (
        b"HEAD",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nX-A: 1\r\n\r\n",
    ),
    "head-chunked": (
        b"HEAD",
        b"HTTP/1.1 200 OK\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    "head-without-framing": (b"HEAD", b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n"),
    "204": (b"GET", b"HTTP/1.1 204 No Content\r\nX-A: 1\r\nETag: w\r\n\r\n"),
    "304": (b"GET", b"HTTP/1.1 304 Not Modified\r\nX-A: 1\r\nETag: w\r\n\r\n"),
    "304-with-length": (
        b"GET",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\nETag: w\r\n\r\n",
    ),
    "200-empty": (b"GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
}


@pytest.mark.parametrize(("method", "raw"), BODYLESS.values(), ids=BODYLESS.keys())
async def test_H08_answers_without_a_body_keep_their_headers_and_the_connection(
    method: bytes, raw: bytes, origin: RawOrigin, proxy: Proxy
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.send(
            raw if exchange.request.target == b"/bodyless" else response(b"second")
        )

    origin.handler = answer
    async with await proxy.connect() as client:
        first = await client.call(request(b"/t/bodyless", method=method), bodyless=True)
        assert first.raw_head in {raw, raw.replace(CODING, b"")}
        second = await client.call(request(b"/t/second"))
        assert second.body == b"second"
        assert client.raw == first.raw_head + response(b"second")


async def test_H05_our_headers_are_added_where_they_are_wanted_and_cannot_be_forged(
    origin: RawOrigin, data_dir: Path
) -> None:
    origin.handler = always(
        response(
            b"ok",
            (b"X-A", b"1"),
            (b"X-Tacho-Step", b"forged"),
            (b"x-tacho-verdict", b"f"),
        )
    )
    async with running(settings_for(data_dir, origin, response_headers=True)) as proxy:
        answer = await proxy.call(request(b"/run/r-1/t/x"))
        opened = (await proxy.only()).open
    assert answer.all(b"x-tacho-step") == [opened.step_id.encode()]
    assert answer.all(b"x-tacho-run") == [opened.run_id.encode()]
    assert answer.all(b"x-tacho-attempt") != []
    assert b"forged" not in answer.raw_head
    assert [
        field
        for field in answer.headers
        if not field[0].lower().startswith(b"x-tacho-")
    ] == [
        (b"X-A", b"1"),
        (b"Content-Length", b"2"),
    ]
