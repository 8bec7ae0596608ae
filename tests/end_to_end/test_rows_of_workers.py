"""Several workers and replicas that share what they know through Redis, through the whole product: real agents' loops, and what dies.

What lives here: what `SELECT` and the counters say. What does not: the keeper itself (`tests/proxy/state`).
"""

import json
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.simulate.server import Provider
from tests.helpers.balancer import balanced
from tests.helpers.installation import Installation, await_that, product_at
from tests.helpers.loops import LOOPS, PLAN, SAID, Loop
from tests.helpers.redis import RedisServer, real_redis
from tests.helpers.simulated import simulated

pytestmark = [pytest.mark.big, pytest.mark.timeout(300)]
STEPS = 4
SECRET = "one-for-all-replicas"
CALLS = "SELECT run_id, run_source, step_seq, attempt, retry_layer, outcome FROM steps ORDER BY ts"
ENDS = "SELECT run_id, value, detail FROM events WHERE type = 'run_end' ORDER BY run_id"


@pytest.fixture
def redis(tool, tmp_path: Path) -> Iterator[RedisServer]:
    place = tmp_path / "redis"
    place.mkdir()
    with real_redis(tool("redis-server"), place) as server:
        yield server


@pytest.fixture
def provider() -> Iterator[Provider]:
    with simulated() as provider:
        yield provider


@contextmanager
def product(place: Path, provider: Provider, redis: RedisServer, **settings: Any) -> Iterator[Installation]:  # fmt: skip
    place.mkdir()
    # These are about what is shared, not about time: 50 ms on a busy machine are none.
    shared = {"state": redis.url, "secret": SECRET, "state_wait_ms": 10_000}
    with product_at(place, provider.url, **shared, **settings) as found:
        yield found


def work(root: str, times: int = 1, streams: Sequence[bool] = (False, True)) -> int:
    """Let agents of every family work at the same time; give how many."""
    said: list[str] = []
    agents = [
        threading.Thread(target=lambda loop=loop, stream=stream: said.append(loop(root, PLAN, stream)))
        for loop in LOOPS.values()
        for stream in streams
        for _ in range(times)
    ]  # fmt: skip
    for agent in agents:
        agent.start()
    for agent in agents:
        agent.join()
    assert said == [SAID] * len(agents)
    return len(agents)


def rows(where: Sequence[Installation], statement: str, count: int) -> list[dict[str, Any]]:  # fmt: skip
    def found() -> list[dict[str, Any]]:
        every = [row for each in where for row in each.rows(statement)]
        return every if len(every) >= count else []

    return await_that(found, f"{count} rows")


def runs(calls: list[dict[str, Any]]) -> dict[str, list[int]]:
    by_run: dict[str, list[int]] = {}
    for each in calls:
        by_run.setdefault(each["run_id"], []).append(each["step_seq"])
    return {run: sorted(steps) for run, steps in by_run.items()}


def test_loops_through_two_workers_are_one_run_each_and_each_ends_once(tmp_path, provider, redis):  # fmt: skip
    with product(tmp_path / "a", provider, redis, workers=2, runs={"idle_seconds": 8}) as installed:  # fmt: skip
        with balanced([installed.port]) as root:
            count = work(root)
        calls = rows([installed], CALLS, count * STEPS)
        ends = rows([installed], ENDS, count)
        counters = await_that(lambda: installed.counters("tacho_runs_total", "outcome"), "the counters")  # fmt: skip
        took = {name: installed.asked(name)["incarnation"] for name in ("w0", "w1")}
        installed.running("w0", "w1")
        assert installed.rows(ENDS) == ends
    assert list(runs(calls).values()) == [[1, 2, 3, 4]] * count
    assert {each["attempt"] for each in calls} == {0}
    assert sorted(end["run_id"] for end in ends) == sorted(runs(calls))
    details = [json.loads(end["detail"]) for end in ends]
    assert {(each["steps"], each["attempts"], each["retries"]) for each in details} == {(STEPS, STEPS, 0)}  # fmt: skip
    assert {each["outcome"] for each in details} == {"ended"}
    assert all(each["tokens"] > 0 for each in details)
    assert all(float(end["value"]) > 0 for end in ends)
    assert counters == {"ended": count}
    assert len(set(took.values())) == 2


def test_loops_through_two_replicas_in_turn_are_one_run_each(tmp_path, provider, redis):
    with ExitStack() as both:
        replicas = [both.enter_context(product(tmp_path / name, provider, redis, exporters={"clickhouse": {"url": "embedded"}})) for name in "ab"]  # fmt: skip
        with balanced([each.port for each in replicas]) as root:
            count = work(root)
        calls = rows(replicas, CALLS, count * STEPS)
        served = [len(each.rows(CALLS)) for each in replicas]
        lost = [each.counters("tacho_dropped_total", "reason") for each in replicas]
    assert list(runs(calls).values()) == [[1, 2, 3, 4]] * count
    assert min(served) == max(served)
    assert lost == [Counter(), Counter()]


def test_a_killed_worker_is_missed_by_no_run(tmp_path, provider, redis):
    with product(tmp_path / "a", provider, redis, workers=2) as installed:
        root = f"http://127.0.0.1:{installed.port}"
        loop = Loop(root)
        for victim in ("w0", "w1", "w0"):
            loop.step()
            installed.kill(victim)  # nobody waits until it is back
        assert loop.step() == SAID
        calls = rows([installed], CALLS, STEPS)
    assert list(runs(calls).values()) == [[1, 2, 3, 4]]


def test_a_call_that_dies_with_its_worker_is_tried_again_as_the_same_step(tmp_path, provider, redis):  # fmt: skip
    # Of equal calls at the same time nobody could say which one it was that died.
    count = 6
    slow = [f"You are number {n}. " + PLAN.replace("<<plan:", "<<plan: slow 5 times 1 |") for n in range(count)]  # fmt: skip
    with product(tmp_path / "a", provider, redis, workers=2) as installed:
        said: list[str] = []
        with balanced([installed.port]) as root:
            agents = [threading.Thread(target=lambda plan=plan: said.append(LOOPS["chat"](root, plan, False))) for plan in slow]  # fmt: skip
            for agent in agents:
                agent.start()
            await_that(lambda: installed.status()["inflight"] == count, "calls under way")  # fmt: skip
            victim = max("w0", "w1", key=lambda name: installed.asked(name)["inflight"])
            installed.kill(victim)
            for agent in agents:
                agent.join()
        assert said == [SAID] * count
        calls = rows([installed], CALLS, count * STEPS + count // 2)
    found = runs(calls)
    assert len(found) == count
    assert {tuple(sorted(set(steps))) for steps in found.values()} == {(1, 2, 3, 4)}
    crashed = [each for each in calls if each["outcome"] == "proxy_crashed"]
    again = [each for each in calls if each["attempt"]]
    assert len(again) == len(crashed) >= count // 2
    assert {each["retry_layer"] for each in again} == {"sdk"}


def test_without_redis_agents_get_their_answers_and_what_it_cost_is_counted(tmp_path, provider, redis):  # fmt: skip
    with product(tmp_path / "a", provider, redis, workers=2) as installed:
        with balanced([installed.port]) as root:
            work(root, streams=(True,))
            redis.kill()
            await_that(lambda: {"w0: state", "w1: state"} <= set(installed.status()["degraded"]), "the trouble to be named")  # fmt: skip
            alone = work(root)
            lost = installed.counters("tacho_dropped_total", "reason")
            assert lost["state_unknown"] == alone * STEPS
            assert json.loads(installed.admin("/healthz")[1])["status"] == "degraded"
            redis.start()
            await_that(lambda: not installed.status()["degraded"], "the end of the trouble")  # fmt: skip
            before = len(LOOPS) * STEPS + alone * STEPS
            again = work(root, streams=(False,))
            calls = rows([installed], CALLS, before + again * STEPS)
            assert installed.counters("tacho_dropped_total", "reason")["state_unknown"] == lost["state_unknown"]  # fmt: skip
        said = installed.said()
    without = [each for each in calls if each["step_seq"] is None]
    assert len(without) == alone * STEPS
    # `responses` names its predecessor, which gives a run without anybody's memory.
    assert {each["run_source"] for each in without} == {"unmatched", "response_id"}
    known = runs([each for each in calls if each["step_seq"] is not None])
    assert list(known.values()) == [[1, 2, 3, 4]] * (len(LOOPS) + again)
    told = [line for line in said.splitlines() if "redis_unreachable" in line]
    assert 2 <= len(told) <= 4
