"""The watch over the engine, with engines that misbehave."""

import asyncio

import pytest

from exporters.clickhouse.engine import EngineError
from exporters.clickhouse.watch import Heartbeat, MemoryGuard, resident_bytes
from tests.helpers.processes import until


class Silent:
    """An engine that answers wrong, or fails."""

    def __init__(self, failure: str) -> None:
        self._failure = failure

    def alive(self) -> bool:
        if self._failure:
            raise EngineError(self._failure)
        return False


@pytest.mark.parametrize("failure", ["", "Code: 1. no"])
async def test_an_engine_that_does_not_answer_right_is_not_healthy(
    failure: str,
) -> None:
    heartbeat = Heartbeat(Silent(failure))  # type: ignore[arg-type]
    async with asyncio.TaskGroup() as tasks:
        beating = tasks.create_task(heartbeat.run())
        await until(lambda: not heartbeat.health()[0], "bad health")
        beating.cancel()
    assert heartbeat.health()[1]["why"]


async def test_reads_are_cancelled_while_the_process_is_too_large_and_not_before() -> (
    None
):
    sizes = iter([100, 109, 111, 112, 105, 120])
    cancelled: list[int] = []
    guard = MemoryGuard(
        lambda: next(sizes), lambda: cancelled.append(1), growth_bytes=10
    )
    seen = []
    for _ in range(5):
        await guard.look()
        seen.append((len(cancelled), guard.cancelled))
    assert seen == [(0, 0), (1, 1), (2, 1), (2, 1), (3, 2)]


async def test_a_failing_cancellation_does_not_end_the_watch() -> None:
    def fail() -> None:
        raise EngineError("Code: 1. no")

    sizes = iter([0, 100])
    guard = MemoryGuard(lambda: next(sizes), fail, growth_bytes=10)
    await guard.look()
    assert guard.cancelled == 1


@pytest.mark.blocking_allowed
async def test_this_process_has_a_size() -> None:
    assert resident_bytes() > 1_000_000
