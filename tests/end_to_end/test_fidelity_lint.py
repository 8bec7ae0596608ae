"""Promise 1 in the eyes of a response linter: H25, proxied answers earn no note that direct ones do not."""

import asyncio
import gzip

import pytest
from httplint import HttpResponseLinter

from tests.helpers.client import RawClient
from tests.helpers.origin import Exchange, RawOrigin
from tests.helpers.proxy import Proxy
from tests.helpers.wire import LAST_CHUNK, Message, chunk, fields_of, request, response

DATE = (b"Date", b"Sun, 22 Nov 2026 13:00:00 GMT")
JSON = (b"Content-Type", b"application/json")
CHUNKED = (b"Transfer-Encoding", b"chunked")


def chunked(*headers: tuple[bytes, bytes], body: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\n"
        + fields_of([*headers, CHUNKED])
        + b"\r\n"
        + chunk(body)
        + LAST_CHUNK
    )


SAMPLES = {
    "json": response(b'{"a":1}', DATE, JSON),
    "json-charset": response(
        b'{"a":1}', DATE, (b"Content-Type", b"application/json; charset=utf-8")
    ),
    "text": response(b"hello", DATE, (b"Content-Type", b"text/plain")),
    "no-type": response(b"hello", DATE),
    "no-date": response(b"hello", JSON),
    "gzip": response(
        gzip.compress(b'{"a":1}', mtime=0), DATE, JSON, (b"Content-Encoding", b"gzip")
    ),
    "chunked": chunked(DATE, JSON, body=b'{"a":1}'),
    "events": chunked(
        DATE, (b"Content-Type", b"text/event-stream"), body=b"data: 1\n\n"
    ),
    "cached": response(
        b"x",
        DATE,
        (b"Cache-Control", b"max-age=60"),
        (b"ETag", b'"v1"'),
        (b"Vary", b"Accept"),
    ),
    "cookies": response(
        b"x",
        DATE,
        (b"Set-Cookie", b"a=1; Path=/"),
        (b"Set-Cookie", b"b=2; Secure; HttpOnly"),
    ),
    "not-found": response(b"{}", DATE, JSON, status=b"404 Not Found"),
    "limited": response(
        b"{}", DATE, JSON, (b"Retry-After", b"3"), status=b"429 Too Many Requests"
    ),
    "unavailable": response(
        b"{}", DATE, JSON, (b"Retry-After", b"3"), status=b"503 Service Unavailable"
    ),
    "overloaded": response(b"{}", DATE, JSON, status=b"529 Overloaded"),
    "redirect": response(
        b"",
        DATE,
        (b"Location", b"https://example.test/"),
        status=b"307 Temporary Redirect",
    ),
    "unauthorized": response(
        b"{}", DATE, (b"WWW-Authenticate", b"Bearer"), status=b"401 Unauthorized"
    ),
    "no-content": b"HTTP/1.1 204 No Content\r\n" + fields_of([DATE]) + b"\r\n",
    "not-modified": b"HTTP/1.1 304 Not Modified\r\n"
    + fields_of([DATE, (b"ETag", b'"v1"')])
    + b"\r\n",
    "with-cors": response(b"x", DATE, (b"Access-Control-Allow-Origin", b"*")),
    "with-ids": response(
        b"{}",
        DATE,
        JSON,
        (b"x-request-id", b"req_1"),
        (b"x-ratelimit-remaining-tokens", b"9"),
    ),
}


async def notes(message: Message) -> list[str]:
    """Give what the linter says of an answer; in a thread, since it looks at files."""
    return await asyncio.to_thread(_notes, message)


def _notes(message: Message) -> list[str]:
    linter = HttpResponseLinter()
    version, status, reason = message.start.split(b" ", 2)
    linter.process_response_topline(version.removeprefix(b"HTTP/"), status, reason)
    linter.process_headers(list(message.headers))
    linter.feed_content(message.body)
    linter.finish_content(True, list(message.trailers))
    return sorted(
        f"{note.level.name} {type(note).__name__} {note.summary}"
        for note in linter.notes
    )


async def test_H25_the_linter_has_notes_to_compare(origin: RawOrigin) -> None:
    async with await RawClient.connect(origin.port) as client:
        assert await notes(await client.call(request(b"/x")))


@pytest.mark.parametrize("sample", SAMPLES)
async def test_H25_a_proxied_answer_earns_no_new_notes(
    sample: str, origin: RawOrigin, proxy: Proxy
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.send(SAMPLES[sample])

    origin.handler = answer
    async with await RawClient.connect(origin.port) as direct:
        expected = await notes(await direct.call(request(b"/x")))
    assert await notes(await proxy.call(request(b"/t/x"))) == expected
