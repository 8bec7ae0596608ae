"""Batches to the embedded store: once each, whatever breaks in between."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError

from exporters.clickhouse.sink import ClickHouseExporter, UnreachableStoreError
from exporters.clickhouse.store_lock import write_address
from exporters.delivery import Batch, Permanent
from exporters.enrich.columns import StepRow
from exporters.enrich.rows import encode_rows
from proxy.config import (
    ClickHouseSettings,
    ExporterSettings,
    Settings,
    ensure_data_dir,
)
from tests.helpers.store import StoreProcess, open_store
from tests.helpers.wire import WAIT_SECONDS

NOW = "2026-11-22 10:00:00.000000"


def batch(token: str, ids: Iterable[str], table: str = "steps") -> Batch:
    rows = [
        StepRow(
            attempt_id=f"{token}-{i}",
            ts=NOW,
            closed_at=NOW,
            outcome="completed",
            tenant=token,
        )
        for i in ids
    ]
    return Batch(table, token, len(rows), encode_rows(rows))


def numbers(count: int) -> list[str]:
    return [str(n) for n in range(count)]


@contextlib.asynccontextmanager
async def exporting(
    data_dir: Path, **options: float
) -> AsyncIterator[ClickHouseExporter]:
    settings = Settings(data_dir=str(data_dir))
    secrets = await asyncio.to_thread(ensure_data_dir, settings)
    exporter = ClickHouseExporter(settings, secrets, **options)
    try:
        yield exporter
    finally:
        await exporter.close()


def stored(store: StoreProcess, tenant: str) -> tuple[int, int]:
    """Give the rows and the different attempts of a tenant."""
    answer = store.ask(
        f"SELECT count(), uniqExact(attempt_id) FROM steps WHERE tenant = '{tenant}'"
    )
    rows, attempts = answer.text.split()
    return int(rows), int(attempts)


async def export_at_last(exporter: ClickHouseExporter, piece: Batch) -> None:
    """Try until it works, as the delivery does: the first attempts may meet the connection of the dead store."""
    for _ in range(20):
        try:
            await exporter.export(piece)
        except (UnreachableStoreError, ClickHouseError, OSError):
            continue
        return
    raise AssertionError("the store never took the batch")


pytestmark = pytest.mark.blocking_allowed


async def test_a_batch_is_stored_once_however_often_it_is_sent(
    store: StoreProcess,
) -> None:
    async with exporting(store.data_dir) as exporter:
        await exporter.start()
        for _ in range(3):
            await exporter.export(batch("once", numbers(10)))
    async with exporting(store.data_dir) as exporter:
        await exporter.export(batch("once", numbers(10)))
    assert stored(store, "once") == (10, 10)


async def test_equal_rows_under_another_token_are_other_rows(
    store: StoreProcess,
) -> None:
    async with exporting(store.data_dir) as exporter:
        first = batch("twice", numbers(3))
        await exporter.export(first)
        await exporter.export(first._replace(token="another"))
    assert stored(store, "twice") == (6, 3)


async def test_a_batch_over_two_days_is_stored_once(store: StoreProcess) -> None:
    rows = [
        StepRow(
            attempt_id=day,
            ts=f"{day} 23:59:59.999999",
            closed_at=NOW,
            outcome="x",
            tenant="days",
        )
        for day in ("2026-11-21", "2026-11-22")
    ]
    async with exporting(store.data_dir) as exporter:
        for _ in range(2):
            await exporter.export(Batch("steps", "days", 2, encode_rows(rows)))
    assert stored(store, "days") == (2, 2)


async def test_a_replay_after_many_other_inserts_is_still_recognised(
    store: StoreProcess,
) -> None:
    async with exporting(store.data_dir) as exporter:
        await exporter.export(batch("early", numbers(2)))
        for n in range(60):
            await exporter.export(batch(f"between{n}", ["0"]))
        await exporter.export(batch("early", numbers(2)))
    assert stored(store, "early") == (2, 2)


async def test_text_with_blank_lines_and_statements_is_text(
    store: StoreProcess,
) -> None:
    evil = "x\n\nDROP TABLE steps;\n\n; DROP TABLE steps -- ' \\ \0"
    row = StepRow(attempt_id="evil", ts=NOW, closed_at=NOW, outcome="x", step_name=evil)
    async with exporting(store.data_dir) as exporter:
        await exporter.export(Batch("steps", "evil", 1, encode_rows([row])))
    found = store.ask(
        "SELECT step_name FROM steps WHERE attempt_id = 'evil' FORMAT RowBinary"
    )
    assert found.body[1:].decode() == evil


@pytest.mark.parametrize(
    "body",
    [
        b'{"attempt_id": "p", "no_such_column": 1}\n',
        b'{"attempt_id": "p", "ts": "yesterday"}\n',
        b'{"attempt_id": "p", "cost_usd": "much"}\n',
        b'{"attempt_id": "p", "http_status": "bad"}\n',
        b'{"attempt_id": "p"\n',
        b"nonsense\n",
    ],
)
async def test_rows_that_never_fit_are_permanent_and_leave_nothing(
    store: StoreProcess, body: bytes
) -> None:
    good = batch("poisoned", numbers(1))
    async with exporting(store.data_dir) as exporter:
        with pytest.raises(Permanent, match="steps"):
            await exporter.export(Batch("steps", f"p{body!r}", 2, good.body + body))
        await exporter.export(batch(f"after{len(body)}", numbers(1)))
    assert stored(store, "poisoned") == (0, 0)


async def test_without_a_store_there_is_a_plain_error_to_be_retried(
    tmp_path: Path,
) -> None:
    async with exporting(tmp_path) as exporter:
        with pytest.raises(UnreachableStoreError, match="not running"):
            await exporter.start()
        write_address(tmp_path, "127.0.0.1:1")
        with pytest.raises(UnreachableStoreError, match=r"127\.0\.0\.1:1"):
            await exporter.export(batch("nowhere", ["0"]))


async def test_a_store_that_never_answers_is_given_up(tmp_path: Path) -> None:
    heard = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        heard.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, exporting(tmp_path, answer_seconds=0.2) as exporter:
        write_address(tmp_path, f"127.0.0.1:{port}")
        with pytest.raises(UnreachableStoreError):
            await exporter.start()
        async with asyncio.timeout(WAIT_SECONDS):
            await heard.wait()


@pytest.mark.timeout(300)
async def test_killed_in_the_middle_of_an_insert_nothing_is_lost_or_doubled(
    tmp_path: Path,
) -> None:
    store = open_store(tmp_path)
    sent = [batch(f"k{n}", numbers(500)) for n in range(40)]
    kill_at = {7, 23}
    async with exporting(tmp_path) as exporter:
        for n, piece in enumerate(sent):
            if n in kill_at:
                attempt = asyncio.create_task(exporter.export(piece))
                await asyncio.sleep(0)
                store.end(signal.SIGKILL)
                with contextlib.suppress(Exception):
                    await attempt
                store = open_store(tmp_path)
            await export_at_last(exporter, piece)
    answer = store.ask("SELECT count(), uniqExact(attempt_id) FROM steps")
    store.end()
    assert answer.text == "20000\t20000\n"


def test_settings_of_a_server_are_taken_from_the_settings() -> None:
    chosen = ClickHouseSettings(
        url="https://ch.internal", user="u", password="p", cluster="c"
    )
    settings = Settings(exporters=ExporterSettings(clickhouse=chosen))
    exporter = ClickHouseExporter(settings, None)  # type: ignore[arg-type]
    target, user, password = exporter._target()
    assert (target.scheme, target.hostname, target.port, user, password) == (
        "https",
        "ch.internal",
        None,
        "u",
        "p",
    )
    assert exporter._layout.cluster == "c"
