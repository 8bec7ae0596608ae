"""A failing upstream, a provider's 429 and a used-up account, as agents meet them: nothing is sent where it would fail."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.test_governors import (  # fmt: skip
    all_at_once,
    answer,
    ask,
    governed,
    statuses,
    verdicts_of,
)
from tests.helpers import sse
from tests.helpers.clock import NOW_US, StandingClock
from tests.helpers.counted import counted
from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.proxy import running
from tests.helpers.records import read_spool, until
from tests.helpers.wire import LAST_CHUNK, STREAM_HEAD, chunk, response

JSON = (b"Content-Type", b"application/json")
SECOND = 1_000_000


class Slow:
    """An answer whose end waits."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def __call__(self, exchange: Exchange) -> None:
        await exchange.send(STREAM_HEAD, chunk(sse.openai_text("hi")))
        await self.go.wait()
        await exchange.send(chunk(sse.OPENAI_DONE), LAST_CHUNK)


def failing(status: bytes, body: dict[str, Any], *headers: tuple[bytes, bytes]) -> Any:
    return always(response(json.dumps(body).encode(), JSON, *headers, status=status))


BROKEN = {"error": {"message": "boom", "type": "server_error", "code": None}}


async def test_c09_and_c10_two_hundred_agents_neither_reach_a_failing_upstream_nor_all_probe_it(
    origin: RawOrigin, data_dir: Path, clock: type[StandingClock]
):
    origin.handler = failing(b"500 Internal Server Error", BROKEN)
    breaker = {"mode": "enforce", "open_seconds": 5, "jitter_percent": 0}
    many = [ask(f"r{n}", n) for n in range(200)]
    async with running(governed(data_dir, origin, breaker=breaker)) as proxy:
        for number in range(5):
            assert (await proxy.call(many[number])).status == 500
        clock.us += 2 * SECOND
        refused = await all_at_once(proxy, many)
        assert statuses(refused) == {503: 200}
        assert {each.get(b"retry-after") for each in refused} == {b"3"}
        assert len(origin.requests) == 5
        clock.us += 3 * SECOND
        probing = await all_at_once(proxy, many)
        assert statuses(probing) == {500: 1, 503: 199}
        assert len(origin.requests) == 6
        clock.us += 10 * SECOND
        go = asyncio.Event()

        async def thinking(exchange: Exchange) -> None:
            await go.wait()
            await exchange.send(answer())

        origin.handler = thinking
        probe = asyncio.create_task(proxy.call(many[0]))
        await until(lambda: len(origin.requests) == 7, "the probe is under way")
        assert statuses(await all_at_once(proxy, many)) == {503: 200}
        go.set()
        assert (await probe).status == 200
        assert statuses(await all_at_once(proxy, many[:2])) == {200: 2}


@pytest.mark.blocking_allowed  # the spool is read
async def test_c09_and_c10_a_breaker_opens_half_opens_and_closes_again(
    origin: RawOrigin, data_dir: Path, clock: type[StandingClock]
):
    origin.handler = failing(b"500 Internal Server Error", BROKEN)
    breaker = {"mode": "enforce", "consecutive_failures": 3, "open_seconds": 5, "jitter_percent": 0, "max_probes": 1}  # fmt: skip
    async with running(governed(data_dir, origin, breaker=breaker)) as proxy:
        assert [(await proxy.call(ask("r1", n))).status for n in range(3)] == [500] * 3
        refused = [await proxy.call(ask("r1", n)) for n in range(5)]
        assert [each.status for each in refused] == [503] * 5
        assert refused[0].get(b"retry-after") == b"5"
        assert len(origin.requests) == 3  # nothing more was sent
        gauge = counted(proxy.worker.telemetry, "tacho_breaker_state")  # type: ignore[union-attr]
        assert gauge == {("openai", "gpt-4o"): 1}
        clock.us += 5 * SECOND
        assert (await proxy.call(ask("r1", 1))).status == 500  # the probe
        assert (await proxy.call(ask("r1", 1))).status == 503
        clock.us += 9 * SECOND
        assert (await proxy.call(ask("r1", 1))).status == 503  # twice as long now
        clock.us += 1 * SECOND
        origin.handler = always(answer())
        assert [(await proxy.call(ask("r1", n))).status for n in range(3)] == [200] * 3
        rows = await proxy.ended(14)
        assert verdicts_of(proxy) == {("breaker", "block"): 7}
    states = [each.close.breaker_state for each in rows]
    assert states == ["closed"] * 3 + ["open"] * 5 + ["half_open"] + ["open"] * 2 + ["half_open", "closed", "closed"]  # fmt: skip
    assert [each.open.step_seq for each in rows if each.close.verdict_action == "block"] == [None] * 7  # fmt: skip
    _, events = read_spool(data_dir)
    turned = [each.action for each in events if each.type == "breaker" and each.action != "block"]  # fmt: skip
    assert turned == ["open", "half_open", "open", "half_open", "closed"]


async def test_c12_after_a_429_a_caller_waits_as_long_as_it_was_told(
    origin: RawOrigin, data_dir: Path, clock: type[StandingClock]
):
    limited = {"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}}  # fmt: skip
    origin.handler = failing(b"429 Too Many Requests", limited, (b"Retry-After", b"7"))
    async with running(governed(data_dir, origin, rate_gate={"mode": "enforce"})) as proxy:  # fmt: skip
        assert (await proxy.call(ask("r1", 0))).status == 429
        origin.handler = always(answer())
        waiting = await proxy.call(ask("r1", 1))
        assert (waiting.status, waiting.get(b"retry-after")) == (429, b"7")
        clock.us += 7 * SECOND
        assert (await proxy.call(ask("r1", 2))).status == 200
        assert len(origin.requests) == 2
        assert verdicts_of(proxy) == {("rate_gate", "block"): 1}
        rows = await proxy.ended(3)
    assert [each.close.http_status for each in rows] == [429, 429, 200]
    assert [each.end.error_type for each in rows] == [
        "rate_limited",
        "rate_limited",
        "",
    ]


async def test_c13_a_used_up_account_is_a_final_refusal_until_somebody_may_have_paid(
    origin: RawOrigin, data_dir: Path, clock: type[StandingClock]
):
    spent = {"error": {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": "insufficient_quota"}}  # fmt: skip
    origin.handler = failing(b"429 Too Many Requests", spent)
    async with running(governed(data_dir, origin, quota_gate={"mode": "enforce"})) as proxy:  # fmt: skip
        assert (await proxy.call(ask("r1", 0))).status == 429
        origin.handler = always(answer())
        refused = await proxy.call(ask("r1", 1))
        assert (refused.status, refused.get(b"x-should-retry")) == (400, b"false")
        clock.us += 60 * SECOND
        assert (await proxy.call(ask("r1", 2))).status == 200
        assert len(origin.requests) == 2


async def test_c15_a_stream_gives_its_probe_s_permit_back_at_its_first_event(
    origin: RawOrigin, data_dir: Path, clock: type[StandingClock]
):
    breaker = {"mode": "enforce", "consecutive_failures": 1, "open_seconds": 5, "jitter_percent": 0, "max_probes": 1}  # fmt: skip
    origin.handler = failing(b"500 Internal Server Error", BROKEN)
    async with running(governed(data_dir, origin, breaker=breaker)) as proxy:
        assert (await proxy.call(ask("r1", 0))).status == 500
        clock.us += 5 * SECOND
        stream = Slow()
        origin.handler = stream
        async with await proxy.connect() as client:
            await client.send(sse.openai_ask())
            await client.final_head()
            await client.chunk()
            origin.handler = always(answer())
            assert (
                await proxy.call(ask("r2", 1))
            ).status == 200  # it is closed already
            stream.go.set()


@pytest.mark.timeout(120)
@pytest.mark.blocking_allowed  # the spool is read
async def test_an_upstream_that_fails_for_a_minute_under_200_agents_is_asked_by_probes_alone(
    origin: RawOrigin, data_dir: Path, clock: type[StandingClock]
):
    """All agents ask at once, again and again, until it has recovered."""
    origin.handler = failing(b"500 Internal Server Error", BROKEN)
    breaker = {"mode": "enforce", "consecutive_failures": 5, "open_seconds": 5, "max_open_seconds": 20, "jitter_percent": 0, "max_probes": 1}  # fmt: skip
    async with running(governed(data_dir, origin, breaker=breaker)) as proxy:

        async def all_ask() -> list[int]:
            answers = await all_at_once(proxy, [ask(f"r{n}", n) for n in range(200)])
            return sorted(each.status for each in answers)

        assert [(await proxy.call(ask("r", n))).status for n in range(5)] == [500] * 5
        sent, probes = len(origin.requests), []
        for second in (5, 10, 15, 35, 54, 55):
            clock.us = NOW_US + second * SECOND
            assert (await all_ask()).count(503) >= 199
            probes.append(len(origin.requests) - sent)
            sent = len(origin.requests)
        # Open for 5, 10, 20 and 20 seconds; one probe of 200 agents at the end of each.
        assert probes == [1, 0, 1, 1, 0, 1]
        origin.handler = always(answer())
        clock.us = NOW_US + 75 * SECOND
        assert (await proxy.call(ask("r", 1))).status == 200
        assert await all_ask() == [200] * 200
        await proxy.ended(5 + 7 * 200 + 1)
    _, events = read_spool(data_dir)
    turned = [each.action for each in events if each.type == "breaker" and each.action != "block"]  # fmt: skip
    assert turned == ["open", *["half_open", "open"] * 4, "half_open", "closed"]
