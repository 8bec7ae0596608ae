"""A spool that comes back damaged (check D07): the product starts, skips exactly what is bad, counts it, keeps what follows."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from proxy.record import codec
from proxy.record.codec import End
from tests.helpers.audit import ROWS, settle
from tests.helpers.installation import Installation, await_that
from tests.helpers.load import Load
from tests.helpers.spooled import read_all

PREFIX_BYTES = 8
pytestmark = [pytest.mark.drill, pytest.mark.timeout(300)]
Install = Callable[..., Installation]
Tell = Callable[[str], None]


class Damaged(NamedTuple):
    """What a damage must show in the exporter's status, and which calls it may cost their row."""

    skipped: dict[str, int]
    hit: frozenset[str] = frozenset()


def torn_tail(segments: list[Path]) -> Damaged:
    """The last record, which is an `End`, was half written."""
    size = segments[-1].stat().st_size
    with segments[-1].open("r+b") as file:
        file.truncate(size - 5)
    return Damaged({"torn": 1})


def flipped_bit(segments: list[Path]) -> Damaged:
    """One bit of one `End` in the middle."""
    segment, payload = next(
        (segment, each)
        for segment in segments
        for each in payloads(segment)
        if isinstance(codec.decode(each), End)
    )
    data = bytearray(segment.read_bytes())
    data[data.index(payload) + len(payload) // 2] ^= 0x10
    segment.write_bytes(data)
    return Damaged({"corrupt": 1})


def zeros_at_the_end(segments: list[Path]) -> Damaged:
    """A page that the file system gave but never filled."""
    with segments[-1].open("ab") as file:
        file.write(bytes(4096))
    return Damaged({"torn": 1})


def segment_missing(segments: list[Path]) -> Damaged:
    """One in the middle is gone; calls with records in it may be incomplete or unknown."""
    found = [codec.decode(each) for each in payloads(segments[1])]
    beside = (codec.Event, codec.Memo, codec.Price)
    attempts = {each.attempt_id for each in found if each and not isinstance(each, beside)}  # fmt: skip
    segments[1].unlink()
    return Damaged({"missing": 1}, frozenset(attempts))


def segment_doubled(segments: list[Path]) -> Damaged:
    """A copy of the first one behind the last one."""
    number = int(segments[-1].stem) + 1
    shutil.copy(segments[0], segments[-1].with_name(f"{number:08d}.seg"))
    return Damaged({"foreign": 1})


@pytest.mark.parametrize(
    "damage",
    [
        torn_tail,
        pytest.param(flipped_bit, marks=pytest.mark.big),
        pytest.param(zeros_at_the_end, marks=pytest.mark.big),
        segment_missing,
        pytest.param(segment_doubled, marks=pytest.mark.big),
    ],
)
def test_damage_is_skipped_and_counted_and_costs_nothing_else(
    install: Install, load: Load, tell: Tell, damage: Callable[[list[Path]], Damaged]
) -> None:
    product = install(spool={"segment_bytes": 20_000}).start("proxy")
    load.run(product.port)
    load.wait_calls(60)
    calls = load.rest()
    product.kill("supervisor")
    await_that(lambda: not product.processes(), "the worker to leave")
    segments = sorted(product.data_dir.glob("spool/w0/*/*.seg"))
    assert len(segments) > 2
    runs = runs_by_attempt(segments[0].parent)
    damaged = damage(segments)
    product.start()
    await_that(
        lambda: product.says("exporter").get("caught_up"), "the spool to be read"
    )
    settle(product)
    rows = product.rows(ROWS)
    skipped = product.asked("exporter")["skipped"]
    hit = {runs[attempt] for attempt in damaged.hit}
    whole = [row["run_id"] for row in rows if row["outcome"] == "completed"]
    lost = [call.id for call in calls if call.id not in hit and call.id not in whole]
    doubled = len(rows) - len({row["attempt_id"] for row in rows})
    tell(
        f"{damage.__name__}: calls={len(calls)} hit={len(hit)} rows={len(rows)} skipped={skipped} "
        f"lost={len(lost)} doubled={doubled} seed={load.seed}"
    )
    assert (lost, doubled) == ([], 0)
    assert {kind: count for kind, count in skipped.items() if kind != "bytes"} == damaged.skipped  # fmt: skip


def payloads(segment: Path) -> list[bytes]:
    """Give the payloads of one segment, which is whole."""
    data, found, place = segment.read_bytes(), [], 32
    while place < len(data):
        size = int.from_bytes(data[place : place + 4], "little")
        found.append(data[place + PREFIX_BYTES : place + PREFIX_BYTES + size])
        place += PREFIX_BYTES + size
    return found


def runs_by_attempt(directory: Path) -> dict[str, str]:
    """Give the run of each attempt that was opened."""
    opened = [codec.decode(payload) for payload in read_all(directory)[0]]
    return {each.attempt_id: each.run_id for each in opened if isinstance(each, codec.Open)}  # fmt: skip
