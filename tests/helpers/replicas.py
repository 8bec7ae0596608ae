"""Replicas as processes of their own, which claim at the same time from one Redis."""

import asyncio
import multiprocessing
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from proxy.state.redis_state import RedisState
from tests.helpers.redis import joined

_FORK: Any = multiprocessing.get_context("fork")
PATIENCE_SECONDS = 60
Work = Callable[[RedisState], Coroutine[Any, Any, Any]]


@dataclass
class Replica:
    """One process. It connects, waits for `go`, works, and tells what came of it; then it waits for its end."""

    process: Any
    pipe: Connection = field(repr=False)

    def ready(self) -> None:
        assert self.pipe.poll(PATIENCE_SECONDS)
        self.pipe.recv()

    def go(self) -> None:
        self.pipe.send(None)

    def result(self) -> Any:
        assert self.pipe.poll(PATIENCE_SECONDS)
        return self.pipe.recv()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


def _live(url: str, work: Work, pipe: Connection) -> None:
    async def run() -> None:
        async with joined(url) as state:
            pipe.send(None)
            pipe.recv()
            pipe.send(await work(state))
            await state.drained(PATIENCE_SECONDS)
            pipe.recv()

    asyncio.run(run())


def replica(url: str, work: Work) -> Replica:
    here, there = _FORK.Pipe()
    process = _FORK.Process(target=_live, args=(url, work, there))
    process.start()
    made = Replica(process, here)
    made.ready()
    return made


def in_parallel(url: str, work: Work, count: int = 2) -> list[Any]:
    """Let so many replicas do the same at once; give what came of each, all that they told having been taken."""
    made = [replica(url, work) for _ in range(count)]
    try:
        for each in made:
            each.go()
        found = [each.result() for each in made]
        for each in made:
            each.go()
            each.process.join(PATIENCE_SECONDS)
            assert each.process.exitcode == 0
        return found
    finally:
        for each in made:
            each.kill()
