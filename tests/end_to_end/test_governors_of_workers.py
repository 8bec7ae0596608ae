"""Caps and breakers through two workers, and through two replicas, of the whole product on one redis-server, also where a worker is killed.

What lives here: how many calls pass, what they spend, and what is held afterwards. What does not: the keeper (`tests/proxy/state`), one worker
(`test_governors.py`).
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.end_to_end.test_governors import COST_NANO, OFF, answer, ask
from tests.helpers.crowds import BROKEN, Stand, standing, until
from tests.helpers.records import read_spool
from tests.helpers.redis import RedisServer, real_redis
from tests.helpers.runs.tracking import report

pytestmark = [pytest.mark.big, pytest.mark.timeout(300), pytest.mark.blocking_allowed]
NO_CAPS: dict[str, Any] = {"steps": None, "tool_calls": None, "attempts": None, "cost_usd": None, "turn": {}}  # fmt: skip


class Standing(Protocol):
    def __call__(self, **policies: Any) -> AbstractAsyncContextManager[Stand]: ...


@pytest.fixture
def server(tool, tmp_path: Path) -> Iterator[RedisServer]:
    place = tmp_path / "redis"
    place.mkdir()
    with real_redis(tool("redis-server"), place) as started:
        yield started


@pytest.fixture(params=["workers", "replicas"])
def stand(request: pytest.FixtureRequest, tmp_path: Path, server: RedisServer) -> Standing:  # fmt: skip
    def make(**policies: Any) -> AbstractAsyncContextManager[Stand]:
        return standing(tmp_path, request.param, server, answer(), policies=OFF | policies)  # fmt: skip

    return make


def capped(**caps: Any) -> dict[str, Any]:
    return {"caps": NO_CAPS | {"mode": "enforce"} | caps}


@pytest.fixture(params=[False, True], ids=["", "killed"])
def dies(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


async def test_of_a_hundred_calls_at_once_against_ten_steps_ten_pass(stand: Standing, dies: bool):  # fmt: skip
    async with stand(**capped(steps=10)) as there:
        upstream = there.upstream
        upstream.hold()
        calls = [there.shot(ask("r1", n)) for n in range(100)]
        await until(lambda: upstream.arrived == 10 and sum(each.done() for each in calls) == 90, "ten calls under way")  # fmt: skip
        if dies:
            await there.kill()
        upstream.release()
        found = Counter(await asyncio.gather(*calls))
        assert found[400] == 90
        assert found[200] + found[BROKEN] == 10
        assert dies or not found[BROKEN]
        # Others than before: to try again what died is no new step, and may pass.
        assert Counter([await there.shot(ask("r1", 100 + n)) for n in range(20)]) == {
            400: 20
        }
        assert upstream.arrived == 10
        report(f"{found}")


async def test_a_dollar_cap_worth_ten_calls_holds_within_its_bound_and_is_exact(stand: Standing, dies: bool):  # fmt: skip
    limit = 10 * COST_NANO
    async with stand(**capped(cost_usd=limit / 1e9)) as there:
        upstream = there.upstream
        upstream.hold()
        calls = [there.shot(ask("r1", n)) for n in range(100)]
        await until(lambda: upstream.arrived + sum(each.done() for each in calls) == 100, "all calls judged")  # fmt: skip
        (account,) = await asyncio.to_thread(lambda: list(there.spent().values()))
        under_way = upstream.arrived
        each_reserves = account[1] // under_way
        assert account == (0, under_way * each_reserves)
        assert account[1] <= limit
        if dies:
            await there.kill()
        upstream.release()
        found = Counter(await asyncio.gather(*calls))
        assert found[503] == 100 - under_way
        died = found[BROKEN]
        assert dies or not died
        spent = (under_way - died) * COST_NANO + died * each_reserves
        # Nobody comes back for what the dead one held: half a minute later it is settled at what was reserved.
        assert list((await there.settled()).values()) == [spent]
        status = 200
        while status == 200:
            status = await there.shot(ask("r1", 1))
            spent += COST_NANO if status == 200 else 0
        assert status == 400
        assert list((await there.settled()).values()) == [spent]
        assert limit <= spent <= limit + max(under_way * (COST_NANO - each_reserves), COST_NANO - 1)  # fmt: skip
        report(f"limit {limit}, spent {spent}, {under_way} at once reserved {each_reserves} each, {died} died")  # fmt: skip


async def test_of_ten_thousand_calls_at_99_percent_of_caps_none_is_refused(stand: Standing, dies: bool):  # fmt: skip
    calls, at_once, room = 10_000, 40, 10_101
    caps = {"steps": room, "attempts": room, "cost_usd": room * COST_NANO / 1e9, "tokens": room * 2000}  # fmt: skip
    found: Counter[int] = Counter()
    async with stand(**capped(**caps)) as there:
        numbers = itertools.count()
        agents = [asyncio.create_task(there.stream(numbers, calls, lambda n: ask("r1", n), lambda status: found.update([status]))) for _ in range(at_once)]  # fmt: skip
        if dies:
            await until(lambda: found[200] > calls // 3, "calls to be under way")
            await there.kill()
        await asyncio.gather(*agents)
        assert found.keys() <= {200, BROKEN}
        assert found[BROKEN] <= (2 * at_once if dies else 0)
        spent = sorted((await there.settled()).values())
        report(f"{found}, spent {spent}")
    tried = [calls, calls, calls * 2000, calls * COST_NANO]
    if not dies:
        assert spent == tried
    # What died was counted when it was admitted, or was never admitted; and nothing was settled twice.
    for each, most in zip(spent, tried, strict=True):
        assert most * found[200] // calls <= each <= most


@pytest.fixture
async def agents() -> AsyncIterator["Agents"]:
    made = Agents()
    yield made
    await made.stop()


class Agents:
    """Agents that call again and again, each as soon as it has an answer and a moment has passed."""

    def __init__(self) -> None:
        self.heard: Counter[int] = Counter()
        self.last: dict[int, int] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, there: Stand, count: int) -> None:
        self._tasks = [asyncio.create_task(self._live(there, n)) for n in range(count)]

    async def _live(self, there: Stand, number: int) -> None:
        while True:
            status = await there.shot(ask(f"r{number}", number))
            self.heard[status] += 1
            self.last[number] = status
            await asyncio.sleep(0.5)

    async def stop(self) -> None:
        for each in self._tasks:
            each.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []


PROBES = 6


async def test_an_upstream_that_fails_is_left_alone_and_asked_again_by_one_probe_of_all(stand: Standing, agents: Agents):  # fmt: skip
    breaker = {"mode": "enforce", "consecutive_failures": 5, "open_seconds": 1, "max_open_seconds": 1, "jitter_percent": 0, "max_probes": 1}  # fmt: skip
    async with stand(breaker=breaker) as there:
        upstream = there.upstream
        upstream.fails = True
        assert [await there.shot(ask("r", n)) for n in range(5)] == [500] * 5
        agents.start(there, 200)
        await until(lambda: upstream.failed == 5 + PROBES, "some probes")
        upstream.fails = False
        await until(lambda: set(agents.last.values()) == {200}, "answers for all")
        await agents.stop()
        heard = agents.heard
        assert await there.shot(ask("r", 1)) == 200
        # The worker that did not turn it knows by its next beat.
        await there.at_rest()
        # Nothing but one probe at a time was sent, by however many workers, and the first one that succeeded ended it.
        assert heard[500] == upstream.failed - 5 >= PROBES
        places = [each.data_dir for each in there.installed]
        assert heard.keys() <= {200, 500, 503}
        report(f"{heard}, probes {upstream.failed - 5}")
    events = sorted((each for place in places for each in read_spool(place)[1]), key=lambda each: each.ts_us)  # fmt: skip
    turned = [each.action for each in events if each.type == "breaker" and each.action in ("open", "half_open", "closed")]  # fmt: skip
    probes = heard[500]
    assert Counter(turned) == {"open": 1 + probes, "half_open": probes + 1, "closed": 1}
    assert {each.route for each in events if each.action == "half_open"} == {"openai"}
