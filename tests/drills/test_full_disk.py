"""The disk full, under load and at the start (check D05): agents notice nothing, drops are counted and told, it recovers."""

import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.audit import ROWS, settle
from tests.helpers.installation import Installation, await_that, tacho
from tests.helpers.load import Load

DROPS = frozenset({"disk_full", "io_error", "queue_full", "too_slow", "size_cap"})
GAPS = "SELECT reason, value, detail FROM events WHERE type = 'gap'"
FEW = 2
"""Agents that write less than the small spool holds while its segments wait to be deleted."""
pytestmark = [pytest.mark.drill, pytest.mark.timeout(300)]
Install = Callable[..., Installation]
Tell = Callable[[str], None]


def dropped(product: Installation) -> Counter[str]:
    """Give the records that the spool has dropped, by reason."""
    counts = product.counters("tacho_dropped_total", "reason")
    return Counter({name: n for name, n in counts.items() if name in DROPS})


def told(gaps: list[dict[str, Any]]) -> Counter[str]:
    """Give what the `gap` events say, by reason."""
    totals: Counter[str] = Counter()
    for gap in gaps:
        parts = [part.split("=") for part in gap["detail"].split(", ")]
        assert float(gap["value"]) == sum(int(count) for _, count in parts)
        for reason, count in parts:
            totals[reason] += int(count)
    return totals


def recover(product: Installation, load: Load, whole: Installation, tell: Tell) -> None:
    """Call on until nothing is dropped any more; then hold what is in the store against what the agents saw."""
    load.rest()
    load.run(product.port, agents=FEW)
    before = None
    while before != (before := dropped(product)):
        load.wait_calls(50)
    first = len(load.calls)
    load.wait_calls(50)
    calls = load.rest()
    await_that(lambda: told(ask(whole, GAPS)) == dropped(product), "the gap to be told")
    settle(product, whole)
    rows, gaps = ask(whole, ROWS), ask(whole, GAPS)
    completed = {row["run_id"] for row in rows if row["outcome"] == "completed"}
    doubled = len(rows) - len({row["attempt_id"] for row in rows})
    broken = [call for call in calls if not call.whole]
    lost = [call for call in calls[first:] if call.id not in completed]
    tell(
        f"disk full: calls={len(calls)} broken={len(broken)} rows={len(rows)} dropped={dict(dropped(product))} "
        f"gaps={len(gaps)} lost after recovery={len(lost)} doubled={doubled} seed={load.seed}"
    )
    assert broken == []
    assert lost == []
    assert doubled == 0
    assert product.facts("w0")["restarts"] == 0


def ask(product: Installation, statement: str) -> list[dict[str, Any]]:
    """Ask the store; nothing where it does not answer."""
    with suppress(OSError):
        return product.rows(statement)
    return []


def test_a_spool_at_its_cap_drops_and_counts_and_goes_on_when_the_exporter_comes(
    install: Install, load: Load, tell: Tell
) -> None:
    product = install(spool={"max_bytes": 600_000, "segment_bytes": 60_000})
    product.start("proxy")
    load.run(product.port)
    while dropped(product)["size_cap"] < 100:
        load.wait_calls(10)
    assert product.asked("w0")["spool_trouble"] == "size_cap"
    other_half = install(data_dir=product.data_dir).start("export")
    recover(product, load, other_half, tell)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mount file systems in memory; where that is not allowed, skip."""
    mounted: list[Path] = []

    def mount(size: str) -> Path:
        place = tmp_path / f"disk-{len(mounted)}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"cannot mount: {done.stderr.strip()}")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.big
def test_a_full_disk_costs_records_but_no_call_and_all_goes_on_when_there_is_room(
    install: Install, load: Load, tell: Tell, small_disk: Callable[..., Path]
) -> None:
    disk = small_disk("64m")
    product = install(data_dir=disk / "data", spool={"min_free_bytes": 0}).start()
    load.run(product.port)
    load.wait_calls(20)
    ballast = disk / "ballast"
    fill(ballast)
    while sum(dropped(product).values()) < 100:
        load.wait_calls(10)
    assert product.asked("w0")["spool_trouble"] == "disk_full"
    ballast.unlink()
    recover(product, load, product, tell)


def fill(path: Path) -> None:
    """Write until there is no room."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            os.write(file.fileno(), bytes(4096))


@pytest.mark.big
def test_a_disk_that_is_full_at_the_start_is_refused_in_one_line(
    install: Install, small_disk: Callable[..., Path]
) -> None:
    product = install(data_dir=small_disk("4k") / "data")
    assert_refused(product, "No space left on device")


@pytest.mark.big
def test_a_disk_that_is_read_only_is_refused_in_one_line(
    install: Install, small_disk: Callable[..., Path]
) -> None:
    disk = small_disk("1m")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert_refused(install(data_dir=disk / "data"), "Read-only file system")


def test_a_data_directory_below_a_file_is_refused_in_one_line(
    install: Install, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    assert_refused(install(data_dir=tmp_path / "file" / "data"), f"{tmp_path}/file: ")


def test_a_data_directory_that_may_not_be_written_is_refused_in_one_line(
    install: Install, tmp_path: Path
) -> None:
    if (
        os.geteuid() == 0
    ):  # who may write everywhere still cannot make a directory there
        assert_refused(install(data_dir="/proc/tacho-drill"), "/proc/tacho-drill")
        return
    (tmp_path / "shut").mkdir(mode=0o500)
    assert_refused(install(data_dir=tmp_path / "shut" / "data"), "Permission denied")


def assert_refused(product: Installation, reason: str) -> None:
    """It does not start, and says why in one line that names the directory."""
    refusal = tacho(product.config, "up")
    assert refusal.returncode == 3
    assert refusal.stdout == ""
    (line,) = refusal.stderr.splitlines()
    assert reason in line
    assert str(product.data_dir) in line
