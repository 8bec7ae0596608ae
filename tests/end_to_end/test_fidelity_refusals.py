"""What the proxy answers by itself is an error of ours, in JSON that helps, and leaves exactly one row (promise 2)."""

import json

import pytest

from tests.helpers.origin import RawOrigin
from tests.helpers.proxy import Proxy
from tests.helpers.wire import request

UPGRADE = [
    (b"Connection", b"Upgrade"),
    (b"Upgrade", b"websocket"),
    (b"Sec-WebSocket-Version", b"13"),
]
REFUSALS = {
    "unknown-route": (request(b"/nowhere/x"), 404),
    "no-route": (request(b"/"), 404),
    "unknown-route-with-a-body": (
        request(b"/nowhere/x", method=b"POST", body=b"{}"),
        404,
    ),
    "no-websocket-route": (request(b"/t/x", *UPGRADE), 426),
    "trace": (request(b"/t/x", method=b"TRACE"), 405),
}


@pytest.mark.parametrize(("raw", "status"), REFUSALS.values(), ids=REFUSALS.keys())
async def test_a_refusal_is_an_error_of_ours_and_leaves_one_row(
    raw: bytes, status: int, origin: RawOrigin, proxy: Proxy
) -> None:
    answer = await proxy.call(raw)
    assert answer.status == status
    assert answer.get(b"content-type") == b"application/json"
    assert answer.get(b"x-tacho-error")
    assert json.loads(answer.body)["error"]["message"]
    recorded = await proxy.only()
    assert recorded.end.outcome == "blocked"
    assert recorded.close.http_status == status
    assert (len(recorded.opens), len(recorded.closes), len(recorded.ends)) == (1, 1, 1)
    assert origin.connections == []


async def test_an_unknown_route_is_told_which_routes_there_are(proxy: Proxy) -> None:
    answer = await proxy.call(request(b"/nowhere/x"))
    for route in (b"anthropic", b"openai", b"ws"):
        assert route in answer.body


async def test_an_error_of_ours_does_not_repeat_what_the_agent_sent(
    proxy: Proxy,
) -> None:
    raw = request(
        b"/nowhere/x?key=canary-1",
        (b"Authorization", b"Bearer canary-2"),
        method=b"POST",
        body=b"canary-3",
    )
    assert b"canary" not in (await proxy.call(raw)).body


async def test_a_refused_head_request_gets_no_body(proxy: Proxy) -> None:
    async with await proxy.connect() as client:
        first = await client.call(request(b"/nowhere/x", method=b"HEAD"), bodyless=True)
        second = await client.call(request(b"/t/x"))
    assert (first.status, second.status) == (404, 200)
