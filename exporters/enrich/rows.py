"""Records become rows: pure functions from what is known of an exchange to lines of JSON.

What lives here: the arithmetic from `Open`, `Close`, `End`, `Event` and `Price` to the rows, and their encoding.
What does not: waiting for the records of one exchange (`pending.py`), the columns themselves (`columns.py`).

A row that the store refuses is a batch lost to the dead letters, so each value is brought into its column's range here.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from exporters.enrich.asked import asked_columns
from exporters.enrich.columns import EventRow, PriceRow, Row, StepRow
from proxy.model import PICO_PER_USD, Cost, ErrorType, Outcome, Usage, UsageSource
from proxy.record.codec import Close, End, Event, Open, PartUsage, Price

__all__ = [
    "EventRow",
    "PriceRow",
    "Row",
    "StepRow",
    "crashed_row",
    "encode_rows",
    "event_row",
    "late_end_row",
    "price_row",
    "step_rows",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_US = 9_000_000_000_000_000
"""In the year 2255; DateTime64 ends in 2299."""
_MOST_PICO = 10**18 - 1
"""What Decimal(18, 12) holds: a million dollars."""
_MOST_COUNT = 2**63 - 1
_MOST_NUMBER = 2**32 - 1
_MOST_SMALL = 2**16 - 1
_MOST_PARTS = 2**8 - 1

_encoder = msgspec.json.Encoder()


def step_rows(
    opened: Open | None, close: Close | None, end: End | None
) -> list[StepRow]:
    """Give the rows of one exchange: part 0, and one for each further model billed in its answer.

    At least `close` or `end` is known; what the others would have said is null or empty.
    """
    last = end or close
    if last is None:
        raise ValueError(
            "an exchange without close and end has no row; see crashed_row"
        )
    closed_us = (
        close.closed_us
        if close is not None
        else last.ended_us
        if isinstance(last, End)
        else 0
    )
    began_us = (
        opened.ts_us
        if opened is not None
        else closed_us - (close.duration_us if close is not None else 0)
    )
    row = StepRow(
        **_opened(opened, last.attempt_id),
        **_closed(close, end),
        ts=timestamp(began_us),
        closed_at=timestamp(closed_us),
        outcome=str(last.outcome),
        error_type=str(last.error_type),
    )
    parts = close.parts[:_MOST_PARTS] if close is not None else ()
    return [
        row,
        *(_part_row(row, number, part) for number, part in enumerate(parts, start=1)),
    ]


def crashed_row(
    opened: Open, known_until_us: int, error_type: ErrorType = ErrorType.NONE
) -> StepRow:
    """Give the row of an exchange whose proxy died under it, or lost its end; nobody knows how it went on."""
    return StepRow(
        **_opened(opened, opened.attempt_id),
        ts=timestamp(opened.ts_us),
        closed_at=timestamp(max(known_until_us, opened.ts_us)),
        outcome=str(Outcome.PROXY_CRASHED),
        error_type=str(error_type),
    )


def event_row(event: Event) -> EventRow:
    """Give the row of an event."""
    value, threshold = _number(event.value), _number(event.threshold)
    return EventRow(
        event_id=event.event_id,
        ts=timestamp(event.ts_us),
        tenant=event.tenant,
        agent=event.agent,
        run_id=event.run_id,
        step_id=event.step_id,
        type=event.type,
        policy=event.policy,
        action=event.action,
        reason=event.reason,
        source=event.source,
        value=value,
        threshold=threshold,
        route=event.route,
        model=event.model,
        detail=event.detail,
    )


def price_row(price: Price) -> PriceRow:
    """Give the row that says what a price version means."""
    return PriceRow(
        price_version=price.price_version,
        provider=price.provider,
        model=price.model,
        valid_from=timestamp(price.ts_us),
        terms=price.terms,
    )


def late_end_row(
    end: End, tenant: str, agent: str, run_id: str, step_id: str
) -> EventRow:
    """Give the event for an `End` that came after its row was made."""
    return EventRow(
        event_id=f"late_end-{end.attempt_id}",
        ts=timestamp(end.ended_us),
        tenant=tenant,
        agent=agent,
        run_id=run_id,
        step_id=step_id,
        type="late_end",
        reason=str(end.outcome),
        source="enricher",
        value=_number(str(end.response_bytes)),
        detail=f"attempt_id={end.attempt_id} error_type={end.error_type} chunks={end.chunks}",
    )


def encode_rows(rows: Iterable[Row]) -> bytes:
    """Give rows as JSONEachRow: one object a line."""
    return b"".join(_encoder.encode(row) + b"\n" for row in rows)


def timestamp(us: int) -> str:
    """Write microseconds since the epoch as DateTime64(6) reads them."""
    moment = _EPOCH + timedelta(microseconds=min(max(us, 0), _LAST_US))
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


def dollars(pico: int | None) -> str | None:
    """Write pico-dollars as a decimal with twelve places."""
    if pico is None:
        return None
    sign = "-" if pico < 0 else ""
    whole, rest = divmod(min(abs(pico), _MOST_PICO), PICO_PER_USD)
    return f"{sign}{whole}.{rest:012d}"


def _opened(opened: Open | None, attempt_id: str) -> dict[str, Any]:
    """Give the columns that admission fills; the fields have the columns' names but for a few."""
    if opened is None:
        return {"attempt_id": attempt_id}
    columns = {name: getattr(opened, name) for name in _OPEN_COLUMNS}
    columns |= {
        "kind": str(opened.kind),
        "run_source": str(opened.run_source),
        "attempt": _count(opened.attempt, _MOST_SMALL),
        "inflight": _count(opened.inflight, _MOST_NUMBER),
        "turn_seq": _count(opened.turn_seq, _MOST_NUMBER),
        "step_seq": _count(opened.step_seq, _MOST_NUMBER),
        "prompt_hash": None
        if opened.prompt_hash is None
        else opened.prompt_hash % 2**64,
    }
    return columns


_OPEN_COLUMNS = [
    name for name in Open.__struct_fields__ if name in set(StepRow.__struct_fields__)
]


def _closed(close: Close | None, end: End | None) -> dict[str, Any]:
    sizes = [each for each in (close, end) if each is not None]
    columns: dict[str, Any] = {
        "response_bytes": _count(max(each.response_bytes for each in sizes)),
        "chunks": _count(max(each.chunks for each in sizes), _MOST_NUMBER),
        "max_gap_us": _count(
            max((e.max_gap_us for e in sizes if e.max_gap_us is not None), default=None)
        ),
        "overhead_us": _count(
            next(
                (e.overhead_us for e in reversed(sizes) if e.overhead_us is not None),
                None,
            )
        ),
    }
    if close is not None:
        columns |= {name: getattr(close, name) for name in _CLOSE_TEXTS}
        columns |= {name: _count(getattr(close, name)) for name in _CLOSE_COUNTS}
        columns |= {
            f"ratelimit_{name}": _count(getattr(close.ratelimits, name))
            for name in _RATELIMITS
        }
        columns["http_status"] = _count(close.http_status, _MOST_SMALL)
        columns["ctx_window"] = _count(close.ctx_window, _MOST_NUMBER)
        columns |= _spent(close.usage, close.usage_source, close.cost)
        columns["altered"] = close.altered
        columns |= asked_columns(close.calls)
    return columns


_CLOSE_TEXTS = (
    "finish_reason",
    "model_served",
    "request_id",
    "response_id",
    "verdict_policy",
    "verdict_action",
    "verdict_reason",
    "breaker_state",
    "usage_json",
)
_CLOSE_COUNTS = (
    "connect_us",
    "ttfb_us",
    "ttft_us",
    "duration_us",
    "request_bytes",
)
_RATELIMITS = (
    "limit_requests",
    "remaining_requests",
    "limit_tokens",
    "remaining_tokens",
)


def _spent(usage: Usage, source: UsageSource, cost: Cost) -> dict[str, Any]:
    columns: dict[str, Any] = {
        f"tok_{name}": _count(getattr(usage, name)) for name in Usage.__struct_fields__
    }
    columns |= {
        f"cost_{name}_usd": dollars(getattr(cost, name)) for name in _COST_PARTS
    }
    columns |= {
        "usage_source": str(source),
        "cost_usd": dollars(cost.total()),
        "rate_input": dollars(cost.rate_input),
        "cost_source": str(cost.source or "none"),
        "price_version": cost.price_version,
    }
    return columns


_COST_PARTS = ("input", "cache_read", "cache_write", "output", "reasoning", "other")


def _part_row(row: StepRow, number: int, part: PartUsage) -> StepRow:
    """Repeat who and what, so that the row can be grouped, with the part's own tokens and cost and nothing else."""
    return StepRow(
        **{name: getattr(row, name) for name in _SHARED},
        part=number,
        is_step=False,
        model_served=part.model,
        ts=row.ts,
        closed_at=row.closed_at,
        outcome=row.outcome,
        **_spent(part.usage, UsageSource(row.usage_source), part.cost),
    )


_SHARED = [name for name in _OPEN_COLUMNS if name not in {"is_step", "inflight"}]


def _count(number: int | None, most: int = _MOST_COUNT) -> int | None:
    return None if number is None else min(max(number, 0), most)


def _number(text: str) -> str | None:
    """Write a number as Decimal(38, 12) reads it; what is none, or too large, is null."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return f"{value:.12f}" if value.is_finite() and value.adjusted() < 25 else None
