"""The exporter killed between the store's commit and the write of its own cursor (check D02), against the real store.

What a kill at a random moment seldom hits is made to happen here: the destination stores a batch, and then the process "dies".
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from exporters.clickhouse.sink import ClickHouseExporter
from exporters.delivery import Batch, Delivery, DeliveryOptions
from exporters.enrich.rows import encode_rows, event_row, step_rows
from exporters.row_log import RowFrame, RowLog, RowLogOptions, TableRows
from proxy.config import Settings, ensure_data_dir
from proxy.record.codec import Event
from tests.helpers.exporters import until_idle
from tests.helpers.spooled import T0, make_close, make_end, make_open
from tests.helpers.store import StoreProcess, open_store

CRASHES = [pytest.param(6, id="short"), pytest.param(50, id="long", marks=pytest.mark.big)]  # fmt: skip
ROWS_A_FRAME = 7
pytestmark = [
    pytest.mark.drill,
    pytest.mark.timeout(300),
    pytest.mark.blocking_allowed,  # the test asks the store itself and writes the row log; nothing else runs meanwhile
]


class Death(BaseException):
    """The process is gone: nothing of ours may react to it."""


class DyingExporter:
    """Stores each batch, and dies with the one that it is told to, after the commit."""

    def __init__(self, inner: ClickHouseExporter, last: int) -> None:
        self.inner = inner
        self.left = last

    async def start(self) -> None:
        await self.inner.start()

    async def export(self, batch: Batch) -> None:
        await self.inner.export(batch)
        self.left -= 1
        if self.left == 0:
            raise Death

    async def close(self) -> None:
        await self.inner.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StoreProcess]:
    store = open_store(tmp_path / "data")
    yield store
    store.end()


@pytest.mark.parametrize("crashes", CRASHES)
async def test_what_was_committed_before_a_crash_is_not_stored_twice(
    store: StoreProcess, capsys: pytest.CaptureFixture[str], crashes: int
) -> None:
    settings = Settings(data_dir=str(store.data_dir))
    secrets = ensure_data_dir(settings)
    log = RowLog(store.data_dir / "rows", RowLogOptions())
    numbers = itertools.count()

    def delivery(last: int) -> Delivery:
        exporter = DyingExporter(ClickHouseExporter(settings, secrets), last)
        options = DeliveryOptions(linger_seconds=0.0)
        return Delivery("clickhouse", exporter, store.data_dir, log.id, options)

    frames = 0
    for crash in range(crashes):
        frames += append(log, numbers, 1 + crash % 3)
        with pytest.raises(
            Death
        ):  # by turns after the first batch of a range (events) and after the second (steps)
            await delivery(last=1 + crash % 2).run()
        frames += append(
            log, numbers, 1
        )  # the range that is sent again must not grow by this
    await until_idle(delivery(last=-1))
    log.close()
    rows = frames * ROWS_A_FRAME
    assert counts(store, "steps", "attempt_id") == (rows, rows)
    assert counts(store, "events", "event_id") == (frames, frames)
    with capsys.disabled():
        print(f"\ncrashed at commit: kills={crashes} rows={rows} lost=0 doubled=0", end="")  # noqa: T201  # fmt: skip


def append(log: RowLog, numbers: Iterator[int], frames: int) -> int:
    """Write rows as the enricher does, several steps and an event a frame."""
    for _ in range(frames):
        first = next(numbers)
        names = [f"{first}-{each}" for each in range(ROWS_A_FRAME)]
        rows = [row for name in names for row in step_rows(make_open(name), make_close(name), make_end(name))]  # fmt: skip
        event = event_row(Event(event_id=f"event-{first}", ts_us=T0, type="gap"))
        tables = {
            "steps": TableRows(len(rows), encode_rows(rows)),
            "events": TableRows(1, encode_rows([event])),
        }
        log.append(RowFrame(tables, msgspec.Raw(b"\xc0"), T0), 0.0)
    return frames


def counts(store: StoreProcess, table: str, key: str) -> tuple[int, int]:
    """Give how many rows there are, and how many different ones."""
    answer = store.ask(f"SELECT count(), uniqExact({key}) FROM tacho.{table}")
    assert answer.status == 200, answer.text
    total, different = answer.text.split()
    return int(total), int(different)
