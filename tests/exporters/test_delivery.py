"""Exactly once for each destination, poison aside, and one dead destination delays nobody."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from exporters.delivery import Permanent, in_thread
from exporters.reader import Batch, Cursor, CursorFile, RangeLimits
from exporters.row_log import RowFrame, TableRows
from tests.helpers.exporters import Bench, Sink, run_while, until_idle
from tests.helpers.wire import WAIT_SECONDS

pytestmark = (
    pytest.mark.blocking_allowed
)  # the row log is written in the test's own loop


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.log.close()


async def test_rows_reach_their_tables_and_the_cursor_moves_when_both_have_them(bench):
    bench.append(steps=2, events=1)
    bench.append()
    sink = Sink()
    delivery = bench.delivery(sink)
    await until_idle(delivery)
    assert (sink.rows("steps"), sink.rows("events")) == (3, 1)
    assert (delivery.position, delivery.delivered_rows, delivery.oldest_us()) == (
        bench.log.end,
        4,
        0,
    )
    assert (sink.started, sink.closed) == (1, 1)
    again = Sink()
    await until_idle(bench.delivery(again))
    assert again.attempts == []


async def test_rows_that_come_later_are_delivered_after_a_wake_up(bench):
    sink = Sink()
    delivery = bench.delivery(sink)
    async with asyncio.timeout(WAIT_SECONDS), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(delivery.run())
        await delivery.idle.wait()
        bench.append()
        delivery.wake()
        await delivery.idle.wait()
        task.cancel()
    assert sink.rows() == 1


async def test_failing_destination_is_retried_with_the_same_bytes_and_growing_pauses(
    bench,
):
    bench.append()
    sink = Sink(*[ConnectionError("down")] * 6)
    delivery = bench.delivery(sink, backoff_seconds=1.0, backoff_most_seconds=8.0)
    await until_idle(delivery)
    assert bench.pauses == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert len(set(sink.attempts)) == 1
    assert (sink.rows(), delivery.failures, delivery.last_error) == (1, 6, "")


@pytest.mark.parametrize("moment", ["before", "after", "between"])
async def test_killed_in_the_middle_of_a_range_it_is_sent_again_unchanged(
    bench, moment
):
    """Check D02: the kill may come between the store's commit and the cursor."""
    bench.append(steps=3, events=2)

    class Dying(Sink):
        hung = False

        async def export(self, batch: Batch) -> None:
            is_second = bool(self.stored)
            if moment == "after" or (moment == "between" and not is_second):
                await super().export(batch)
            if moment != "between" or is_second:
                self.hung = True
                await asyncio.Event().wait()

    dying = Dying()
    await run_while(bench.delivery(dying), lambda: dying.hung)
    bench.append(steps=10)
    sink = Sink()
    sink.stored = dict(dying.stored)
    delivery = bench.delivery(sink)
    await until_idle(delivery)
    assert (sink.rows("steps"), sink.rows("events")) == (13, 2)
    assert {batch.token for batch in dying.stored.values()} <= {
        batch.token for batch in sink.attempts
    }


async def test_poison_goes_to_the_dead_letters_and_later_batches_flow(bench):
    """Check D09."""
    bench.append(steps=2)
    sink = Sink(Permanent("no such column"))
    delivery = bench.delivery(sink)
    await until_idle(delivery)
    bench.append(steps=3)
    later = bench.delivery(sink)
    await until_idle(later)
    assert (delivery.poison_batches, delivery.poison_rows, sink.rows()) == (1, 2, 3)
    (letter,) = (bench.data_dir / "dead").iterdir()
    assert letter.read_bytes() == b"s\ns\n"
    assert letter.name.startswith(f"sink-{bench.log.id}_0_0-1_")


async def test_dead_and_hung_destinations_delay_nobody(bench):
    """Check D04, the part that all exporters share."""

    class Hung(Sink):
        async def export(self, batch: Batch) -> None:
            await asyncio.Event().wait()

    class Dead(Sink):
        async def start(self) -> None:
            raise ConnectionError("refused")

    bench.append(steps=5)
    good, dead, hung = Sink(), Dead(), Hung()
    deliveries = [
        bench.delivery(each, name)
        for name, each in [("a", dead), ("b", good), ("c", hung)]
    ]
    async with asyncio.timeout(WAIT_SECONDS), asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(each.run()) for each in deliveries]
        await deliveries[1].idle.wait()
        for task in running:
            task.cancel()
    assert good.rows() == 5
    assert "refused" in deliveries[0].last_error
    assert deliveries[0].oldest_us() == deliveries[2].oldest_us() == 5
    assert deliveries[2].position == (0, 0)
    assert (dead.closed, hung.closed) == (1, 1)


async def test_destination_that_never_answers_is_asked_again(bench):
    class Slow(Sink):
        async def export(self, batch: Batch) -> None:
            if not self.attempts:
                self.attempts.append(batch)
                await asyncio.Event().wait()
            await super().export(batch)

    bench.append()
    sink = Slow()
    await until_idle(bench.delivery(sink, attempt_seconds=0.01))
    assert len(sink.attempts) == 2
    assert len(set(sink.attempts)) == 1


async def test_small_batches_wait_for_more_rows_but_full_ones_do_not(bench):
    bench.append()
    sink = Sink()
    delivery = bench.delivery(sink, linger_seconds=0.2, limits=RangeLimits(rows=3))
    async with asyncio.timeout(WAIT_SECONDS), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(delivery.run())
        for steps in (1, 3):
            await delivery.idle.wait()
            bench.append(steps=steps)
            delivery.wake()
        await delivery.idle.wait()
        task.cancel()
    assert bench.pauses == [0.2]
    assert sink.rows() == 5


async def test_frames_without_rows_are_passed_over(bench):
    bench.append(steps=0)
    sink = Sink()
    delivery = bench.delivery(sink)
    await until_idle(delivery)
    assert (sink.attempts, delivery.position) == ([], bench.log.end)


async def test_range_that_the_size_cap_took_is_given_up(bench):
    bench.append()
    end = bench.log.end
    file = CursorFile(bench.data_dir / "rows" / "cursors" / "sink")
    file.save(
        Cursor(bench.log.id, end._replace(offset=32), end._replace(segment=end.segment))
    )
    (bench.data_dir / "rows" / "00000001.seg").unlink()
    delivery = bench.delivery(Sink())
    await until_idle(delivery)
    assert delivery.position == end


async def test_ten_thousand_distinct_rows_in_one_flush_are_all_stored(bench):
    """Check D16."""
    body = b"".join(
        b'{"run":"%d","model":"m%d"}\n' % (number, number) for number in range(10_000)
    )
    bench.log.append(
        RowFrame({"steps": TableRows(10_000, body)}, msgspec.Raw(b"\xc0")), 0.0
    )
    sink = Sink()
    await until_idle(bench.delivery(sink))
    assert b"".join(batch.body for batch in sink.stored.values()) == body


async def test_destination_that_fails_to_close_is_left(bench):
    class Stuck(Sink):
        async def close(self) -> None:
            raise OSError("stuck")

    delivery = bench.delivery(Stuck())
    await until_idle(delivery)
    assert delivery.last_error == "OSError: stuck"


async def test_cancelled_work_in_a_thread_is_waited_for():
    done: list[int] = []

    def work() -> None:
        done.append(1)

    async def waits(job: Callable[[], Awaitable[None]]) -> None:
        await job()

    task = asyncio.get_running_loop().create_task(waits(lambda: in_thread(work)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [1]
