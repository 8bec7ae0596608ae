"""Runs are found in Redis as they are in memory, however many there are."""

from collections.abc import Iterator

import pytest

from proxy.identify.facts import Run
from proxy.state import State
from proxy.state.finding import Finding
from proxy.state.memory import MemoryState
from proxy.state.redis_asked import Script
from proxy.state.redis_place import place_of
from proxy.state.redis_state import RedisState, redis_state
from tests.helpers.redis import LONG, Ends, fake_redis, joined
from tests.helpers.runs.tracking import DAY_US

pytestmark = pytest.mark.blocking_allowed  # the server of Python shares this process

SEEDS = iter(range(1_000_000))
SPOIL = Script("return redis.call('HDEL', ARGV[1], 'turn')")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with fake_redis() as url:
        yield url


async def filled(state: State, count: int) -> None:
    for number in range(count):
        tenant = f"t{number % 3}"
        run = Run(tenant, f"run-{number // 2}", "root", "", f"s{number}", began_us=1, seen_us=1)  # fmt: skip
        await state.admit(run, [], is_step=True)


@pytest.mark.parametrize(
    "finding",
    [
        Finding("run-77"),
        Finding("run-7"),
        Finding("run-7", "t1"),
        Finding("run"),
        Finding("s11", of_session=True),
        Finding("nobody"),
    ],
)
async def test_the_same_is_found(server: str, finding: Finding):
    memory = MemoryState(10_000, DAY_US)
    await filled(memory, 200)
    async with joined(server) as line_of:
        shared = RedisState(next(SEEDS), line_of.line, 10_000, DAY_US)
        await filled(shared, 200)
        found = await shared.find(finding)
    here = await memory.find(finding)
    assert found is not None
    assert {(each.tenant, each.run_id) for each in found} == {(each.tenant, each.run_id) for each in here}  # fmt: skip
    assert len(found) == len(here)
    if found:
        assert (found[0].root_run_id, found[0].step_seq) == ("root", 1)


async def test_a_run_that_another_version_wrote_is_counted_and_not_found(server: str):
    alone = redis_state(next(SEEDS), place_of(server), 100, DAY_US, Ends(), LONG)
    alone.line._scripts = (*alone.line._scripts, SPOIL)
    await alone.open()
    try:
        await filled(alone, 2)
        args = [alone._names.prefix + b"r:" + alone._names.run("t0", "run-0")]
        assert await alone.line.ask(SPOIL, args) == 1
        found = await alone.find(Finding("run-0"))
        assert found is not None
        assert [each.tenant for each in found] == ["t1"]
        assert alone.kept.unwritable == 1
    finally:
        await alone.close()


async def test_without_redis_nobody_can_be_asked():
    alone = redis_state(1, place_of("redis://nowhere/0"), 10, DAY_US, Ends())
    assert await alone.find(Finding("a")) is None
