"""What policies do while Redis is away, hangs, is full, or holds something that is none of ours: the settings say, and agents do not wait.

What lives here: one worker on a redis-server that is broken and mended. What does not: Redis that works (`test_governors_of_workers.py`).
"""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from proxy.judge.settings import PolicySettings
from proxy.state import redis_clock
from proxy.steady import SteadyClock
from tests.end_to_end.test_governors import OFF, answer, ask, governed
from tests.helpers.origin import RawOrigin, always
from tests.helpers.proxy import Proxy, running
from tests.helpers.records import until
from tests.helpers.redis import RedisServer, real_redis

NO_CAPS: dict[str, Any] = {"steps": None, "tool_calls": None, "attempts": None, "cost_usd": None, "turn": {}}  # fmt: skip
pytestmark = [pytest.mark.big, pytest.mark.timeout(120), pytest.mark.blocking_allowed]
AS_SET = pytest.mark.parametrize(("on_error", "status"), [("allow", 200), ("block", 503)])  # fmt: skip


@pytest.fixture
def server(tool, tmp_path: Path) -> Iterator[RedisServer]:
    place = tmp_path / "redis"
    place.mkdir()
    with real_redis(tool("redis-server"), place) as started:
        yield started


@pytest.fixture
def settings(data_dir: Path, origin: RawOrigin, server: RedisServer) -> Callable[..., Any]:  # fmt: skip
    origin.handler = always(answer())

    def make(on_error: str) -> Any:
        caps = NO_CAPS | {"mode": "enforce", "steps": 3}
        made = governed(data_dir, origin, **OFF | {"caps": caps}, on_error=on_error)
        return msgspec.structs.replace(made, state=server.url, secret="one-for-all-replicas", state_wait_ms=500)  # fmt: skip

    return make


def client_of(server: RedisServer) -> redis.Redis:
    return redis.Redis(unix_socket_path=server.url.removeprefix("unix://"))


def trouble(proxy: Proxy) -> str:
    assert proxy.worker is not None
    return proxy.worker._runs.trouble


def losses(proxy: Proxy) -> Mapping[str, int]:
    assert proxy.worker is not None
    return proxy.worker._runs.losses()


async def status_of(proxy: Proxy, run: str, number: int = 0) -> int:
    return (await proxy.call(ask(run, number))).status


@AS_SET
async def test_a_redis_that_is_away_fails_as_set_and_counts_again_when_it_is_back(settings, server, origin, on_error, status):  # fmt: skip
    async with running(settings(on_error)) as proxy:
        assert await status_of(proxy, "r1") == 200
        server.kill()
        await until(lambda: "not connected" in trouble(proxy), "the trouble")
        assert {await status_of(proxy, "r1", n) for n in range(10)} == {status}
        assert len(origin.requests) == (11 if on_error == "allow" else 1)
        assert losses(proxy)["state_unknown"] == 10
        server.start()
        await until(lambda: not trouble(proxy), "the end of the trouble")
        assert [await status_of(proxy, "r2", n) for n in range(4)] == [200, 200, 200, 400]  # fmt: skip


@AS_SET
async def test_a_redis_that_hangs_is_waited_for_once_and_fails_as_set(settings, server, on_error, status):  # fmt: skip
    async with running(settings(on_error)) as proxy:
        assert await status_of(proxy, "r1") == 200
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            calls = (status_of(proxy, "r1", n) for n in range(20))
            assert set(await asyncio.gather(*calls)) == {status}
            assert "slow" in trouble(proxy) or "not connected" in trouble(proxy)
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        await until(lambda: not trouble(proxy), "the end of the trouble")
        # What was asked of it meanwhile counts nowhere.
        assert [await status_of(proxy, "r2", n) for n in range(4)] == [200, 200, 200, 400]  # fmt: skip


@AS_SET
async def test_a_redis_whose_memory_is_full_fails_as_set_says_so_and_recovers(settings, server, origin, on_error, status):  # fmt: skip
    async with running(settings(on_error)) as proxy:
        assert [await status_of(proxy, "r1", n) for n in range(2)] == [200, 200]
        with client_of(server) as client:
            client.config_set("maxmemory", "1")
            assert await status_of(proxy, "r1", 2) == status
            await until(lambda: "takes nothing in: its memory is full (OOM)" in trouble(proxy), "the trouble")  # fmt: skip
            assert {await status_of(proxy, "r1", n) for n in range(10)} == {status}
            nameless = [await proxy.call(ask("x", n).replace(b"/run/x", b"")) for n in range(5)]  # fmt: skip
            assert {each.status for each in nameless} == {status}
            rows = await proxy.ended(18)
            # Nobody makes up a run that nobody could remember.
            assert {each.open.run_id for each in rows[-5:]} == {""}
            client.config_set("maxmemory", "0")
        await until(lambda: not trouble(proxy), "the end of the trouble")
        assert [await status_of(proxy, "r1", n) for n in range(2)] == [200, 400]
        assert losses(proxy)["state_note"] == 0


@AS_SET
async def test_a_key_of_another_type_costs_the_calls_that_it_belongs_to(settings, server, on_error, status):  # fmt: skip
    async with running(settings(on_error)) as proxy:
        assert await status_of(proxy, "r1") == 200
        with client_of(server) as client:
            (account,) = client.keys("tacho:*:t:*")
            client.set(account, "none of ours")
            found = [(await status_of(proxy, "r1", n), await status_of(proxy, f"other-{n}", n)) for n in range(5)]  # fmt: skip
            assert found == [(status, 200)] * 5
            assert await status_of(proxy, "r1") == status
            assert "answers with errors: WRONGTYPE" in trouble(proxy)
            client.delete(account)
        assert await status_of(proxy, "r1") == 200


@pytest.mark.parametrize("off_hours", [-1, 1])
async def test_a_replica_whose_clock_is_wrong_ends_nothing_and_counts_into_the_same_periods(settings, server, data_dir, origin, off_hours, monkeypatch):  # fmt: skip
    budget = {"name": "team", "per": "tenant", "period": "hour", "mode": "enforce", "steps": 4}  # fmt: skip
    policies = msgspec.convert(OFF | {"budgets": [budget]}, PolicySettings)
    right = msgspec.structs.replace(settings("allow"), policies=policies)
    wrong = msgspec.structs.replace(right, data_dir=str(data_dir.parent / "wrong"))
    off_us = off_hours * 3_600_000_000

    class WrongClock:
        def __init__(self) -> None:
            self.right = SteadyClock()

        def now_us(self) -> int:
            now_us: int = self.right.now_us() + off_us
            return now_us

    async with running(right) as one:
        assert await status_of(one, "r1") == 200
        monkeypatch.setattr("proxy.worker.SteadyClock", WrongClock)
        monkeypatch.setattr(redis_clock, "SteadyClock", WrongClock)
        monkeypatch.setattr(redis_clock, "_wall_us", lambda: WrongClock().now_us())
        async with running(wrong) as other:
            worker = other.worker
            assert worker is not None
            state: Any = worker._runs
            assert abs(state.line.clock.ahead_us + off_us) < 60_000_000
            assert [await status_of(other, f"s{n}", n) for n in range(2)] == [200, 200]
            await state.expired(state.time(WrongClock().now_us()))
            assert [await status_of(each, "r1", n) for each, n in ((one, 1), (other, 2), (one, 3))] == [200, 400, 400]  # fmt: skip
            assert one.worker is not None
            assert {run.run_id for run in one.worker._runs.runs()} == {"r1"}
            rows = await one.ended(2)
        assert [each.open.step_seq for each in rows][:2] == [1, 2]
