"""Failed calls that the proxy tries again: which, when, how often, and that the agent sees one clean answer, or the first one's own."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.config import RouteSettings, Settings
from proxy.judge.retries import RetrySettings
from proxy.judge.settings import PolicySettings
from tests.helpers.counted import counted
from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.proxy import Proxy, assert_is_our_error, running, settings_for
from tests.helpers.redis import fake_redis
from tests.helpers.wire import request, response
from tests.proxy.test_attempting import JSON, answered, ask, in_turn, place
from tests.proxy.test_fallbacks import dead


def failed(status: int, *headers: tuple[bytes, bytes], body: bytes = b'{"error":{"message":"no"}}') -> bytes:  # fmt: skip
    return response(body, JSON, *headers, status=b"%d Nope" % status)


class Waits:
    """Takes no time, and remembers how long it should have been."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def retrying(data_dir: Path, origin: RawOrigin, retries: RetrySettings | None = None, url: str = "", **policies: Any) -> Settings:  # fmt: skip
    retries = retries or RetrySettings(most=2)
    routes = {
        "openai": RouteSettings(url=url or origin.url, provider="openai", retries=retries),
        "t": RouteSettings(url=url or origin.url, kind="tool", retries=retries),
    }  # fmt: skip
    made = msgspec.convert(policies, PolicySettings)
    return settings_for(data_dir, origin, routes=routes, policies=made)


def waits_of(proxy: Proxy, sleep: Callable[[float], Awaitable[None]] | None = None) -> Waits:  # fmt: skip
    assert proxy.worker is not None
    waits = Waits()
    proxy.worker.pipeline.attempting.sleep = sleep or waits
    return waits


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 529])
async def test_a_failure_that_passes_is_never_seen(
    status: int, origin: RawOrigin, data_dir: Path
):
    origin.handler = in_turn(failed(status), answered())
    async with running(retrying(data_dir, origin)) as proxy:
        waits = waits_of(proxy)
        assert (await proxy.call(ask())).status == 200
        rows = await proxy.ended(2)
        assert proxy.worker is not None
        retries = counted(proxy.worker.telemetry, "tacho_retries_total")
    outcome = "rejected" if status == 429 else "upstream_error"
    assert place(rows) == [(0, 1, "", outcome), (1, 1, "proxy", "completed")]
    assert [each.close.http_status for each in rows] == [status, 200]
    assert [labels[-1] for labels in retries] == ["proxy"]
    (waited,) = waits.seconds
    assert 0.25 <= waited <= 0.5


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (failed(400), "a refusal"),
        (failed(501), "another status"),
        (failed(503, (b"x-should-retry", b"false")), "the upstream says so"),
        (failed(429, (b"Retry-After", b"3600")), "too long a wait"),
        (failed(429, body=b'{"error":{"code":"insufficient_quota","message":"You exceeded your current quota"}}'), "no money"),
        (failed(503, body=b"x" * 100_000), "too long to be kept"),
    ],
)  # fmt: skip
async def test_what_does_not_pass_is_given_as_it_came(
    answer: bytes, why: str, origin: RawOrigin, data_dir: Path
):
    origin.handler = always(answer)
    async with running(settings_for(data_dir / "plain", origin)) as proxy:
        plain = await proxy.call(ask())
    async with running(retrying(data_dir, origin)) as proxy:
        waits = waits_of(proxy)
        given = await proxy.call(ask())
        (row,) = await proxy.ended(1)
    assert (given.start, given.headers, given.body) == (plain.start, plain.headers, plain.body)  # fmt: skip
    assert (waits.seconds, len(origin.requests), row.open.attempt) == ([], 2, 0), why


async def test_the_last_answer_is_given_as_it_came_when_it_failed_too_often(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = in_turn(failed(503), failed(503), failed(529, (b"X-Last", b"1")))
    async with running(retrying(data_dir, origin)) as proxy:
        waits = waits_of(proxy)
        answer = await proxy.call(ask())
        rows = await proxy.ended(3)
    assert (answer.status, answer.get(b"x-last")) == (529, b"1")
    assert [each.open.attempt for each in rows] == [0, 1, 2]
    assert len(waits.seconds) == 2


@pytest.mark.parametrize(
    ("headers", "body", "asked"),
    [
        ([(b"Retry-After", b"3")], b"{}", 3.0),
        ([(b"retry-after-ms", b"1500")], b"{}", 1.5),
        ([], b'{"error":{"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"4s"}]}}', 4.0),
    ],
)  # fmt: skip
async def test_what_the_upstream_asks_for_is_waited(
    headers: Any, body: bytes, asked: float, origin: RawOrigin, data_dir: Path
):
    origin.handler = in_turn(failed(429, *headers, body=body), answered())
    async with running(retrying(data_dir, origin)) as proxy:
        waits = waits_of(proxy)
        assert (await proxy.call(ask())).status == 200
    (waited,) = waits.seconds
    assert asked <= waited <= asked * 1.1 + 0.02


async def test_a_tool_is_not_called_twice_where_it_may_have_worked(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = in_turn(failed(502), failed(502), failed(503), response(b"ok"))
    post = request(b"/t/x", method=b"POST", body=b"{}")
    async with running(retrying(data_dir, origin)) as proxy:
        waits_of(proxy)
        assert (await proxy.call(post)).status == 502
        assert (await proxy.call(request(b"/t/x"))).status == 200
    assert [each.method for each in origin.requests] == [b"POST", b"GET", b"GET", b"GET"]  # fmt: skip


async def test_an_upstream_that_takes_no_connection_is_tried_again(
    origin: RawOrigin, data_dir: Path
):
    async with running(retrying(data_dir, origin, url=dead())) as proxy:
        waits = waits_of(proxy)
        assert_is_our_error(await proxy.call(ask()), 502, "connect")
        rows = await proxy.ended(3)
    assert [each.close.http_status for each in rows] == [None, None, 502]
    assert len(waits.seconds) == 2


@pytest.mark.parametrize(("method", "times"), [(b"GET", 2), (b"POST", 1)])
async def test_a_stale_connection_is_tried_again_for_what_only_reads(
    method: bytes, times: int, origin: RawOrigin, data_dir: Path
):
    async def stale(exchange: Exchange) -> None:
        if exchange.number:
            exchange.close()
        else:
            await exchange.send(response(b"ok"))

    origin.handler = stale
    body = b"{}" if method == b"POST" else None
    async with running(retrying(data_dir, origin)) as proxy:
        waits = waits_of(proxy)
        assert (await proxy.call(request(b"/t/x"))).status == 200
        answer = await proxy.call(request(b"/t/y", method=method, body=body))
        rows = await proxy.ended(1 + times)
    assert answer.status == (200 if times == 2 else 502)
    assert (rows[1].end.error_type, waits.seconds) == ("stale_connection", [])


async def test_a_body_that_streamed_through_is_not_sent_again(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = always(failed(503))
    body = b'{"model":"gpt-4o","messages":[]' + b" " * 10_000 + b"}"
    settings = retrying(data_dir, origin)
    small = msgspec.structs.replace(settings.limits, request_buffer_bytes=4096)
    async with running(msgspec.structs.replace(settings, limits=small)) as proxy:
        waits_of(proxy)
        sent = request(b"/openai/v1/chat/completions", JSON, method=b"POST", body=body)
        assert (await proxy.call(sent)).status == 503
    assert len(origin.requests) == 1


async def test_retries_do_not_multiply_an_outage(origin: RawOrigin, data_dir: Path):
    origin.handler = always(failed(503))
    slow = RetrySettings(most=2, budget_per_second=0.000_001)
    async with running(retrying(data_dir, origin, slow)) as proxy:
        waits_of(proxy)
        for number in range(100):
            assert (await proxy.call(ask(text=str(number)))).status == 503
    # Ten that were saved, and a fifth of a hundred.
    assert 125 <= len(origin.requests) <= 130


async def test_nothing_is_tried_again_at_an_open_breaker(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = always(failed(503, (b"X-Which", b"first")))
    breaker = {"mode": "enforce", "consecutive_failures": 1, "open_seconds": 60}
    async with running(retrying(data_dir, origin, breaker=breaker)) as proxy:
        waits_of(proxy)
        first = await proxy.call(ask())
        second = await proxy.call(ask(text="Second."))
        rows = await proxy.ended(2)
    assert (first.status, first.get(b"x-which")) == (503, b"first")
    assert second.get(b"x-tacho-verdict") is not None
    assert len(origin.requests) == 1
    assert [each.open.attempt for each in rows] == [0, 0]


async def test_a_wait_that_was_asked_for_opens_the_gate_for_the_retry(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = in_turn(failed(429, (b"retry-after-ms", b"30")), answered())
    async with running(retrying(data_dir, origin, rate_gate={"mode": "enforce"})) as proxy:  # fmt: skip
        waits_of(proxy, asyncio.sleep)
        assert (await proxy.call(ask())).status == 200
        rows = await proxy.ended(2)
    assert [each.open.attempt for each in rows] == [0, 1]


async def test_no_route_tries_again_unless_it_is_told_to(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = always(failed(503))
    async with running(settings_for(data_dir, origin)) as proxy:
        assert (await proxy.call(ask())).status == 503
        (row,) = await proxy.ended(1)
    assert (row.open.attempt, len(origin.requests)) == (0, 1)
    assert json.loads(origin.requests[0].body)


@pytest.mark.blocking_allowed  # the server of the test
async def test_another_worker_counts_on_from_the_last_attempt(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = always(failed(503))
    with fake_redis() as url:
        settings = [
            msgspec.structs.replace(retrying(data_dir / name, origin), state=url, secret="one-for-all-replicas", state_wait_ms=10_000)
            for name in "ab"
        ]  # fmt: skip
        async with running(settings[0]) as one, running(settings[1]) as two:
            waits_of(one)
            assert (await one.call(ask())).status == 503  # fmt: skip
            first = await one.ended(3)
            origin.handler = always(answered())
            again = ask((b"x-stainless-retry-count", b"1"))
            assert (await two.call(again)).status == 200
            (second,) = await two.ended(1)
    assert [each.open.attempt for each in first] == [0, 1, 2]
    assert (second.open.attempt, second.open.retry_layer) == (3, "sdk")
    assert second.open.step_id == first[0].open.step_id
