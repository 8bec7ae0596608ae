"""Several replicas on a real redis-server: what only a server shows."""

import asyncio
import os
import random
import signal
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from proxy.identify.changes import Change, Keep, Lead, Push, Shelf, Wait
from proxy.identify.facts import Asked, Fact, Link, Run, Session, Waits
from proxy.state import Plea
from proxy.state.redis_asked import Patience, Script
from proxy.state.redis_place import place_of
from proxy.state.redis_state import RedisState, redis_state
from tests.helpers.installation import free_port
from tests.helpers.redis import Ends, RedisServer, joined, real_redis
from tests.helpers.runs.families import FAMILIES
from tests.helpers.runs.generated import interleaved
from tests.helpers.runs.judging import judge
from tests.helpers.runs.tracking import DAY_US, SEED, Tracker, report
from tests.helpers.tls import AUTHORITY, CERTIFICATE, KEY

pytestmark = [
    pytest.mark.big,
    pytest.mark.blocking_allowed,
]  # servers are started and killed
STEP_US = 200_000
SHORT = Patience(connect_seconds=1.0, stalled_seconds=0.3)


@pytest.fixture
def server(tool, tmp_path: Path) -> Iterator[RedisServer]:
    with real_redis(tool("redis-server"), tmp_path) as started:
        yield started


def run_of(run_id: str, now_us: int = 1, **more: Any) -> Run:
    return Run("t", run_id, run_id, began_us=now_us, seen_us=now_us, **more)


async def number(state: RedisState, run_id: str = "a") -> int:
    run = await state.admit(run_of(run_id), [], is_step=True)
    assert run is not None
    return run.step_seq


async def test_a_thousand_parallel_steps_have_each_its_number(server):
    async with joined(server.url) as one, joined(server.url) as two:
        found = await asyncio.gather(*(number((one, two)[n % 2]) for n in range(1000)))
    assert sorted(found) == list(range(1, 1001))


async def test_each_end_is_given_to_one_replica(server):
    ends = (Ends(), Ends())
    async with joined(server.url, idle_us=10, ended=ends[0]) as one, joined(server.url, idle_us=10, ended=ends[1]) as two:  # fmt: skip
        await asyncio.gather(*(number((one, two)[n % 2], f"run-{n}") for n in range(500)))  # fmt: skip
        await asyncio.gather(*(each.expired(100) for each in (one, two) * 3))
        kept = {name.split(b":", 2)[2][:2] for name, _ in await names(one)}
        assert kept <= {b"p:", b"l:", b"x:"}  # what ended runs were, and the workers
        told = [await each.of(one, 100) for each in ends]
    given = [run.run_id for those in told for run, _ in those]
    assert len(given) == len(set(given)) == 500
    assert all(told)


async def test_the_names_of_keys_say_nothing_and_every_key_expires(server):
    async with joined(server.url) as state:
        asked = Asked("secret", "step", 0, 1, 1)
        changes: list[Change] = [Push(1, Shelf.CHAIN, asked), Lead(2, Shelf.LINK, Link("secret")), Wait(3, Waits("secret", 1, 1, ("f",))), Keep(4, Session("s", 1))]  # fmt: skip
        await state.admit(run_of("secret", agent="secret"), changes, is_step=True)
        found = await names(state)
    assert len(found) == 9  # one of them is the worker's
    assert not [name for name, _ in found if b"secret" in name or not name.startswith(b"tacho:")]  # fmt: skip
    assert all(seconds > 0 for _, seconds in found)


async def names(state: RedisState) -> list[tuple[bytes, int]]:
    script = Script("local f = {} for _, k in ipairs(redis.call('KEYS', '*')) do f[#f+1] = {k, redis.call('TTL', k)} end return f")  # fmt: skip
    return [tuple(each) for each in await state.line.ask(script, [])]


async def test_calls_go_on_while_redis_is_killed_and_recover(server):
    async with joined(server.url, patience=SHORT) as state:
        assert await number(state) == 1
        server.kill()
        longest, numbers = 0.0, []
        for _ in range(300):
            began = time.monotonic()
            numbers.append(await number(state))
            state.note("t", "a", [Lead(1, Shelf.LINK, Link("a"))], 2)
            longest = max(longest, time.monotonic() - began)
        assert set(numbers) == {0}
        assert longest < 0.5  # 50 ms, on a machine that does other things, too
        assert state.kept.uncounted == 300
        server.start()
        assert await state.line.connected(10)
        assert await number(state) == 1  # it kept nothing on disk
        assert state.line.counts.connects == 2


async def test_who_asks_a_redis_that_hangs_waits_a_bounded_time(server):
    async with joined(server.url, patience=SHORT) as state:
        assert await number(state) == 1
        assert server.process is not None
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            assert await asyncio.gather(*(number(state) for _ in range(50))) == [0] * 50
            assert time.monotonic() - began < 1.0
            deadline = time.monotonic() + 20
            while state.line.is_connected:
                assert await number(state) == 0
                await asyncio.sleep(0.01)
                assert time.monotonic() < deadline
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        assert await state.line.connected(10)
        deadline = time.monotonic() + 20
        while not await number(state):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)


async def test_scripts_that_redis_forgot_are_sent_again(server):
    async with joined(server.url) as state:
        assert await number(state) == 1
        await state.line.ask(Script("return redis.call('SET', 'x', ARGV[1])"), [b"1"])
        process = await asyncio.create_subprocess_exec("redis-cli", "-s", server.url.removeprefix("unix://"), "script", "flush", stdout=-3)  # fmt: skip
        assert await process.wait() == 0
        assert await number(state) == 2
        assert await number(state) == 3


async def test_in_a_storm_of_cancellations_nobody_gets_an_answer_of_another(server):
    dice = random.Random(7)
    async with joined(server.url) as state:
        for run in range(100):
            lead = Lead(run + 1, Shelf.LINK, Link(f"run-{run}"))
            await state.admit(run_of(f"run-{run}"), [lead], is_step=True)

        async def ask(run: int) -> bool:
            found = await state.look([run + 1])
            assert found == {run + 1: Link(f"run-{run}")}
            return True

        asked = []
        loop = asyncio.get_running_loop()
        for _ in range(6000):
            asked.append(loop.create_task(ask(dice.randrange(100))))
            if dice.random() < 0.3:
                asked[dice.randrange(max(0, len(asked) - 20), len(asked))].cancel()
            if dice.random() < 0.2:
                await asyncio.sleep(dice.choice((0, 0, 0.0003)))
        ended = await asyncio.gather(*asked, return_exceptions=True)
        kinds = {kind: sum(type(each) is kind for each in ended) for kind in (bool, asyncio.CancelledError)}  # fmt: skip
        assert sum(kinds.values()) == 6000
        assert min(kinds.values()) > 500
        assert state.line.counts.connects == 1


@pytest.mark.timeout(300)
@pytest.mark.parametrize("family", FAMILIES)
async def test_fifty_runs_at_once_are_found_through_two_replicas_with_two_questions_a_call(server, family):  # fmt: skip
    dice = random.Random(3)
    async with joined(server.url) as first, joined(server.url) as second:
        keepers = [Timed(SEED, each) for each in (first, second)]
        replicas = [Tracker(name=name, shared=each) for name, each in zip("ab", keepers, strict=True)]  # fmt: skip
        found = []
        for place, made in enumerate(interleaved(family, 5, 50, 40)):
            now, chosen = place * STEP_US, dice.randrange(2)
            replica = replicas[chosen]
            begun = await replica.begun(made.body, now, signature=1, **dict(made.hints))
            replica.end(begun, now + STEP_US // 2, made.state, made.text, made.calls, made.response_id)  # fmt: skip
            assert begun.run is not None
            assert await keepers[chosen].drained(5)  # an agent takes longer
            found.append((made, begun.run.run_id, begun.decision.retry_layer))
        losses = [each.losses() for each in keepers]
        questions = sum(len(each) for keeper in keepers for each in keeper.seconds.values())  # fmt: skip
    precision, recall, scores = judge(found)
    report(family, len(found), "calls", round(precision, 4), round(recall, 4), scores)
    assert precision >= 0.99
    assert recall >= 0.95
    raced = sum(each.kept.raced for each in keepers)
    assert questions == 2 * (len(found) + raced)
    assert raced < len(found) / 100
    assert {sum(each.values()) for each in losses} == {0}


async def test_two_replicas_never_make_the_same_call_go_on_as_one_run(server):
    raced = 0
    async with joined(server.url) as one, joined(server.url) as two:
        replicas = [Tracker(name="a", shared=one), Tracker(name="b", shared=two)]
        for seed in range(40):
            calls = list(interleaved("chat", seed, 1, 9, ("branches",)))
            trunk = [each for each in calls if not each.run.endswith("branch")]
            branch = next(each for each in calls if each.run.endswith("branch"))
            fork = next(n for n, each in enumerate(calls) if each is branch) - 1
            for place, made in enumerate(trunk[:fork]):
                begun = await replicas[place % 2].begun(made.body, place)
                replicas[place % 2].end(begun, place, "done", made.text, made.calls)
                assert await (one, two)[place % 2].drained(5)
            both = await asyncio.gather(replicas[0].begun(trunk[fork].body, 99), replicas[1].begun(branch.body, 99))  # fmt: skip
            runs = [each.run for each in both if each.run is not None]
            assert len({run.run_id for run in runs}) == 2
            assert len({run.root_run_id for run in runs}) == 1
        raced = one.kept.raced + two.kept.raced
    assert raced > 0


async def test_the_connection_may_be_encrypted(tool, tmp_path: Path):
    port = free_port()
    options = ["--tls-port", str(port), "--bind", "127.0.0.1", "--tls-cert-file", CERTIFICATE, "--tls-key-file", KEY,
               "--tls-auth-clients", "no"]  # fmt: skip
    with real_redis(tool("redis-server"), tmp_path, *options):
        url = f"rediss://127.0.0.1:{port}/0"
        async with joined(f"{url}?ssl_ca_certs={AUTHORITY}") as state:
            assert await number(state) == 1
        state = redis_state(
            SEED, place_of(url), 10, 10, Ends()
        )  # knows no such authority
        running = asyncio.get_running_loop().create_task(state.line.run())
        assert not await state.line.connected(0.3)
        running.cancel()
        await asyncio.wait([running])


class Timed(RedisState):
    """Measures how long who asks waits."""

    def __init__(self, seed: int, state: RedisState) -> None:
        super().__init__(seed, state.line, 1000, DAY_US)
        self.seconds: dict[str, list[float]] = {"look": [], "admit": []}

    async def look(self, keys: Sequence[int]) -> Mapping[int, Fact] | None:
        began = time.perf_counter()
        found = await super().look(keys)
        self.seconds["look"].append(time.perf_counter() - began)
        return found

    async def admit(self, run: Run, changes: Sequence[Change], *, is_step: bool, step_id: str = "", plea: Plea | None = None) -> Run | None:  # fmt: skip
        began = time.perf_counter()
        admitted = await super().admit(
            run, changes, is_step=is_step, step_id=step_id, plea=plea
        )
        self.seconds["admit"].append(time.perf_counter() - began)
        return admitted


async def track(tracker: Tracker) -> float:
    """Give the processor time of a call in microseconds, that of making it up included."""
    began, calls = time.process_time(), 0
    for now, made in enumerate(interleaved("chat", 4, 12, 40, ("plain", "react", "window", "compacted"))):  # fmt: skip
        begun = await tracker.begun(made.body, now)
        tracker.end(begun, now, made.state, made.text, made.calls, made.response_id)
        calls += 1
    return 1e6 * (time.process_time() - began) / calls


@pytest.mark.timeout(120)
async def test_an_admission_takes_less_than_400_microseconds(tool, tmp_path: Path):
    port = free_port()
    with real_redis(tool("redis-server"), tmp_path, "--port", str(port), "--bind", "127.0.0.1"):  # fmt: skip
        async with joined(f"redis://127.0.0.1:{port}/0") as state:
            medians = []
            for turn in range(3):  # the machine may be busy: the best of three
                timed = Timed(turn, state)
                shared = await track(Tracker(shared=timed))
                alone = await track(Tracker())
                look, admit = (statistics.median(timed.seconds[each]) * 1e6 for each in ("look", "admit"))  # fmt: skip
                report(f"look {look:.0f} us, admit {admit:.0f} us; CPU of a call {shared:.0f} us, in memory {alone:.0f} us")  # fmt: skip
                medians.append(admit)
            assert min(medians) < 400


async def test_a_password_is_used_and_never_logged(tool, tmp_path: Path, caplog):
    with real_redis(tool("redis-server"), tmp_path, "--requirepass", "secret") as server:  # fmt: skip
        async with joined(server.url.replace("unix://", "unix://:secret@")) as state:
            assert await number(state) == 1
        state = redis_state(SEED, place_of(server.url.replace("unix://", "unix://:wrong-secret@")), 10, 10, Ends())  # fmt: skip
        running = asyncio.get_running_loop().create_task(state.line.run())
        assert not await state.line.connected(0.3)
        running.cancel()
        await asyncio.wait([running])
    told = [vars(each) for each in caplog.records]
    assert [each["detail"]["error"] for each in told] == ["AuthenticationError"]
    assert "secret" not in repr(told)
