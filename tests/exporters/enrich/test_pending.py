from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from exporters.enrich import pending as module
from exporters.enrich.columns import EventRow, PriceRow
from exporters.enrich.pending import Awaiting, Pending
from proxy.model import Outcome
from proxy.record.codec import Event, Price, Record
from proxy.record.framing import Position
from tests.helpers.spooled import T0, make_close, make_end, make_open


class Table:
    """A pending table, its counts and running places."""

    def __init__(self, **options) -> None:
        self.counts: Counter[str] = Counter()
        self.pending = Pending(self.counts, **options)
        self.place = 0

    def ripen(self, now: float) -> Iterator[Any]:
        return self.pending.ripen(now)

    def settle(self) -> Iterator[Any]:
        return self.pending.settle()

    def feed(self, *records, now: float = 0.0) -> list[Any]:
        rows: list[Any] = []
        for record in records:
            self.place += 1
            rows += self.pending.feed(record, Position(1, self.place), now)
        return rows


def test_row_is_made_at_the_end():
    table = Table()
    assert table.feed(make_open("a"), make_close("a")) == []
    assert (len(table.pending), table.pending.unripe) == (1, 1)
    (row,) = table.feed(make_end("a"))
    assert (row.attempt_id, row.response_bytes) == ("a", 120)
    assert len(table.pending) == 0
    assert not table.counts


def test_row_is_made_one_second_after_close_and_a_late_end_is_an_event():
    table = Table()
    table.feed(make_open("a"), make_close("a"), now=10.0)
    assert list(table.ripen(10.9)) == []
    (row,) = table.ripen(11.0)
    assert (row.attempt_id, row.response_bytes) == ("a", 100)
    (event,) = table.feed(make_end("a", outcome=Outcome.CLIENT_ABORT))
    assert (event.type, event.step_id, event.reason) == (
        "late_end",
        "step-a",
        "client_abort",
    )
    assert table.feed(make_end("a")) == []
    assert table.counts == {"late_end": 1, "duplicate": 1}


def test_dead_writer_settles_open_as_crashed_and_close_as_it_is():
    table = Table()
    table.feed(make_open("a"), make_open("b"), make_close("b"), make_open("c"))
    rows = list(table.settle())
    assert [(row.attempt_id, row.outcome) for row in rows] == [
        ("a", "proxy_crashed"),
        ("b", "completed"),
        ("c", "proxy_crashed"),
    ]
    assert rows[0].closed_at == rows[1].closed_at
    assert table.counts == {"crashed": 2}
    assert len(table.pending) == 0


def test_close_without_open_and_end_alone_become_rows_and_are_counted():
    table = Table()
    table.feed(make_close("a"))
    (row,) = table.feed(make_end("a"))
    assert row.attempt_id == "a"
    (row,) = table.feed(make_end("b"))
    assert row.outcome == "completed"
    assert table.counts == {"unknown_open": 2}
    table.feed(make_close("c"))
    (row,) = table.ripen(9.0)
    (event,) = table.feed(make_end("c"))
    assert (event.type, event.step_id) == ("late_end", "")


def test_end_without_close_uses_open_and_end():
    table = Table()
    (row,) = table.feed(make_open("a"), make_end("a"))
    assert (row.tenant, row.outcome, row.tok_input) == ("acme", "completed", None)


@pytest.mark.parametrize("make", [make_open, make_close])
def test_duplicate_records_are_counted_and_change_nothing(make):
    table = Table()
    assert table.feed(make_open("a"), make_close("a"), make("a")) == []
    assert len(table.feed(make_end("a"))) == 1
    assert table.feed(make("a")) == []
    assert table.counts == {"duplicate": 2}
    assert len(table.pending) == 0


def test_event_passes_through():
    (row,) = Table().feed(Event(event_id="e", ts_us=T0, type="gap"))
    assert isinstance(row, EventRow)


def test_what_a_price_version_means_passes_through():
    price = Price("v1", "openai", "gpt-5", T0 + 9, '{"prices":[]}')
    pending = Pending(Counter())
    (row,) = pending.feed(price, Position(1, 0), 0.0)
    assert row == PriceRow(
        price_version="v1",
        provider="openai",
        model="gpt-5",
        valid_from="2027-01-15 08:00:00.000009",
        terms='{"prices":[]}',
    )
    assert (len(pending), pending.last_us) == (0, T0 + 9)


def test_table_is_bounded_and_says_what_that_cost():
    table = Table(most_pending=2)
    table.feed(make_open("a"), make_close("a"), make_open("b"))
    (row,) = table.feed(make_open("c"))
    assert row.attempt_id == "a"
    assert table.feed(make_open("d")) == []
    assert table.counts == {"evicted": 2}
    assert len(table.feed(make_close("b"), make_end("b"))) == 1


def test_memory_of_what_is_over_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "MOST_AWAITING", 1)
    monkeypatch.setattr(module, "MOST_RECENT", 1)
    table = Table()
    table.feed(make_close("a"), make_close("b"))
    assert len(list(table.ripen(5.0))) == 2
    assert [each.attempt_id for each in table.pending.awaiting()] == ["b"]


def test_one_call_settles_a_bounded_number(monkeypatch):
    monkeypatch.setattr(module, "MOST_AT_ONCE", 2)
    table = Table()
    table.feed(*(make_open(name) for name in "abc"))
    assert [len(list(table.settle())) for _ in range(3)] == [2, 1, 0]


def test_successor_takes_up_what_was_pending_without_counting_again():
    table = Table()
    table.feed(make_open("a"), make_close("a"), make_close("lost"))
    places = table.pending.places()
    assert places == [(1, 1), (1, 2), (1, 3)]
    counts = Counter(table.counts)
    successor = Pending(counts, (Awaiting("z", "acme", "bot", "r", "s"),))
    records: list[Record] = [make_open("a"), make_close("a"), make_close("lost")]
    successor.restore(zip(records, places, strict=True), 50.0)
    assert counts == table.counts
    assert successor.places() == places
    assert list(successor.ripen(50.9)) == []
    assert len(list(successor.ripen(51.0))) == 2
    (event,) = successor.feed(make_end("z"), Position(1, 9), 51.0)
    assert isinstance(event, EventRow)
    assert event.type == "late_end"
