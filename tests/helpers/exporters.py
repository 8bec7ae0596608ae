"""Destinations that keep or refuse what they get, and deliveries to them whose pauses take no time.

What lives here: `Sink`, `Bench`, and running a delivery until something holds. What does not: real destinations.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from exporters.delivery import Delivery, DeliveryOptions
from exporters.reader import Batch
from exporters.row_log import RowFrame, RowLog, RowLogOptions, TableRows
from tests.helpers.records import until
from tests.helpers.wire import WAIT_SECONDS


class Sink:
    """A destination that keeps what it gets, once per token, and fails as told."""

    def __init__(self, *failures: BaseException | None) -> None:
        self.failures = list(failures)
        self.stored: dict[str, Batch] = {}
        self.attempts: list[Batch] = []
        self.started = self.closed = 0

    async def start(self) -> None:
        self.started += 1

    async def export(self, batch: Batch) -> None:
        self.attempts.append(batch)
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        self.stored.setdefault(batch.token, batch)

    async def close(self) -> None:
        self.closed += 1

    def rows(self, table: str = "steps") -> int:
        return sum(
            batch.rows_count for batch in self.stored.values() if batch.table == table
        )


class Bench:
    """A row log and deliveries over it whose pauses take no time."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.log = RowLog(data_dir / "rows", RowLogOptions())
        self.pauses: list[float] = []
        self.now = 0.0

    def append(self, steps: int = 1, events: int = 0) -> None:
        tables = {
            "steps": TableRows(steps, b"s\n" * steps),
            "events": TableRows(events, b"e\n" * events),
        }
        self.log.append(
            RowFrame(
                {name: each for name, each in tables.items() if each.count},
                msgspec.Raw(b"\xc0"),
                5,
            ),
            0.0,
        )

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def delivery(self, sink, name: str = "sink", **options) -> Delivery:
        return Delivery(
            name,
            sink,
            self.data_dir,
            self.log.id,
            DeliveryOptions(**options),
            clock=lambda: self.now,
            sleep=self.sleep,
            jitter=lambda: 1.0,
        )


async def until_idle(*deliveries: Delivery) -> None:
    async with asyncio.timeout(WAIT_SECONDS), asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(each.run()) for each in deliveries]
        for each in deliveries:
            await each.idle.wait()
        for task in running:
            task.cancel()


async def run_while(delivery: Delivery, wanted: Callable[[], bool]) -> None:
    """Run until something holds, then kill the delivery."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(delivery.run())
        await until(wanted, "what this test waits for")
        task.cancel()
