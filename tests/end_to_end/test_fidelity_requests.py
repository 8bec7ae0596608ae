"""Promise 1, from the agent to the upstream: H02 to H04 and H16 of the HTTP fidelity checks (bodies have a file of their own)."""

from pathlib import Path
from typing import Any

import pytest

from proxy.config import LimitSettings
from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.wire import fields_of, request, response

ODD_HEADERS = [
    (b"X-Dup", b"1"),
    (b"x-LOWER-upper", b"MiXeD"),
    (b"X-Dup", b"2"),
    (b"X-Bytes", b"\xe9\xff"),
    (b"X-Dup", b"1"),
    (b"Accept", b"*/*"),
    (b"x_under.score!", b"odd but legal"),
    (b"X-Empty", b""),
    (b"aCCePT-enCODing", b"br;q=1.0, gzip;q=0.1"),
    (b"Cookie", b"a=1; b=2"),
    (b"X-Inner", b"a  b\tc"),
    (b"Authorization", b"Bearer sk-test"),
    (b"X-Forwarded-For", b"10.0.0.1"),
    (b"Via", b"1.1 other"),
]


async def test_H02_headers_keep_order_count_case_and_bytes_and_nothing_is_added(
    origin: RawOrigin, proxy: Proxy
) -> None:
    raw = (
        b"POST /t/x HTTP/1.1\r\nHost: proxy.test\r\n"
        + fields_of(ODD_HEADERS)
        + b"Content-Length: 2\r\n\r\nhi"
    )
    assert (await proxy.call(raw)).status == 200
    (seen,) = origin.requests
    assert seen.without(b"host") == [*ODD_HEADERS, (b"Content-Length", b"2")]
    assert seen.all(b"host") == [b"127.0.0.1:%d" % origin.port]


async def test_H02_headers_named_for_us_never_reach_the_origin(
    origin: RawOrigin, proxy: Proxy
) -> None:
    ours = [
        (b"X-Tacho-Run", b"r1"),
        (b"x-tacho-agent", b"a"),
        (b"X-TACHO-Tag-Team", b"b"),
        (b"x-tacho-key", b"k"),
    ]
    assert (
        await proxy.call(request(b"/t/x", *ours, (b"X-Tachometer", b"kept")))
    ).status == 200
    (seen,) = origin.requests
    assert seen.without(b"host") == [(b"X-Tachometer", b"kept")]


@pytest.mark.parametrize("method", [b"GET", b"POST", b"DELETE"], ids=bytes.decode)
async def test_H03_no_user_agent_accept_or_content_type_is_invented(
    method: bytes, origin: RawOrigin, proxy: Proxy
) -> None:
    body = None if method == b"GET" else b"x"
    assert (await proxy.call(request(b"/t/x", method=method, body=body))).status == 200
    (seen,) = origin.requests
    assert {name.lower() for name, _ in seen.headers} <= {b"host", b"content-length"}


HOP_BY_HOP = {
    "named-by-connection": [(b"Connection", b"X-A, close"), (b"X-A", b"secret")],
    "empty-connection-then-token": [
        (b"Connection", b""),
        (b"Connection", b"X-A"),
        (b"X-A", b"secret"),
    ],
    "odd-case-and-commas": [
        (b"cONNECTION", b",, x-a ,,keep-alive"),
        (b"X-A", b"secret"),
    ],
    "keep-alive": [(b"Connection", b"keep-alive"), (b"Keep-Alive", b"timeout=5")],
    "te-gzip": [(b"TE", b"gzip")],
    "proxy-connection": [(b"Proxy-Connection", b"keep-alive")],
    "proxy-authorization": [(b"Proxy-Authorization", b"Basic c2VjcmV0")],
    "upgrade-foo": [(b"Connection", b"upgrade"), (b"Upgrade", b"foo")],
    "upgrade-h2c": [
        (b"Connection", b"Upgrade, HTTP2-Settings"),
        (b"Upgrade", b"h2c"),
        (b"HTTP2-Settings", b"AAMAAABkAARAAAAAAAIAAAAA"),
    ],
}


@pytest.mark.parametrize("hop", HOP_BY_HOP.values(), ids=HOP_BY_HOP.keys())
async def test_H04_hop_by_hop_request_headers_are_stripped(
    hop: list[tuple[bytes, bytes]], origin: RawOrigin, proxy: Proxy
) -> None:
    answer = await proxy.call(
        request(b"/t/x", (b"X-Before", b"1"), *hop, (b"X-After", b"2"))
    )
    assert answer.status == 200
    (seen,) = origin.requests
    assert seen.without(b"host", b"connection") == [
        (b"X-Before", b"1"),
        (b"X-After", b"2"),
    ]
    tokens = b",".join(seen.all(b"connection")).lower()
    assert tokens in {b"", b"keep-alive"}


async def test_H04_te_trailers_may_pass_but_nothing_else_of_te(
    origin: RawOrigin, proxy: Proxy
) -> None:
    assert (
        await proxy.call(request(b"/t/x", (b"TE", b"trailers, deflate;q=0.5")))
    ).status == 200
    (seen,) = origin.requests
    assert seen.get(b"te") in {None, b"trailers"}


EXPECT = (b"Expect", b"100-continue")


def head_of_upload(target: bytes, *headers: tuple[bytes, bytes]) -> bytes:
    return request(target, EXPECT, *headers, (b"Content-Length", b"5"), method=b"POST")


async def test_H16_an_early_401_reaches_an_agent_that_waits_to_send_its_body(
    origin: RawOrigin, proxy: Proxy
) -> None:
    async def refuse(exchange: Exchange) -> None:
        await exchange.send(
            response(
                b"no", (b"WWW-Authenticate", b"Bearer"), status=b"401 Unauthorized"
            )
        )
        exchange.close()

    origin.eager_body, origin.handler = False, refuse
    answer = await proxy.call(head_of_upload(b"/t/x"))
    assert (answer.status, answer.body) == (401, b"no")
    assert answer.get(b"www-authenticate") == b"Bearer"
    assert (await proxy.only()).end.outcome == "rejected"


async def test_H16_the_agent_gets_one_100_and_the_body_arrives(
    origin: RawOrigin, proxy: Proxy
) -> None:
    async def accept(exchange: Exchange) -> None:
        if exchange.request.get(b"expect"):
            await exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await exchange.read_body()
        await exchange.send(response(b"done"))

    origin.eager_body, origin.handler = False, accept
    async with await proxy.connect() as client:
        await client.send(head_of_upload(b"/t/x"))
        interim = await client.head()
        assert interim.status == 100
        await client.send(b"hello")
        final = await client.head()
        assert final.status == 200
    assert origin.requests[0].body == b"hello"


@pytest.mark.parametrize(
    ("target", "changes", "status"),
    [
        (b"/nowhere/x", {}, 404),
        (b"/t/x", {"limits": LimitSettings(max_inflight=0)}, 503),
    ],
    ids=["unknown-route", "admission-limit"],
)
async def test_H16_a_refused_request_gets_its_refusal_before_any_100(
    target: bytes,
    changes: dict[str, Any],
    status: int,
    origin: RawOrigin,
    data_dir: Path,
) -> None:
    async with (
        running(settings_for(data_dir, origin, **changes)) as proxy,
        await proxy.connect() as client,
    ):
        await client.send(head_of_upload(target))
        assert (await client.head()).status == status
    assert origin.connections == []


async def test_H16_an_early_answer_reaches_an_agent_in_the_middle_of_its_upload(
    origin: RawOrigin, proxy: Proxy
) -> None:
    async def refuse(exchange: Exchange) -> None:
        await exchange.reader.readexactly(1000)
        await exchange.send(response(b"too large", status=b"413 Payload Too Large"))
        exchange.close()

    origin.eager_body, origin.handler = False, refuse
    async with await proxy.connect() as client:
        await client.send(
            request(b"/t/x", (b"Content-Length", b"50000000"), method=b"POST"),
            b"x" * 200_000,
        )
        answer = await client.response()
        assert (answer.status, answer.body) == (413, b"too large")
    assert (await proxy.only()).end.outcome == "rejected"


async def test_H16_an_early_answer_on_a_kept_connection_does_not_confuse_the_next_call(
    origin: RawOrigin, proxy: Proxy
) -> None:
    async def answer_first(exchange: Exchange) -> None:
        await exchange.send(response(b"early"))
        await exchange.read_body()

    origin.eager_body, origin.handler = False, answer_first
    async with await proxy.connect() as client:
        await client.send(request(b"/t/x", (b"Content-Length", b"10"), method=b"POST"))
        assert (await client.response()).body == b"early"
        await client.send(b"0123456789")
    origin.eager_body, origin.handler = True, always(response(b"own"))
    for _ in range(3):
        assert (await proxy.call(request(b"/t/y"))).body == b"own"
