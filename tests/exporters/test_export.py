"""The whole way from records to files, over one data directory."""

import asyncio
import errno
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from exporters.delivery import DeliveryOptions
from exporters.export import Export
from exporters.jsonl import JsonlExporter, JsonlOptions
from exporters.reader import Batch
from exporters.row_log import RowLogOptions
from proxy.errors import StartError
from proxy.record.segment_writer import segment_path
from proxy.telemetry import Family
from tests.helpers import records
from tests.helpers.spooled import T0, Writer, make_close, make_end, make_open
from tests.helpers.wire import WAIT_SECONDS

pytestmark = pytest.mark.blocking_allowed  # records are written in the test's own loop


class Refusing:
    """A store that is down."""

    async def start(self) -> None:
        return

    async def export(self, batch: Batch) -> None:
        raise ConnectionError("down")

    async def close(self) -> None:
        return


def make_export(data_dir: Path, **exporters) -> Export:
    chosen = exporters or {"jsonl": JsonlExporter(JsonlOptions(data_dir / "out"))}
    return Export(
        data_dir, chosen, RowLogOptions(), clock=time.monotonic, now_us=lambda: T0
    )


def lines(data_dir: Path) -> list[str]:
    path = data_dir / "out" / "steps.jsonl"
    return (
        [
            msgspec.json.decode(line)["attempt_id"]
            for line in path.read_bytes().splitlines()
        ]
        if path.exists()
        else []
    )


async def until(wanted: Callable[[], object]) -> None:
    await records.until(lambda: bool(wanted()), "what this test waits for")


async def test_row_is_at_its_destination_well_within_two_seconds(tmp_path, monkeypatch):
    """Check what it waits for on its way; how long the work itself takes is the machine's affair."""
    pauses: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float, result: None = None) -> None:
        task = asyncio.current_task()
        if task is not None and task.get_name().startswith(("enrich", "deliver-")):
            pauses.append(seconds)
        await real(seconds, result)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    writer = Writer(tmp_path / "spool", "a")
    export = make_export(tmp_path)
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(export.run(stopping))
        await until(lambda: export.status()["caught_up"] and pauses)
        writer.write(make_open("1"), make_close("1"), make_end("1"))
        await until(lambda: lines(tmp_path) == ["1"])
        stopping.set()
    assert max(pauses) + DeliveryOptions().linger_seconds < 1.5
    assert export.status()["rows_made"] == 1
    assert export.health() == (True, {"error": "", "degraded": []})
    writer.die()


async def test_stop_delivers_what_is_there_before_it_ends(tmp_path):
    writer = Writer(tmp_path / "spool", "a")
    stopping = asyncio.Event()
    stopping.set()
    writer.write(make_open("1"), make_close("1"), make_end("1"))
    await make_export(tmp_path).run(stopping)
    assert lines(tmp_path) == ["1"]
    writer.die()


async def test_drain_ends_by_itself_when_everything_is_everywhere(tmp_path):
    writer, living = Writer(tmp_path / "spool", "a"), Writer(tmp_path / "spool", "b")
    writer.write(make_open("1"), make_close("1"), make_end("1"), make_open("2"))
    living.write(make_open("under way"), make_open("3"), make_close("3"))
    writer.die()
    async with asyncio.timeout(WAIT_SECONDS):
        await make_export(tmp_path).drain(asyncio.Event())
    assert sorted(lines(tmp_path)) == ["1", "2", "3"]
    living.die()


async def test_store_that_is_down_stops_nothing_and_shows(tmp_path, monkeypatch):
    monkeypatch.setattr("exporters.export.FLUSH_SECONDS", 0.05)
    writer = Writer(tmp_path / "spool", "a")
    writer.write(make_open("1"), make_close("1"), make_end("1"))
    good = JsonlExporter(JsonlOptions(tmp_path / "out"))
    export = make_export(tmp_path, store=Refusing(), jsonl=good)
    export._now_us = lambda: T0 + 3_000_000
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(export.run(stopping))
        await until(lambda: lines(tmp_path) == ["1"])
        await until(
            lambda: (
                [
                    each["lag_seconds"]
                    for each in export.status()["destinations"].values()
                ]
                == [3.0, 0.0]
            )
        )
        await until(lambda: export.status()["destinations"]["store"]["last_error"])
        ok, detail = export.health()
        families = msgspec.msgpack.decode(export.metrics(), type=list[Family])
        stopping.set()
    assert (ok, detail["degraded"]) == (True, ["store: ConnectionError: down"])
    lags = {
        each.labels: each.value
        for family in families
        if family.name.endswith("lag_seconds")
        for each in family.samples
    }
    assert lags == {("store",): 3.0, ("jsonl",): 0.0}
    writer.die()


async def test_row_log_without_room_is_unhealthy_until_there_is(tmp_path, monkeypatch):
    monkeypatch.setattr("exporters.export.RETRY_SECONDS", 0.02)
    writer = Writer(tmp_path / "spool", "a")
    export = make_export(tmp_path)
    real = export._row_log.append

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(export._row_log, "append", full)
    writer.write(make_open("1"), make_close("1"), make_end("1"))
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(export.run(stopping))
        await until(lambda: not export.health()[0])
        assert "No space" in export.status()["error"]
        monkeypatch.setattr(export._row_log, "append", real)
        await until(lambda: lines(tmp_path) == ["1"])
        assert export.health()[0]
        stopping.set()
    writer.die()


async def test_one_data_directory_has_one_exporter(tmp_path):
    export = make_export(tmp_path)
    with pytest.raises(StartError, match="another exporter"):
        make_export(tmp_path)
    stopping = asyncio.Event()
    stopping.set()
    await export.run(stopping)


async def test_damaged_cursor_refuses_to_start_and_unlocks(tmp_path):
    (tmp_path / "rows" / "cursors").mkdir(parents=True)
    (tmp_path / "rows" / "cursors" / "jsonl").write_text("{")
    for _ in range(2):
        with pytest.raises(StartError, match="cursor"):
            make_export(tmp_path)


async def test_damage_and_dead_letters_show_in_metrics_and_health(tmp_path):
    (tmp_path / "dead").mkdir()
    (tmp_path / "dead" / "x.jsonl").write_text("")
    writer = Writer(tmp_path / "spool", "a")
    writer.write(make_open("1"))
    writer.die()
    with segment_path(writer.directory, 1).open("ab") as file:
        file.write(b"torn")
    export = make_export(tmp_path)
    async with asyncio.timeout(WAIT_SECONDS):
        await export.drain(asyncio.Event())
    assert export.health()[1]["degraded"] == ["dead letters"]
    assert export.status()["skipped"]["torn"] == 1
    families = msgspec.msgpack.decode(export.metrics(), type=list[Family])
    (dropped,) = [family for family in families if family.name == "tacho_dropped_total"]
    assert [(each.labels, each.value) for each in dropped.samples] == [
        (("spool_torn",), 1.0)
    ]
