"""A worker whose runs are kept by Redis: what outlives it, what it counts, and that it serves without.

What lives here: one or two workers in this event loop on a Redis of Python. What does not: processes (`tests/end_to_end/test_rows_of_workers.py`),
the keeper (`tests/proxy/state`).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.config import RunSettings, Settings
from proxy.identify.changes import Push, Shelf
from proxy.identify.facts import Asked, Run
from proxy.record.checkpoint import read_checkpoint
from proxy.worker import Worker
from tests.helpers import sse
from tests.helpers.counted import attempts, counted, dropped
from tests.helpers.origin import RawOrigin, always
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.records import read_spool, until
from tests.helpers.redis import fake_redis
from tests.helpers.spooled import Writer, make_open
from tests.helpers.wire import request, response

pytestmark = pytest.mark.blocking_allowed  # the server of Python shares this process
JSON = (b"Content-Type", b"application/json")
CHAT = json.dumps(
    {
        "id": "chatcmpl-1",
        "model": "gpt-4o",
        "choices": [{"message": {"role": "assistant", "content": "Good day."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 1},
    }
).encode()  # fmt: skip
HELLO = {"role": "user", "content": "Hello."}
REPLY = {"role": "assistant", "content": "Good day."}


@pytest.fixture
def redis() -> Iterator[str]:
    with fake_redis() as url:
        yield url


def shared(data_dir: Path, origin: RawOrigin, redis: str, **changes: Any) -> Settings:
    return settings_for(data_dir, origin, state=redis, secret="one-for-all-replicas", state_wait_ms=10_000, **changes)  # fmt: skip


def worker_of(proxy: Proxy) -> Worker:
    assert proxy.worker is not None
    return proxy.worker


async def ask(proxy: Proxy, *messages: dict[str, str]) -> None:
    body = json.dumps({"model": "gpt-4o", "messages": messages}).encode()
    await proxy.call(sse.post(b"/openai/v1/chat/completions", body))


@pytest.fixture
def speaking(origin: RawOrigin) -> RawOrigin:
    origin.handler = always(response(CHAT, JSON))
    return origin


async def test_a_run_goes_on_in_the_next_life_without_being_written_down(speaking, data_dir, redis):  # fmt: skip
    settings = shared(data_dir, speaking, redis)
    async with running(settings) as proxy:
        await ask(proxy, HELLO)
        (first,) = await proxy.ended(1)
    saved = read_checkpoint(worker_of(proxy).spool.directory)
    assert saved
    assert msgspec.msgpack.decode(saved.state)["runs"] == []
    async with running(settings) as proxy:
        await ask(proxy, HELLO, REPLY, {"role": "user", "content": "Go on."})
        calls = [each.open for each in await proxy.ended(2)]
        # Counters are the worker's own, and go on as ever.
        assert sum(counted(worker_of(proxy).telemetry, "tacho_attempts_total").values()) == 2  # fmt: skip
    assert {each.run_id for each in calls} == {first.open.run_id}
    assert sorted(each.step_seq or 0 for each in calls) == [1, 2]


async def test_a_run_that_two_workers_served_ends_once_with_what_both_know(speaking, data_dir, tmp_path, redis):  # fmt: skip
    brief = RunSettings(idle_seconds=1.0)
    places = [data_dir, tmp_path / "other"]
    places[1].mkdir()
    one, two = (shared(place, speaking, redis, runs=brief) for place in places)

    def ends() -> list[Any]:
        return [each for place in places for each in read_spool(place)[1] if each.type == "run_end"]  # fmt: skip

    async with running(one) as first, running(two) as second:
        for proxy in (first, second, first):
            await proxy.call(request(b"/run/r1/t/x"))
        await until(lambda: bool(ends()), "the end of the run")
        await first.call(request(b"/run/r2/t/x"))
        await until(lambda: len(ends()) == 2, "the end of the other run")
        counts = [counted(worker_of(each).telemetry, "tacho_runs_total") for each in (first, second)]  # fmt: skip
    said = [json.loads(each.detail) for each in ends()]
    assert sorted(each.run_id for each in ends()) == ["r1", "r2"]
    assert sorted((each["steps"], each["attempts"]) for each in said) == [(1, 1), (3, 3)]  # fmt: skip
    assert sum(sum(each.values()) for each in counts) == 2


async def test_a_report_that_one_worker_took_is_in_the_end_that_another_writes(speaking, data_dir, redis):  # fmt: skip
    settings = shared(data_dir, speaking, redis, runs=RunSettings(idle_seconds=1.0))
    async with running(settings) as proxy:
        await proxy.call(request(b"/run/r1/t/x"))
        await proxy.call(sse.post(b"/run/r1/outcome", b'{"outcome":"success"}'))
        await until(lambda: any(each.type == "run_end" for each in read_spool(data_dir)[1]), "the end")  # fmt: skip
    (end,) = (each for each in read_spool(data_dir)[1] if each.type == "run_end")
    assert end.reason == "success"


async def test_a_call_that_died_with_its_worker_may_be_tried_again(speaking, data_dir, redis):  # fmt: skip
    settings = shared(data_dir, speaking, redis)
    asked = Asked("r9", "s9", 0, 1, 1)
    async with running(settings) as proxy:
        state = worker_of(proxy)._runs
        await state.admit(Run("default", "r9", "r9", seen_us=1 << 52), [Push(1, Shelf.CHAIN, asked)], is_step=True)  # fmt: skip
    writer = Writer(data_dir / "spool", "0" * 32, worker="w1")
    writer.write(make_open("s9", tenant="default", run_id="r9", step_id="s9"))
    writer.die()
    async with running(settings) as proxy:
        state = worker_of(proxy)._runs
        assert await state.drained(5)
        found: Any = await state.look([1])
    assert [each.state for each in found[1].asked] == ["failed"]


async def test_without_redis_a_worker_starts_serves_and_says_what_that_costs(speaking, data_dir):  # fmt: skip
    async with running(shared(data_dir, speaking, "redis://:s3cret@127.0.0.1:1/0")) as proxy:  # fmt: skip
        await ask(proxy, HELLO)
        await proxy.call(request(b"/run/r1/t/x"))
        calls = [each.open for each in await proxy.ended(2)]
        worker = worker_of(proxy)
        ok, health = worker.probes().health()
        status: Any = worker.probes().status()
        worker.probes().metrics()
        lost = dropped(worker)
    assert {(each.run_id, each.run_source, each.step_seq) for each in calls} == {("", "unmatched", None), ("r1", "explicit", None)}  # fmt: skip
    assert (ok, health) == (True, {"degraded": ["state: redis at 127.0.0.1:1/0 is not connected"]})  # fmt: skip
    assert status["state_trouble"] == "redis at 127.0.0.1:1/0 is not connected"
    assert lost["state_unknown"] == 2
    assert "s3cret" not in repr((status, health))


async def test_the_first_worker_takes_over_from_those_that_are_no_more(speaking, data_dir, redis):  # fmt: skip
    settings = shared(data_dir, speaking, redis, workers=2)
    async with running(settings, "w1") as proxy:
        await proxy.call(request(b"/run/r1/t/x"))
    async with running(settings) as proxy:
        assert attempts(worker_of(proxy)) == {}
    alone = msgspec.structs.replace(settings, workers=1)
    async with running(alone) as proxy:
        assert attempts(worker_of(proxy)) == {("t", "completed"): 1}
    async with running(settings, "w1") as proxy:  # and nobody counts it again
        assert attempts(worker_of(proxy)) == {}
