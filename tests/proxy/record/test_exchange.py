"""The arithmetic of one exchange: what its three records say of times, sizes and the answer."""

import pytest

from proxy.model import (
    Cost,
    CostSource,
    ErrorType,
    Outcome,
    RateLimits,
    Reading,
    Usage,
    UsageSource,
)
from proxy.record.codec import AskedCall, Close, Open, PartUsage
from proxy.record.exchange import Exchange, Settlement

BEGAN = 1000.0
OPEN = Open("a1", "s1", 5_000_000, "here", "acme")
DONE = (Outcome.COMPLETED, ErrorType.NONE)


def exchange(**measures: float) -> Exchange:
    made = Exchange(OPEN, BEGAN)
    for name, value in measures.items():
        setattr(made.measures, name, value)
    return made


def closed(made: Exchange, now: float = BEGAN + 2) -> Close:
    return made.close(now, *DONE, Reading(), Settlement())


def test_an_exchange_of_which_nothing_is_known_says_nothing_but_its_end():
    assert closed(exchange()) == Close(
        "a1", 7_000_000, Outcome.COMPLETED, duration_us=2_000_000, request_bytes=0
    )


def test_wall_clock_times_follow_the_monotonic_clock_from_admission_on():
    made = exchange()
    assert closed(made, BEGAN + 0.25).closed_us == OPEN.ts_us + 250_000
    assert made.end(BEGAN + 1.5, *DONE).ended_us == OPEN.ts_us + 1_500_000


@pytest.mark.parametrize(
    ("measure", "value", "column", "microseconds"),
    [
        ("connect_seconds", 0.0125, "connect_us", 12_500),
        ("connect_seconds", -0.1, "connect_us", 0),
        ("first_byte_at", BEGAN + 0.5, "ttfb_us", 500_000),
        ("first_byte_at", BEGAN - 0.5, "ttfb_us", 0),
        ("first_token_at", BEGAN + 0.75, "ttft_us", 750_000),
    ],
)
def test_each_moment_becomes_a_duration_that_is_never_negative(
    measure: str, value: float, column: str, microseconds: int
):
    assert getattr(closed(exchange(**{measure: value})), column) == microseconds


@pytest.mark.parametrize(
    ("chunks", "gap_us"), [(0, None), (1, None), (2, 300_000), (9, 300_000)]
)
def test_there_is_a_gap_only_between_two_chunks(chunks: int, gap_us: int | None):
    made = exchange(chunks=chunks, max_gap_seconds=0.3)
    assert closed(made).max_gap_us == gap_us
    assert made.end(BEGAN + 3, *DONE).max_gap_us == gap_us


OVERHEADS = {
    "never sent": ({"connect_seconds": 1.0}, None),
    "sent and never answered": ({"sent_at": BEGAN + 0.010}, 10_000),
    "answered, head not given on": ({"sent_at": BEGAN + 0.010, "first_byte_at": BEGAN + 1}, 10_000),
    "head given on": (
        {"sent_at": BEGAN + 0.010, "first_byte_at": BEGAN + 1, "head_forwarded_at": BEGAN + 1.002},
        12_000,
    ),
    "less the wait for the agent's body": ({"sent_at": BEGAN + 0.510, "body_wait_seconds": 0.5}, 10_000),
    "less connecting": ({"sent_at": BEGAN + 0.110, "connect_seconds": 0.1}, 10_000),
    "with the wait for the record": ({"sent_at": BEGAN + 0.010, "hold_seconds": 0.005}, 15_000),
    "never negative": ({"sent_at": BEGAN + 0.010, "connect_seconds": 5.0}, 0),
}  # fmt: skip


@pytest.mark.parametrize(
    ("measures", "microseconds"), OVERHEADS.values(), ids=OVERHEADS.keys()
)
def test_overhead_is_what_was_ours(
    measures: dict[str, float], microseconds: int | None
):
    made = exchange(**measures)
    assert closed(made).overhead_us == microseconds
    assert made.end(BEGAN + 9, *DONE).overhead_us == microseconds


def test_close_carries_what_the_answer_said_and_cost():
    made = exchange(chunks=1, request_bytes=10, response_bytes=20)
    made.http_status, made.request_id = 200, "rq"
    made.ratelimits, made.altered = RateLimits(remaining_tokens=5), ["usage_injected"]
    part = PartUsage("m2", Usage(input=1), Cost())
    usage, cost = Usage(input=3), Cost(CostSource.COMPUTED, input=4)
    reading = Reading(
        model="m", response_id="rs", finish_reason="stop", usage_json=b'{"a":"\xff"}'
    )
    settlement = Settlement(usage, UsageSource.PROVIDER, cost, (part,), 128)
    how = (Outcome.REJECTED, ErrorType.AUTH)
    close = made.close(BEGAN, *how, reading, settlement)
    assert close == Close(
        "a1",
        OPEN.ts_us,
        Outcome.REJECTED,
        ErrorType.AUTH,
        200,
        chunks=1,
        request_bytes=10,
        response_bytes=20,
        finish_reason="stop",
        model_served="m",
        request_id="rq",
        response_id="rs",
        ratelimits=RateLimits(remaining_tokens=5),
        usage=usage,
        usage_source=UsageSource.PROVIDER,
        usage_json='{"a":"\N{REPLACEMENT CHARACTER}"}',
        cost=cost,
        parts=(part,),
        ctx_window=128,
        altered=("usage_injected",),
    )
    assert made.closed is close


def test_a_later_fact_changes_the_end_and_never_the_close():
    made = exchange(chunks=2, response_bytes=20)
    close = closed(made)
    made.measures.chunks, made.measures.response_bytes = 3, 30
    made.altered.append("late")
    ended = made.end(BEGAN + 3, Outcome.CLIENT_ABORT, ErrorType.NONE)
    assert (ended.chunks, ended.response_bytes) == (3, 30)
    assert ended.outcome is Outcome.CLIENT_ABORT
    assert (close.chunks, close.response_bytes, close.altered) == (2, 20, ())
    assert made.ended is ended


def test_an_exchange_closes_once():
    made = exchange()
    closed(made)
    with pytest.raises(AssertionError, match="closes once"):
        closed(made)


def test_an_exchange_ends_once_and_not_before_it_closed():
    made = exchange()
    with pytest.raises(AssertionError, match="after it closed"):
        made.end(BEGAN, *DONE)
    closed(made)
    made.end(BEGAN, *DONE)
    with pytest.raises(AssertionError, match="ends once"):
        made.end(BEGAN, *DONE)


def test_an_answer_that_is_shown_again_asks_for_nothing():
    call = AskedCall("c1", "f", 1)
    for settlement, calls in ((Settlement(), (call,)), (Settlement(is_shown_again=True), ())):  # fmt: skip
        made = exchange()
        made.asks = lambda _: (call,)
        assert made.close(BEGAN, *DONE, Reading(), settlement).calls == calls
