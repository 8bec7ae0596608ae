"""The phases of a request: what is refused before anybody is asked, what is read, and that every way out leaves one exchange."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.call import Snapshot
from proxy.config import (
    Keys,
    LimitSettings,
    Secrets,
    Settings,
    TimeoutSettings,
    UnpricedSettings,
)
from proxy.model import Outcome
from proxy.wiring import build_snapshot
from tests.helpers import sse
from tests.helpers.counted import attempts
from tests.helpers.origin import Exchange, RawOrigin
from tests.helpers.pipelines import piped
from tests.helpers.proxy import Proxy, assert_is_our_error, running, settings_for
from tests.helpers.records import read_spool, until
from tests.helpers.wire import LAST_CHUNK, chunk, request, response

CODED = request(b"/t/x", (b"Transfer-Encoding", b"gzip, chunked"), method=b"POST")
LARGE = [(b"X-%d" % i, b"x" * 900) for i in range(10)]
REFUSED = {
    "no route": (request(b"/nowhere/x"), 404, "not_found"),
    "no path": (request(b"*", method=b"OPTIONS"), 400, "invalid_request"),
    "no proxy": (request(b"http://a.test/x"), 421, "invalid_request"),
    "method": (request(b"/t/x", method=b"TRACE"), 405, "invalid_request"),
    "coding": (CODED + LAST_CHUNK, 400, "invalid_request"),
    "empty host": (b"GET /t/x HTTP/1.1\r\nHost: \r\n\r\n", 400, "invalid_request"),
    "version": (b"GET /t/x HTTP/2.0\r\nHost: p\r\n\r\n", 400, "invalid_request"),
    "head": (request(b"/t/x", *LARGE), 431, "too_large"),
    "prefix": (request(b"/run/a/run/b/t/x"), 400, "invalid_request"),
    "upgrade": (request(b"/t/x", (b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")), 426, "invalid_request"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "status", "error_type"), REFUSED.values(), ids=REFUSED.keys()
)
async def test_what_is_refused_here_leaves_a_row_and_never_goes_upstream(
    sent: bytes, status: int, error_type: str, origin: RawOrigin, data_dir: Path
):
    small = LimitSettings(max_header_bytes=8192)
    async with running(settings_for(data_dir, origin, limits=small)) as proxy:
        assert_is_our_error(await proxy.call(sent), status, error_type)
        (seen,), _ = await asyncio.to_thread(read_spool, data_dir)
        assert attempts(proxy.worker) == {("", "blocked"): 1}
    assert (seen.end.outcome, seen.end.error_type) == ("blocked", error_type)
    assert (seen.close.http_status, seen.close.usage_source) == (status, "none")
    assert not seen.open.is_step
    assert not origin.connections


async def test_a_refusal_over_404_names_the_routes(proxy: Proxy):
    answer = await proxy.call(request(b"/nowhere/x"))
    assert json.loads(answer.body)["routes"] == [
        "anthropic",
        "gemini",
        "openai",
        "t",
        "ws",
    ]


async def test_beyond_the_limit_on_calls_under_way_agents_are_asked_to_come_again(
    origin: RawOrigin, data_dir: Path
):
    go = asyncio.Event()

    async def hold(exchange: Exchange) -> None:
        await go.wait()
        await exchange.send(response(b"ok"))

    origin.handler = hold
    settings = settings_for(data_dir, origin, limits=LimitSettings(max_inflight=1))
    async with running(settings) as proxy, await proxy.connect() as client:
        await client.send(request(b"/t/x"))
        await until(lambda: bool(origin.requests), "the first call is under way")
        answer = await proxy.call(request(b"/t/y"))
        assert_is_our_error(answer, 503, "admission")
        assert answer.get(b"retry-after") == b"1"
        go.set()
        assert (await client.response()).body == b"ok"
        assert (await proxy.call(request(b"/t/z"))).body == b"ok"


CHAT = json.dumps({"model": "gpt-4o", "messages": []}).encode()
PATH = b"/openai/v1/chat/completions"


def padded(size: int) -> bytes:
    return CHAT[:-1] + b" " * (size - len(CHAT)) + CHAT[-1:]


@pytest.mark.parametrize(
    ("limits", "size", "model"),
    [
        ({"request_buffer_bytes": 4096}, 4096, "gpt-4o"),
        ({"request_buffer_bytes": 4096}, 4097, ""),
        ({"request_buffers_total_bytes": 4096}, 4096, "gpt-4o"),
        ({"request_buffers_total_bytes": 4096}, 4097, ""),
        ({"request_buffer_bytes": 4096}, 300_000, ""),
    ],
)
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_body_beyond_the_limit_streams_through_unread(
    limits: dict[str, int],
    size: int,
    model: str,
    framing: str,
    origin: RawOrigin,
    data_dir: Path,
):
    body = padded(size)
    settings = settings_for(data_dir, origin, limits=LimitSettings(**limits))
    if framing == "length":
        sent = request(PATH, method=b"POST", body=body)
    else:
        coding = (b"Transfer-Encoding", b"chunked")
        sent = request(PATH, coding, method=b"POST")
        sent += chunk(body[:100]) + chunk(body[100:]) + LAST_CHUNK
    async with running(settings) as proxy:
        assert (await proxy.call(sent)).status == 200
        assert (await proxy.call(sent)).status == 200
        first, _ = await proxy.ended(2)
    assert [seen.body for seen in origin.requests] == [body, body]
    assert (first.open.model_requested, first.open.operation) == (model, "chat")


@pytest.mark.parametrize("coding", [b"gzip", b"Identity"])
async def test_a_coded_body_is_passed_on_unread(
    coding: bytes, origin: RawOrigin, proxy: Proxy
):
    header = (b"Content-Encoding", coding)
    await proxy.call(request(PATH, header, method=b"POST", body=CHAT))
    assert origin.requests[0].body == CHAT
    read = (await proxy.only()).open.model_requested
    assert read == ("" if coding == b"gzip" else "gpt-4o")


HALF = request(PATH, (b"Content-Length", b"99"), method=b"POST") + b"{"
CHUNKS = request(PATH, (b"Transfer-Encoding", b"chunked"), method=b"POST")
NOT_WHOLE = {
    "stops": (HALF, b"", 408, "client_abort", "body_timeout"),
    "breaks": (CHUNKS + chunk(b"{"), b"zz\r\n", 400, "blocked", "invalid_request"),
}


@pytest.mark.parametrize(
    ("first", "then", "status", "outcome", "error_type"),
    NOT_WHOLE.values(),
    ids=NOT_WHOLE.keys(),
)
async def test_a_body_that_never_gets_whole_is_answered_and_never_goes_upstream(
    first: bytes,
    then: bytes,
    status: int,
    outcome: str,
    error_type: str,
    origin: RawOrigin,
    data_dir: Path,
):
    times = TimeoutSettings(body_idle_seconds=60.0 if then else 0.1)
    settings = settings_for(data_dir, origin, timeouts=times)
    async with running(settings) as proxy, await proxy.connect() as client:
        await client.send(first)
        if then:
            assert proxy.worker is not None
            port = proxy.worker.port
            await until(lambda: port.inflight == 1, "the request has begun")
            await client.send(then)
        assert_is_our_error(await client.response(), status, error_type)
        recorded = await proxy.only()
    assert (recorded.end.outcome, recorded.end.error_type) == (outcome, error_type)
    assert recorded.close.http_status == status
    assert not origin.connections


async def test_an_agent_that_leaves_with_half_a_body_leaves_a_row(
    origin: RawOrigin, proxy: Proxy
):
    async with await proxy.connect() as client:
        await client.send(HALF)
        assert proxy.worker is not None
        port = proxy.worker.port
        await until(lambda: port.inflight == 1, "the request has begun")
        client.reset()
        recorded = await proxy.only()
    assert (recorded.end.outcome, recorded.end.error_type) == ("client_abort", "")
    assert recorded.close.http_status is None
    assert not origin.connections


async def test_an_agent_is_told_to_continue_with_a_body_that_is_read_whole(
    origin: RawOrigin, proxy: Proxy
):
    head = request(
        PATH,
        (b"Expect", b"100-continue"),
        (b"Content-Length", b"%d" % len(CHAT)),
        method=b"POST",
    )
    async with await proxy.connect() as client:
        await client.send(head)
        assert (await client.head()).status == 100
        await client.send(CHAT)
        assert (await client.response()).body == b"ok"
    (seen,) = origin.requests
    assert (seen.body, seen.get(b"expect")) == (CHAT, None)


async def test_a_tool_is_of_its_routes_kind(origin: RawOrigin, proxy: Proxy):
    await proxy.call(request(b"/t/search/x?q=1"))
    opened = (await proxy.only()).open
    assert (opened.kind, opened.route, opened.dialect) == ("tool", "t", "plain_http")
    assert opened.step_name == "t GET /search/x"


async def test_what_the_path_names_before_the_route_is_taken_off_and_kept(
    origin: RawOrigin, proxy: Proxy
):
    for _ in range(2):
        await proxy.call(request(b"/agent/bot/run/r1/t/x?a=1"))
    first, second = await proxy.ended(2)
    assert {seen.target for seen in origin.requests} == {b"/x?a=1"}
    assert (first.open.agent, first.open.run_id) == ("bot", "r1")
    assert (first.open.step_seq, second.open.step_seq) == (1, 2)
    assert first.close.altered == ("path_prefix",)


async def test_what_is_under_way_is_known_until_it_has_ended(
    origin: RawOrigin, proxy: Proxy
):
    go = asyncio.Event()

    async def hold(exchange: Exchange) -> None:
        await go.wait()
        await exchange.send(response(b"ok"))

    origin.handler = hold
    assert proxy.worker is not None
    pipeline = proxy.worker.pipeline
    async with await proxy.connect() as client:
        await client.send(request(b"/t/x"))
        await until(lambda: bool(origin.requests), "the call is under way")
        (ledger,) = pipeline.under_way()
        assert ledger.exchange.closed is None
        go.set()
        await client.response()
    await proxy.only()
    assert pipeline.under_way() == []


@pytest.mark.blocking_allowed  # wiring a pipeline reads the price table
async def test_a_fault_of_ours_is_answered_500_and_leaves_a_row(
    origin: RawOrigin, data_dir: Path
):
    async with piped(settings_for(data_dir, origin)) as made:
        # Breaks the promise that each route has limits.
        made.pipeline.snapshot = replace(made.pipeline.snapshot, limits={})
        async with await made.port.connect() as client:
            answer = await client.call(request(b"/t/x"))
        assert_is_our_error(answer, 500, "internal")
        assert made.told.faults == {"forward": 1}
        assert made.told.under_way == {"t": 0}
    ((_, closed, ended),) = made.told.applied
    assert (ended.outcome, ended.error_type) == (Outcome.PROXY_ERROR, "internal")
    assert closed.http_status == 500
    assert not origin.requests


async def test_requests_under_way_keep_the_settings_that_they_began_with(
    origin: RawOrigin, proxy: Proxy
):
    assert proxy.worker is not None
    pipeline = proxy.worker.pipeline
    half = sse.post(PATH, CHAT)
    async with await proxy.connect() as client, RawOrigin() as other:
        await client.send(half[:-5])
        port = proxy.worker.port
        await until(lambda: port.inflight == 1, "the request has begun")
        pipeline.snapshot = _snapshot_of(settings_for(proxy.data_dir, other))
        await client.send(half[-5:])
        assert (await client.response()).status == 200
        assert (len(origin.requests), len(other.requests)) == (1, 0)
        await client.call(half)
        assert (len(origin.requests), len(other.requests)) == (1, 1)


def _snapshot_of(settings: Settings) -> Snapshot:
    return build_snapshot(settings, Keys({}, {}), Secrets(b"s", "r", "w"))


async def test_a_model_without_a_price_is_refused_where_the_settings_say_so(
    origin: RawOrigin, data_dir: Path
):
    block = UnpricedSettings(policy="block")
    async with running(settings_for(data_dir, origin, unpriced=block)) as proxy:
        client = await proxy.connect()
        async with client:
            answer = await client.call(sse.openai_ask(model="nobody-knows-this"))
            assert_is_our_error(answer, 400, "invalid_request")
            said = json.loads(answer.body)["error"]["message"]
            assert "nobody-knows-this" in said
            assert "unpriced.policy" in said
            assert not origin.connections
            # The connection goes on, and so does what has a price.
            assert (await client.call(sse.openai_ask(stream=False))).status == 200
        refused, passed = await proxy.ended(2)
    assert (refused.end.outcome, refused.close.http_status) == ("blocked", 400)
    close = refused.close
    verdict = (close.verdict_policy, close.verdict_action, close.verdict_reason)
    assert verdict == ("unpriced", "block", "no_price")
    assert (close.usage_source, close.cost.total()) == ("none", None)
    assert refused.open.model_requested == "nobody-knows-this"
    assert passed.close.verdict_policy == ""
