"""Joins the records of one incarnation by exchange, and says when an exchange is ripe to become rows.

What lives here: the table of exchanges under way and its bound, the one second that a `Close` waits for its `End`, what
happens to a dead writer's exchanges, and all of it as `Progress`, from which a successor goes on. What does not: reading
(`source.py`), the rows' content (`rows.py`). Pure: time is an argument.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from itertools import islice

import msgspec

from exporters.enrich.columns import EventRow, Row, StepRow
from exporters.enrich.rows import (
    crashed_row,
    event_row,
    late_end_row,
    price_row,
    step_rows,
)
from proxy.model import ErrorType
from proxy.record.codec import Close, End, Event, Memo, Open, Price, Record
from proxy.record.framing import Position

END_WAIT_SECONDS = 1.0
"""How long a `Close` waits for its `End` before its row is made without it."""
MOST_PENDING = 100_000
MOST_AWAITING = 10_000
MOST_RECENT = 50_000
MOST_AT_ONCE = 4_000
"""Exchanges that one call of `ripen` or `settle` finishes; bounds the size of a frame."""


class Awaiting(msgspec.Struct, frozen=True, array_like=True):
    """An exchange whose row was made from its `Close`; its `End` will be an event."""

    attempt_id: str
    tenant: str = ""
    agent: str = ""
    run_id: str = ""
    step_id: str = ""


class _Exchange(msgspec.Struct):
    """What is known of one exchange under way."""

    opened: Open | None = None
    close: Close | None = None
    places: list[Position] = []
    """Where its records are, to be read again after a restart."""
    ripe_at: float = float("inf")


class Pending:
    """The exchanges of one incarnation that have no row yet; what it costs to be bounded is in `counts`."""

    def __init__(
        self,
        counts: Counter[str],
        awaiting: tuple[Awaiting, ...] = (),
        most_pending: int = MOST_PENDING,
    ) -> None:
        """`counts` collects `unknown_open`, `duplicate`, `evicted`, `late_end`, `crashed` and `end_lost`."""
        self._counts = counts
        self._most_pending = most_pending
        self._exchanges: dict[str, _Exchange] = {}
        self._closed: dict[str, float] = {}
        """Attempts with a `Close`, in the order in which they get ripe."""
        self._awaiting = {each.attempt_id: each for each in awaiting}
        self._recent: dict[str, None] = {}
        self.last_us = 0
        """The latest time that any record named: how long the writer is known to have lived."""

    def __len__(self) -> int:
        """Give how many exchanges have no row yet."""
        return len(self._exchanges)

    @property
    def unripe(self) -> int:
        """How many exchanges are closed and wait for their end."""
        return len(self._closed)

    def feed(self, record: Record, place: Position, now: float) -> Iterator[Row]:
        """Take the next record and give the rows that it completes."""
        match record:
            case Event():
                self._heard(record.ts_us)
                yield event_row(record)
            case Price():
                self._heard(record.ts_us)
                yield price_row(record)
            case Memo():
                pass  # for the worker's successor
            case Open():
                self._heard(record.ts_us)
                yield from self._open(record, place)
            case Close():
                self._heard(record.closed_us)
                self._close(record, place, now)
            case End():
                self._heard(record.ended_us)
                yield from self._end(record)

    def ripen(self, now: float) -> Iterator[StepRow | EventRow]:
        """Give the rows of exchanges whose `End` did not come in time; call it when all that is there has been fed.

        As with `settle`, one call takes a bounded number of exchanges.
        """
        for attempt_id, ripe_at in list(islice(self._closed.items(), MOST_AT_ONCE)):
            if ripe_at > now:
                return
            yield from self._without_end(attempt_id)

    def settle(self) -> Iterator[StepRow | EventRow]:
        """Give rows of exchanges whose writer is dead, when all its records have been fed; repeat until none is left."""
        self._awaiting.clear()
        for attempt_id in list(islice(self._exchanges, MOST_AT_ONCE)):
            exchange = self._exchanges[attempt_id]
            if exchange.close is not None:
                yield from self._finish(attempt_id, None)
            elif exchange.opened is not None:
                self._counts["crashed"] += 1
                self._forget(attempt_id)
                yield crashed_row(exchange.opened, self.last_us)

    def forsake(
        self, position: Position, under_way: Collection[str]
    ) -> Iterator[StepRow | EventRow]:
        """Give rows of exchanges that had ended before `position` though no `Close` or `End` of them ever came.

        The writer has dropped those (a full disk), and says which attempts were under way. Bounded as `settle`.
        """
        forsaken = (
            (attempt_id, exchange.opened)
            for attempt_id, exchange in self._exchanges.items()
            if exchange.close is None
            and exchange.opened is not None
            and exchange.places[-1] < position
            and attempt_id not in under_way
        )
        for attempt_id, opened in list(islice(forsaken, MOST_AT_ONCE)):
            self._counts["end_lost"] += 1
            self._forget(attempt_id)
            yield crashed_row(opened, self.last_us, ErrorType.DISK)

    def places(self) -> list[Position]:
        """Give where the records of all exchanges without a row are, in order."""
        return sorted(
            place for exchange in self._exchanges.values() for place in exchange.places
        )

    def awaiting(self) -> tuple[Awaiting, ...]:
        """Give the exchanges whose `End` will be an event."""
        return tuple(self._awaiting.values())

    def _heard(self, us: int) -> None:
        self.last_us = max(self.last_us, us)

    def restore(self, records: Iterable[tuple[Record, Position]], now: float) -> None:
        """Take again what a predecessor had pending; the same records are not counted twice."""
        again = list(records)
        before = Counter(self._counts)
        for record, place in again:
            for _ in self.feed(record, place, now):
                raise AssertionError("what was pending completes no row")
        self._counts.clear()
        self._counts.update(before)

    def _open(self, opened: Open, place: Position) -> Iterator[StepRow | EventRow]:
        if self._is_known(opened.attempt_id):
            return
        if len(self._exchanges) >= self._most_pending:
            self._counts["evicted"] += 1
            oldest = next(iter(self._exchanges))
            if oldest in self._closed:
                yield from self._without_end(oldest)
            else:
                self._remove(oldest)
        self._exchanges[opened.attempt_id] = _Exchange(opened=opened, places=[place])

    def _close(self, close: Close, place: Position, now: float) -> None:
        exchange = self._exchanges.get(close.attempt_id)
        if exchange is None:
            if self._is_known(close.attempt_id):
                return
            self._counts["unknown_open"] += 1
            exchange = self._exchanges[close.attempt_id] = _Exchange()
        elif exchange.close is not None:
            self._counts["duplicate"] += 1
            return
        exchange.close = close
        exchange.places = [*exchange.places, place]
        self._closed[close.attempt_id] = now + END_WAIT_SECONDS

    def _end(self, end: End) -> Iterator[StepRow | EventRow]:
        late = self._awaiting.pop(end.attempt_id, None)
        if late is not None:
            self._counts["late_end"] += 1
            yield late_end_row(end, late.tenant, late.agent, late.run_id, late.step_id)
        elif end.attempt_id in self._recent:
            self._counts["duplicate"] += 1
        else:
            if end.attempt_id not in self._exchanges:
                self._counts["unknown_open"] += 1
                self._exchanges[end.attempt_id] = _Exchange()
            yield from self._finish(end.attempt_id, end)

    def _without_end(self, attempt_id: str) -> Iterator[StepRow | EventRow]:
        opened = self._exchanges[attempt_id].opened
        if len(self._awaiting) >= MOST_AWAITING:
            self._counts["evicted"] += 1
            del self._awaiting[next(iter(self._awaiting))]
        self._awaiting[attempt_id] = (
            Awaiting(attempt_id)
            if opened is None
            else Awaiting(
                attempt_id, opened.tenant, opened.agent, opened.run_id, opened.step_id
            )
        )
        yield from self._finish(attempt_id, None)

    def _finish(self, attempt_id: str, end: End | None) -> Iterator[StepRow | EventRow]:
        exchange = self._exchanges[attempt_id]
        self._forget(attempt_id)
        yield from step_rows(exchange.opened, exchange.close, end)

    def _is_known(self, attempt_id: str) -> bool:
        known = (
            attempt_id in self._exchanges
            or attempt_id in self._recent
            or attempt_id in self._awaiting
        )
        if known:
            self._counts["duplicate"] += 1
        return known

    def _forget(self, attempt_id: str) -> None:
        self._remove(attempt_id)
        self._recent[attempt_id] = None
        if len(self._recent) > MOST_RECENT:
            del self._recent[next(iter(self._recent))]

    def _remove(self, attempt_id: str) -> None:
        del self._exchanges[attempt_id]
        self._closed.pop(attempt_id, None)
