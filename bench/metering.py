"""What metering costs: processor time per call and per streamed event, paired with metering off.

What lives here: a ledger of the data path that is fed in this process, and the arithmetic. What does not: the answers (`answers.py`), sockets (`scenarios.py`), for their cost is a hundred times what is looked for here, and so is their noise.

Method. A round feeds one answer to a `Ledger` as the relay does (`answered`, then for each chunk `passed` and `terminal`, at last
`finish`), once with the family's dialect and once with `plain_http`, which keeps nothing; their order changes from round to round.
The difference of the two is what metering costs: reading the request, reading the answer, settling tokens and dollars. Records go
nowhere. The figure is the median of the differences; the spread is from the first to the third quartile. The cost of an event is
the difference between a long stream and a short one, by the events that the long one has more; what a stream costs beside its events
stands in a line of its own.
"""

import gc
import statistics
import sys
from collections.abc import Iterator, Sequence
from time import process_time_ns
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from bench.answers import PATHS, REQUEST, document, events
from proxy.asked import Asking
from proxy.desk import Desk
from proxy.forward.http1 import AnswerHead, Framing
from proxy.forward.watch import Ending
from proxy.ledger import Ledger
from proxy.meter.billed import BilledResponses
from proxy.meter.book import PriceBook
from proxy.meter.dialect import Dialect
from proxy.meter.dialects import recognise
from proxy.meter.dialects.plain_http import PlainHttp
from proxy.meter.prices import PriceTable
from proxy.model import Kind, Outcome
from proxy.record.codec import Open
from proxy.record.exchange import Settlement
from proxy.settling import Settler

SHORT, LONG = 40, 440
ROUNDS, WARM_UP = 301, 10


class Cost(msgspec.Struct, frozen=True):
    """What one sort of answer costs, in microseconds of processor time."""

    family: str
    sort: str
    """`json`: request and answer of 1.5 KB are read. `settled`: and become tokens, dollars and a record. `event 1`, `event 4`: an event, so many in a chunk. `stream`: the rest of a stream."""
    median_us: float
    lower_us: float
    upper_us: float


def measure(rounds: int = ROUNDS) -> list[Cost]:
    """Measure all families and sorts."""
    settler = Settler(PriceBook(PriceTable.load()), BilledResponses(100))
    gc.collect()
    gc.disable()
    try:
        return [cost for family in PATHS for cost in _costs_of(family, settler, rounds)]
    finally:
        gc.enable()


def _costs_of(family: str, settler: Settler, rounds: int) -> Iterator[Cost]:
    def added(chunks: list[bytes]) -> Iterator[float]:
        return _added(PATHS[family], chunks, settler, rounds)

    answer = [document(family)]
    unsettled = _added(PATHS[family], answer, _unsettled(), rounds)
    yield _cost(family, "json", list(unsettled))
    yield _cost(family, "settled", list(added(answer)))
    for size in (1, 4):
        long, short = (chunked(events(family, count), size) for count in (LONG, SHORT))
        pairs = list(zip(added(long), added(short), strict=True))
        more = [(a - b) / (LONG - SHORT) for a, b in pairs]
        each = statistics.median(more)
        yield _cost(family, f"event {size}", more)
        yield _cost(family, f"stream {size}", [b - each * SHORT for _, b in pairs])


def line_of(cost: Cost) -> str:
    """Give a cost as one line."""
    return (
        f"  metering {cost.family:<22} {cost.sort:<9} {cost.median_us:8.3f} us cpu"
        f"  ({cost.lower_us:.3f} to {cost.upper_us:.3f})"
    )


def chunked(made: Sequence[bytes], size: int) -> list[bytes]:
    """Put so many events into a chunk."""
    return [b"".join(made[at : at + size]) for at in range(0, len(made), size)]


def _cost(family: str, sort: str, each: list[float]) -> Cost:
    low, middle, high = (round(part, 3) for part in statistics.quantiles(each, n=4))
    return Cost(family, sort, middle, low, high)


def _added(
    path: str, chunks: list[bytes], settler: Settler, rounds: int
) -> Iterator[float]:
    """Give what metering adds in each round, in microseconds."""
    family, _ = recognise(Kind.LLM, "", "POST", path)
    for number in range(-WARM_UP, rounds):
        took: dict[bool, int] = {}
        for metered in (True, False) if number % 2 else (False, True):
            dialect: Dialect = family if metered else PlainHttp()
            took[metered] = _round(dialect, path, chunks, settler)
        if number >= 0:
            yield (took[True] - took[False]) / 1e3


def _round(dialect: Dialect, path: str, chunks: list[bytes], settler: Settler) -> int:
    """Give the nanoseconds that one exchange took."""
    desk = desk_of(settler)
    opened = Open("a", "s", 1_790_000_000_000_000, "i", "t", provider="openai")
    inbox = SimpleNamespace(chunks=1, max_gap=0.0, last_at=2.0)
    connection: Any = SimpleNamespace(inbox=inbox)
    whole = len(chunks) == 1
    content_type = b"application/json" if whole else b"text/event-stream"
    headers = [(b"content-type", content_type)]
    head = AnswerHead(200, b"OK", headers, 1, Framing.CHUNKED, None, keep_alive=True)
    began = process_time_ns()
    operation = dialect.operation("POST", path)
    assert operation is not None
    ask = dialect.read_request(operation, REQUEST)
    ledger = Ledger(desk, opened, 0.0, ask, dialect)
    ledger.sent(len(REQUEST))
    ledger.answered(head, 1.0)
    for chunk in chunks:
        ledger.passed(chunk, connection)
        _ = ledger.terminal  # as the relay asks
    ledger.finish(Ending(Outcome.COMPLETED))
    took = process_time_ns() - began
    closed = ledger.exchange.closed
    if dialect.name != PlainHttp.name and not (closed and closed.usage_json):
        raise ValueError(f"{path} was not metered")
    return took


def _unsettled() -> Settler:
    """Give one that neither estimates nor prices."""
    nothing: Any = SimpleNamespace(settle=lambda *_: Settlement(), book=None)
    return cast("Settler", nothing)


def desk_of(settler: Settler) -> Desk:
    nowhere: Any = SimpleNamespace(append=_nothing)
    return Desk(
        spool=nowhere,
        settler=settler,
        asking=Asking(0, _nothing, _nothing),
        applied=_nothing,
        under_way=_nothing,
        noted=_nothing,
        judged=_nothing,
        answer_judged=_nothing,
        fault=_nothing,
        new_id=str,
        meter_buffer_bytes=8 << 20,
        response_headers=False,
    )


def _nothing(*_: object) -> None: ...


if __name__ == "__main__":
    sys.stdout.write("\n".join(map(line_of, measure())) + "\n")
