"""Promise 1, from the upstream to the agent: H09, H13, H14, H15, H17 and H18 (heads and framing have a file of their own)."""

import gzip
import json
from collections.abc import Callable

import brotli
import pytest
import zstandard

from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.proxy import Proxy
from tests.helpers.wire import Message, chunk, fields_of, request, response

USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
CHAT = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-4o-2024-08-06",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "hello " * 2000},
            }
        ],
        "usage": USAGE,
    }
).encode()
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("coding", PACKERS)
async def test_H09_a_compressed_answer_is_untouched_and_still_metered(
    coding: str, origin: RawOrigin, proxy: Proxy
) -> None:
    packed = PACKERS[coding](CHAT)
    headers = [
        (b"Content-Type", b"application/json"),
        (b"Content-Encoding", coding.encode()),
    ]
    raw = response(packed, *headers)
    origin.handler = always(raw)
    ask = b'{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}'
    async with await proxy.connect() as client:
        await client.call(
            request(b"/openai/v1/chat/completions", method=b"POST", body=ask)
        )
        assert client.raw == raw
    close = (await proxy.only()).close
    assert (close.usage.input, close.usage.output, close.usage_source) == (
        11,
        7,
        "provider",
    )


@pytest.mark.parametrize(
    "status", [b"301 Moved", b"302 Found", b"303 See Other", b"307 Temp", b"308 Perm"]
)
async def test_H13_redirects_are_relayed_and_not_followed(
    status: bytes, origin: RawOrigin, proxy: Proxy
) -> None:
    async with RawOrigin() as elsewhere:
        raw = response(
            b"", (b"Location", elsewhere.url.encode() + b"/x"), status=status
        )
        origin.handler = always(raw)
        async with await proxy.connect() as client:
            await client.call(
                request(b"/t/x", (b"X-Api-Key", b"k"), method=b"POST", body=b"prompt")
            )
            assert client.raw == raw
        assert elsewhere.connections == []
    assert len(origin.requests) == 1


async def test_H14_a_cookie_set_for_one_agent_is_not_sent_for_another(
    origin: RawOrigin, proxy: Proxy
) -> None:
    origin.handler = always(response(b"ok", (b"Set-Cookie", b"session=a; Path=/")))
    first = await proxy.call(request(b"/t/x", (b"Authorization", b"Bearer a")))
    second = await proxy.call(request(b"/t/x", (b"Authorization", b"Bearer b")))
    assert [answer.get(b"set-cookie") for answer in (first, second)] == [
        b"session=a; Path=/"
    ] * 2
    assert [seen.get(b"cookie") for seen in origin.requests] == [None, None]


LARGE_HEADERS = {
    "one-of-10-KB": [(b"X-Large", b"v" * 10_000)],
    "one-of-32-KB": [(b"X-Large", b"v" * 32_768)],
    "120-headers": [(b"X-%d" % i, b"v") for i in range(119)],
}


@pytest.mark.parametrize("headers", LARGE_HEADERS.values(), ids=LARGE_HEADERS.keys())
async def test_H15_large_and_many_response_headers_are_relayed(
    headers: list[tuple[bytes, bytes]], origin: RawOrigin, proxy: Proxy
) -> None:
    raw = response(b"ok", *headers)
    origin.handler = always(raw)
    async with await proxy.connect() as client:
        await client.call(request(b"/t/x"))
        assert client.raw == raw


async def test_H15_an_endless_response_header_is_cut_off_with_502(
    origin: RawOrigin, proxy: Proxy
) -> None:
    sent = 0

    async def never_end(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.send(b"HTTP/1.1 200 OK\r\nX-Large: ")
        while sent < 256 << 20:
            await exchange.send(b"v" * 65536)
            sent += 65536

    origin.handler = never_end
    answer = await proxy.call(request(b"/t/x"))
    assert (answer.status, answer.get(b"x-tacho-error")) == (
        502,
        b"upstream_protocol_error",
    )
    assert sent < 32 << 20


async def test_H15_a_response_header_of_1_MB_is_answered_with_502(
    origin: RawOrigin, proxy: Proxy
) -> None:
    origin.handler = always(response(b"ok", (b"X-Large", b"v" * (1 << 20))))
    answer = await proxy.call(request(b"/t/x"))
    assert (answer.status, answer.get(b"x-tacho-error")) == (
        502,
        b"upstream_protocol_error",
    )


async def final_of(proxy: Proxy, target: bytes) -> Message:
    async with await proxy.connect() as client:
        answer = await client.call(request(target))
        again = await client.call(request(target))
        assert (again.start, again.headers, again.body) == (
            answer.start,
            answer.headers,
            answer.body,
        )
        return answer


@pytest.mark.parametrize(
    "interim", [b"103 Early Hints", b"102 Processing"], ids=bytes.decode
)
async def test_H17_an_interim_answer_leaves_the_final_one_intact(
    interim: bytes, origin: RawOrigin, proxy: Proxy
) -> None:
    early = (
        b"HTTP/1.1 "
        + interim
        + b"\r\n"
        + fields_of([(b"Link", b"</a.css>; rel=preload")])
        + b"\r\n"
    )
    final = response(b"whole", (b"X-A", b"1"))
    origin.handler = always(early, early, final)
    answer = await final_of(proxy, b"/t/x")
    assert answer.raw_head + answer.body == final


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "unannounced"])
async def test_H18_response_trailers_are_dropped_and_corrupt_nothing(
    announced: bool, origin: RawOrigin, proxy: Proxy
) -> None:
    headers = [(b"X-A", b"1"), (b"Transfer-Encoding", b"chunked")]
    trailer = [(b"Trailer", b"X-Sum")] if announced else []
    head = b"HTTP/1.1 200 OK\r\n" + fields_of([*trailer, *headers]) + b"\r\n"
    origin.handler = always(
        head + chunk(b"hello") + b"0\r\nX-Sum: 1\r\nContent-Length: 3\r\n\r\n"
    )
    answer = await final_of(proxy, b"/t/x")
    assert (answer.body, answer.trailers) == (b"hello", [])
    assert answer.without(b"trailer") == headers
