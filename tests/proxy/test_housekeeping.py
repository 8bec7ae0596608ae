"""What a worker does beside its calls."""

from pathlib import Path

import msgspec
import pytest

from proxy.config import RunSettings
from proxy.record.checkpoint import read_checkpoint
from tests.helpers.counted import counted
from tests.helpers.origin import RawOrigin
from tests.helpers.proxy import running, settings_for
from tests.helpers.records import read_spool, until
from tests.helpers.wire import request

pytestmark = pytest.mark.blocking_allowed  # reads the spool


async def test_a_run_that_is_idle_ends_once_and_says_what_it_came_to(
    origin: RawOrigin, data_dir: Path
):
    settings = settings_for(data_dir, origin)
    brief = msgspec.structs.replace(settings, runs=RunSettings(idle_seconds=0.2))
    async with running(brief) as proxy:
        await proxy.call(request(b"/run/r1/t/x"))
        await until(lambda: bool(read_spool(data_dir)[1]), "the end of the run")
    async with running(brief) as proxy:
        assert proxy.worker is not None
        assert counted(proxy.worker.telemetry, "tacho_runs_total") == {
            ("default", "", "ended"): 1
        }
    (event,) = read_spool(data_dir)[1]
    assert (event.type, event.run_id, event.reason) == ("run_end", "r1", "ended")


async def test_beyond_the_cap_the_longest_idle_run_ends(
    origin: RawOrigin, data_dir: Path
):
    settings = settings_for(data_dir, origin)
    few = msgspec.structs.replace(settings, runs=RunSettings(max_live=1))
    async with running(few) as proxy:
        for run in (b"r1", b"r2"):
            await proxy.call(request(b"/run/" + run + b"/t/x"))
    assert [event.run_id for event in read_spool(data_dir)[1]] == ["r1"]


async def test_a_run_that_comes_back_counts_on_and_ends_no_second_time(
    origin: RawOrigin, data_dir: Path
):
    settings = settings_for(data_dir, origin)
    brief = msgspec.structs.replace(settings, runs=RunSettings(idle_seconds=0.2))
    for life in range(3):
        async with running(brief) as proxy:
            await proxy.call(request(b"/run/r1/t/x"))
            assert proxy.worker is not None
            runs = proxy.worker._runs
            await until(lambda: not list(runs.runs()), f"the end of life {life}")  # noqa: B023
    exchanges, events = read_spool(data_dir)
    assert [each.open.step_seq for each in exchanges] == [1, 2, 3]
    assert [(event.type, event.run_id) for event in events] == [("run_end", "r1")]


@pytest.mark.parametrize(("max_bytes", "is_soon"), [(4 << 20, False), (8000, True)])
async def test_a_spool_that_fills_up_is_given_a_checkpoint_at_once(
    max_bytes: int, is_soon: bool, origin: RawOrigin, data_dir: Path
):
    settings = settings_for(data_dir, origin)
    spool = msgspec.structs.replace(settings.spool, max_bytes=max_bytes)
    async with running(msgspec.structs.replace(settings, spool=spool)) as proxy:
        assert proxy.worker is not None
        housekeeping, directory = proxy.worker._housekeeping, proxy.worker.spool.directory  # fmt: skip
        assert proxy.worker._ticker is not None
        proxy.worker._ticker.cancel()
        spool_writer = proxy.worker.spool
        for number in range(1, 5):
            await proxy.call(request(b"/run/r1/t/x"))
            await proxy.ended(number)
        await until(lambda: spool_writer.is_filling is is_soon, "the size")
        for _ in range(2):
            before = read_checkpoint(directory)
            housekeeping._turn = 0
            await housekeeping.keep()
            after = read_checkpoint(directory)
            assert before is not None
            assert after is not None
            assert (after.position > before.position) is is_soon
            is_soon = False  # nothing has come since
