"""Framing and header syntax of requests, as raw bytes: P02, P03, P04 and P05 of the parser checks."""

import json

import pytest

from tests.helpers.origin import RawOrigin
from tests.helpers.proxy import Proxy
from tests.helpers.wire import request

HEAD = b"POST /t/x HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


async def refused(proxy: Proxy, origin: RawOrigin, raw: bytes) -> None:
    """The agent gets a 400 and loses its connection; no request is complete at the origin."""
    async with await proxy.connect() as client:
        await client.send(raw)
        answer = await client.response()
        assert answer.status == 400
        assert await client.rest() == b""
    assert origin.completed == []
    assert (await proxy.call(request(b"/t/after"))).status == 200


LENGTHS = {
    "length-and-chunked": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "chunked-and-length": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "chunked-twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "chunked-listed-twice": b"Transfer-Encoding: chunked, chunked\r\n",
    "xchunked": b"Transfer-Encoding: xchunked\r\n",
    "chunked-identity": b"Transfer-Encoding: chunked, identity\r\n",
    "identity": b"Transfer-Encoding: identity\r\n",
    "gzip-chunked": b"Transfer-Encoding: gzip, chunked\r\n",
    "length-plus": b"Content-Length: +5\r\n",
    "length-minus": b"Content-Length: -1\r\n",
    "length-hex": b"Content-Length: 0x5\r\n",
    "length-underscore": b"Content-Length: 1_0\r\n",
    "length-list": b"Content-Length: 5,5\r\n",
    "length-empty": b"Content-Length: \r\n",
    "length-missing-value": b"Content-Length:\r\n",
    "length-space-inside": b"Content-Length: 5 5\r\n",
    "length-overflow": b"Content-Length: 99999999999999999999999\r\n",
    "length-arabic-digit": b"Content-Length: \xd9\xa5\r\n",
    "two-equal-lengths": b"Content-Length: 5\r\nContent-Length: 5\r\n",
    "two-lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n",
    "length-space-before-colon": b"Content-Length : 5\r\n",
    "coding-space-before-colon": b"Transfer-Encoding : chunked\r\n",
    "coding-vertical-tab": b"Transfer-Encoding: \x0bchunked\r\n",
    "coding-folded": b"Transfer-Encoding:\r\n chunked\r\n",
}


@pytest.mark.parametrize("fields", LENGTHS.values(), ids=LENGTHS.keys())
async def test_P02_ambiguous_framing_is_400_and_never_reaches_the_origin(
    fields: bytes, origin: RawOrigin, proxy: Proxy
) -> None:
    await refused(proxy, origin, HEAD + fields + b"\r\n0\r\n\r\n")


async def test_P02_nothing_at_all_goes_upstream_for_ambiguous_framing(
    origin: RawOrigin, proxy: Proxy
) -> None:
    await proxy.call(HEAD + LENGTHS["length-and-chunked"] + b"\r\n0\r\n\r\n")
    assert origin.connections == []


FIELDS = {
    "space-before-colon": b"X-A : 1\r\n",
    "tab-before-colon": b"X-A\t: 1\r\n",
    "led-by-tab": b"\tX-A: 1\r\n",
    "led-by-space": b" X-A: 1\r\n",
    "empty-name": b": 1\r\n",
    "no-colon": b"X-A\r\n",
    "nul-in-name": b"X\0A: 1\r\n",
    "nul-in-value": b"X-A: a\0b\r\n",
    "cr-in-value": b"X-A: a\rb\r\n",
    "lf-in-value": b"X-A: a\nb\r\n",
    "escape-in-value": b"X-A: \x1b[31m\r\n",
    "delete-in-value": b"X-A: a\x7fb\r\n",
    "bare-lf-line": b"X-A: 1\n",
    "folded-by-space": b"X-A: 1\r\n 2\r\n",
    "folded-by-tab": b"X-A: 1\r\n\t2\r\n",
    "quoted-name": b'"X-A": 1\r\n',
    "utf-8-name": "Ä: 1\r\n".encode(),
    "parenthesis-in-name": b"X(A): 1\r\n",
}


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS.keys())
async def test_P03_malformed_header_lines_are_400(
    field: bytes, origin: RawOrigin, proxy: Proxy
) -> None:
    await refused(proxy, origin, b"GET /t/x HTTP/1.1\r\nHost: a\r\n" + field + b"\r\n")


async def test_P03_a_refusal_by_the_parser_is_an_error_of_ours(proxy: Proxy) -> None:
    answer = await proxy.call(b"GET /t/x HTTP/1.1\r\nHost: a\r\nX-A : 1\r\n\r\n")
    assert (answer.status, answer.get(b"x-tacho-error")) == (400, b"invalid_request")
    assert json.loads(answer.body)["error"].keys() >= {"type", "message", "code"}


async def test_P03_lines_that_end_in_lf_alone_are_400(
    origin: RawOrigin, proxy: Proxy
) -> None:
    await refused(proxy, origin, b"GET /t/x HTTP/1.1\nHost: a\n\n")


CHUNKS = {
    "hex-prefix": b"0x2\r\nab\r\n0\r\n\r\n",
    "plus": b"+2\r\nab\r\n0\r\n\r\n",
    "minus": b"-2\r\nab\r\n0\r\n\r\n",
    "underscore": b"2_0\r\n" + b"a" * 32 + b"\r\n0\r\n\r\n",
    "leading-space": b" 2\r\nab\r\n0\r\n\r\n",
    "lf-in-extension": b"2;\nab\r\n0\r\n\r\n",
    "17-digits": b"10000000000000002\r\nab\r\n0\r\n\r\n",
    "17-zeros-first": b"1\r\na\r\nfffffffffffffffff\r\nab\r\n0\r\n\r\n",
    "letters": b"zz\r\nab\r\n0\r\n\r\n",
    "empty": b"\r\nab\r\n0\r\n\r\n",
    "no-crlf-after-data": b"2\r\nabX0\r\n\r\n",
    "data-longer-than-size": b"2\r\nabc\r\n0\r\n\r\n",
    "lf-after-data": b"2\r\nab\n0\r\n\r\n",
    "lf-after-size": b"2\nab\r\n0\r\n\r\n",
    "cr-in-extension": b"2;a\rb\r\nab\r\n0\r\n\r\n",
    "nul-in-extension": b"2;a\0b\r\nab\r\n0\r\n\r\n",
    "broken-trailer": b"2\r\nab\r\n0\r\nX Y: 1\r\n\r\n",
}


@pytest.mark.parametrize("at_once", [True, False], ids=["one-packet", "body-later"])
@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS.keys())
async def test_P04_malformed_chunks_never_complete_a_request_at_the_origin(
    chunks: bytes, at_once: bool, origin: RawOrigin, proxy: Proxy
) -> None:
    async with await proxy.connect() as client:
        if at_once:
            await client.send(CHUNKED + chunks)
        else:
            await client.send(CHUNKED)
            await client.send(chunks)
        seen = await client.rest()
    assert not seen or seen.split(b" ", 2)[1] == b"400"
    assert origin.completed == []
    assert (await proxy.call(request(b"/t/after"))).status == 200


@pytest.mark.parametrize(
    "target", [b"/t/x", b"/anthropic/v1/messages"], ids=["streamed", "buffered"]
)
async def test_P04_a_body_cut_short_by_the_agent_never_completes_at_the_origin(
    target: bytes, origin: RawOrigin, proxy: Proxy
) -> None:
    async with await proxy.connect() as client:
        await client.send(
            request(target, (b"Content-Length", b"10"), method=b"POST"), b"12345"
        )
        client.leave()
        await client.rest()
    assert (await proxy.only()).end.outcome == "client_abort"
    assert origin.completed == []


HOSTS = {
    "duplicate": b"GET /t/x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "two-hosts": b"GET /t/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "missing": b"GET /t/x HTTP/1.1\r\nX-A: 1\r\n\r\n",
    "empty": b"GET /t/x HTTP/1.1\r\nHost: \r\n\r\n",
    "without-value": b"GET /t/x HTTP/1.1\r\nHost:\r\n\r\n",
}


@pytest.mark.parametrize("raw", HOSTS.values(), ids=HOSTS.keys())
async def test_P05_a_duplicate_missing_or_empty_host_is_400(
    raw: bytes, origin: RawOrigin, proxy: Proxy
) -> None:
    assert (await proxy.call(raw)).status == 400
    assert origin.connections == []


VERSIONS = {
    "0.9": b"GET /t/x\r\n\r\n",
    "0.9-named": b"GET /t/x HTTP/0.9\r\nHost: a\r\n\r\n",
    "1.2": b"GET /t/x HTTP/1.2\r\nHost: a\r\n\r\n",
    "1.32": b"GET /t/x HTTP/1.32\r\nHost: a\r\n\r\n",
    "2.0": b"GET /t/x HTTP/2.0\r\nHost: a\r\n\r\n",
    "lower-case": b"GET /t/x http/1.1\r\nHost: a\r\n\r\n",
    "preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "preface-with-host": b"PRI * HTTP/2.0\r\nHost: a\r\n\r\n",
    "tls-hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}


@pytest.mark.parametrize("raw", VERSIONS.values(), ids=VERSIONS.keys())
async def test_P05_other_versions_of_http_are_400(
    raw: bytes, origin: RawOrigin, proxy: Proxy
) -> None:
    await refused(proxy, origin, raw)


async def test_P05_two_spaces_before_the_version_are_400_or_harmless(
    origin: RawOrigin, proxy: Proxy
) -> None:
    answer = await proxy.call(b"GET /t/x  HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.status in {200, 400}
    assert [seen.target for seen in origin.requests] == (
        [b"/x"] if answer.status == 200 else []
    )


async def test_P05_an_http_1_0_request_is_served_and_its_connection_closed(
    origin: RawOrigin, proxy: Proxy
) -> None:
    async with await proxy.connect() as client:
        answer = await client.call(b"GET /t/x HTTP/1.0\r\nHost: a\r\n\r\n")
        assert (answer.status, answer.body) == (200, b"ok")
        assert await client.rest() == b""
    assert len(origin.completed) == 1
