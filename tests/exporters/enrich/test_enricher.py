"""Exactly one row for each exchange, wherever the enricher is killed; and what is deleted when."""

import errno

import pytest

from proxy.record.checkpoint import Checkpoint, write_checkpoint
from proxy.record.codec import Event
from proxy.record.framing import Position
from proxy.record.segment_writer import segment_numbers
from tests.helpers.enriching import Bench
from tests.helpers.spooled import (
    T0,
    Writer,
    make_close,
    make_end,
    make_open,
)


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.kill()


def test_exchanges_of_several_workers_become_rows_once(bench):
    first, second = Writer(bench.spool, "a"), Writer(bench.spool, "b", worker="w1")
    first.write(make_open("1"), make_close("1"), make_end("1"))
    second.write(make_open("2"))
    bench.run()
    assert bench.attempts() == ["1"]
    second.write(
        make_close("2"), make_end("2"), Event(event_id="e", ts_us=T0, type="gap")
    )
    bench.run()
    bench.run()
    assert bench.attempts() == ["1", "2"]
    assert [row["type"] for row in bench.rows("events")] == ["gap"]
    assert bench.enricher.rows_made == 3
    first.die()
    second.die()


def test_dead_writer_is_settled_and_a_living_one_is_not(bench):
    dead, living = Writer(bench.spool, "a"), Writer(bench.spool, "b")
    dead.write(make_open("1"), make_open("2"), make_close("2"))
    living.write(make_open("3"))
    dead.die()
    bench.run()
    assert [(row["attempt_id"], row["outcome"]) for row in bench.rows()] == [
        ("1", "proxy_crashed"),
        ("2", "completed"),
    ]
    bench.restart()
    bench.run()
    assert len(bench.rows()) == 2
    assert bench.enricher.pending == 1
    living.die()


def test_full_disk_under_the_row_log_keeps_the_rows_until_there_is_room(bench):
    writer = Writer(bench.spool, "a")
    writer.write(make_open("1"), make_close("1"), make_end("1"))
    bench.disk.error = errno.ENOSPC
    for _ in range(3):
        with pytest.raises(OSError, match="No space"):
            bench.enricher.step(bench.now)
    bench.disk.error = 0
    bench.run()
    assert bench.attempts() == ["1"]
    writer.die()


def test_segments_go_when_they_are_in_rows_and_behind_the_checkpoint(bench):
    writer = Writer(bench.spool, "a")
    for number in range(3):
        writer.write(
            make_open(str(number)), make_close(str(number)), make_end(str(number))
        )
        writer.next_segment()
    position = writer.write(make_open("under way"))
    writer.next_segment()
    writer.write(make_open("9"), make_close("9"), make_end("9"))
    bench.run()
    bench.enricher.clean()
    assert segment_numbers(writer.directory) == [1, 2, 3, 4, 5]
    write_checkpoint(writer.directory, Checkpoint("a", Position(2, 50)))
    bench.enricher.clean()
    assert segment_numbers(writer.directory) == [2, 3, 4, 5]
    write_checkpoint(writer.directory, Checkpoint("a", Position(5, 50)))
    bench.enricher.clean()
    assert segment_numbers(writer.directory) == [4, 5]
    assert position.segment == 4
    writer.die()


def test_directory_goes_when_its_writer_is_dead_settled_and_absorbed(bench):
    old, new = Writer(bench.spool, "a"), Writer(bench.spool, "b")
    old.write(make_open("1"))
    old.die()
    bench.run()
    bench.enricher.clean()
    assert old.directory.exists()
    write_checkpoint(new.directory, Checkpoint("b", Position(0, 0), ("a",)))
    bench.enricher.clean()
    assert not old.directory.exists()
    bench.now += 10
    bench.run()
    bench.restart()
    bench.run()
    assert bench.attempts() == ["1"]
    new.die()


def test_checkpoint_that_names_others_outlives_them(bench):
    first, second, third = (Writer(bench.spool, name) for name in "abc")
    write_checkpoint(second.directory, Checkpoint("b", Position(0, 0), ("a",)))
    write_checkpoint(third.directory, Checkpoint("c", Position(0, 0), ("b",)))
    second.die()
    bench.run()
    bench.now += 10
    bench.run()
    bench.enricher.clean()
    assert second.directory.exists()
    first.die()
    bench.run()
    bench.now += 10
    bench.run()
    bench.enricher.clean()
    bench.enricher.clean()
    assert not first.directory.exists()
    assert not second.directory.exists()
    third.die()


def test_records_that_cannot_be_read_are_counted_and_the_rest_becomes_rows(bench):
    writer = Writer(bench.spool, "a")
    writer._segments.write([b"\x01\x00\x00\x00QS}R\x00"], 0.0)
    writer.write(make_open("1"), make_close("1"), make_end("1"))
    bench.run()
    assert bench.attempts() == ["1"]
    assert bench.enricher.counts == {"undecodable": 1}
    writer.die()


def test_odd_record_that_breaks_our_code_costs_only_itself(bench, monkeypatch):
    writer = Writer(bench.spool, "a")
    writer.write(make_open("1", tags={"x": "y"}), make_close("1"), make_end("1"))
    writer.write(make_open("2"), make_close("2"), make_end("2"))
    real = __import__("exporters.enrich.pending", fromlist=["step_rows"]).step_rows

    def failing(opened, close, end):
        if opened.attempt_id == "1":
            raise ZeroDivisionError
        return real(opened, close, end)

    monkeypatch.setattr("exporters.enrich.pending.step_rows", failing)
    bench.run()
    assert bench.attempts() == ["2"]
    assert bench.enricher.counts == {"failed": 1}
    writer.die()


def test_exchange_whose_end_the_disk_has_lost_becomes_a_row_and_pins_no_segment(bench):
    writer = Writer(bench.spool, "a")
    writer.write(make_open("lost"), make_open("under way"))
    writer.next_segment()
    writer.write(make_open("ended"), make_close("ended"), make_end("ended"))
    writer.next_segment()
    position = writer.write(make_open("also under way"))
    writer.write(make_open("later"))
    said = Checkpoint("a", position, under_way=("under way", "also under way"))
    write_checkpoint(writer.directory, said)
    bench.run()
    assert bench.attempts() == ["ended"]
    bench.now += 10
    bench.run()
    bench.restart()
    bench.now += 10
    bench.run()
    assert bench.attempts() == ["ended", "lost"]
    row = bench.rows()[-1]
    assert (row["outcome"], row["error_type"]) == ("proxy_crashed", "disk")
    assert bench.enricher.pending == 3
    assert bench.enricher.counts["end_lost"] == 1
    writer.write(make_end("under way"))
    bench.run()
    bench.now += 10
    bench.run()
    bench.enricher.flush(bench.now)
    bench.enricher.clean()
    assert segment_numbers(writer.directory) == [3]
    writer.die()


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(None, id="no checkpoint"),
        pytest.param(Checkpoint("a", Position(9, 0)), id="of an older version"),
        pytest.param(Checkpoint("a", Position(9, 0), under_way=()), id="ahead of what was read"),
    ],
)  # fmt: skip
def test_exchange_is_not_given_up_on_a_word_that_does_not_cover_it(bench, said):
    writer = Writer(bench.spool, "a")
    writer.write(make_open("1"))
    if said is not None:
        write_checkpoint(writer.directory, said)
    bench.run()
    bench.now += 10
    bench.run()
    assert bench.rows() == []
    writer.die()
