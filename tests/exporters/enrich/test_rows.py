from decimal import Decimal

import msgspec
import pytest

from exporters.enrich.rows import (
    EventRow,
    StepRow,
    crashed_row,
    dollars,
    encode_rows,
    event_row,
    late_end_row,
    step_rows,
    timestamp,
)
from proxy.model import Cost, CostSource, ErrorType, Outcome, RateLimits, Usage
from proxy.record.codec import Event, PartUsage
from tests.helpers.spooled import T0, make_close, make_end, make_open


def test_row_of_a_whole_exchange_has_what_each_record_said():
    opened = make_open(
        "a",
        tags={"team": "x"},
        stream=True,
        turn_seq=2,
        inflight=3,
        prompt_hash=2**64 - 1,
    )
    close = make_close(
        "a",
        altered=("usage",),
        ratelimits=RateLimits(limit_requests=60),
        model_served="gpt",
        max_gap_us=7,
        overhead_us=900,
        request_bytes=55,
        ctx_window=128_000,
    )
    (row,) = step_rows(opened, close, make_end("a", max_gap_us=9))
    assert (
        row.attempt_id,
        row.part,
        row.tenant,
        row.kind,
        row.turn_seq,
        row.inflight,
    ) == ("a", 0, "acme", "llm", 2, 3)
    assert (row.ts, row.closed_at) == (
        "2027-01-15 08:00:00.000000",
        "2027-01-15 08:00:02.000000",
    )
    assert (row.outcome, row.error_type, row.http_status) == ("completed", "", 200)
    assert (row.response_bytes, row.chunks, row.max_gap_us, row.overhead_us) == (
        120,
        3,
        9,
        900,
    )
    assert (row.tok_input, row.tok_output, row.tok_reasoning, row.usage_source) == (
        10,
        5,
        None,
        "provider",
    )
    assert (row.cost_input_usd, row.cost_output_usd) == (
        "0.000001500000",
        "0.000000000002",
    )
    assert (row.cost_usd, row.cost_other_usd, row.cost_source) == (
        "0.000001500002",
        None,
        "computed",
    )
    assert (row.altered, row.tags, row.ratelimit_limit_requests) == (
        ("usage",),
        {"team": "x"},
        60,
    )
    assert (row.prompt_hash, row.request_bytes, row.ctx_window) == (
        2**64 - 1,
        55,
        128_000,
    )


def test_end_has_the_last_word_on_the_outcome():
    end = make_end("a", outcome=Outcome.CLIENT_ABORT, error_type=ErrorType.CUT)
    (row,) = step_rows(make_open("a"), make_close("a"), end)
    assert (row.outcome, row.error_type) == ("client_abort", "cut")


def test_row_without_end_is_what_close_said():
    (row,) = step_rows(make_open("a"), make_close("a"), None)
    assert (row.outcome, row.response_bytes, row.overhead_us) == (
        "completed",
        100,
        None,
    )


def test_row_without_open_knows_its_time_from_the_duration():
    (row,) = step_rows(None, make_close("a"), make_end("a"))
    assert (row.ts, row.tenant, row.kind, row.is_step) == (
        "2027-01-15 08:00:00.000000",
        "",
        "other",
        False,
    )


def test_row_of_an_end_alone_claims_nothing_else():
    (row,) = step_rows(None, None, make_end("a"))
    assert (row.ts, row.closed_at) == (timestamp(T0 + 2_100_000),) * 2
    assert (row.tok_input, row.cost_usd, row.usage_source, row.cost_source) == (
        None,
        None,
        "none",
        "unpriced",
    )


def test_nothing_known_is_a_fault_of_the_caller():
    with pytest.raises(ValueError, match="crashed_row"):
        step_rows(make_open("a"), None, None)


def test_parts_carry_their_own_tokens_and_cost_and_nothing_else():
    part = PartUsage("haiku", Usage(input=4), Cost(CostSource.COMPUTED, input=8))
    parts = step_rows(
        make_open("a", is_step=True), make_close("a", parts=(part, part)), None
    )
    assert [row.part for row in parts] == [0, 1, 2]
    row = parts[1]
    assert (row.attempt_id, row.model_served, row.agent, row.is_step) == (
        "a",
        "haiku",
        "bot",
        False,
    )
    assert (row.tok_input, row.tok_output, row.cost_usd) == (4, None, "0.000000000008")
    assert (
        row.duration_us,
        row.http_status,
        row.response_bytes,
        row.chunks,
        row.inflight,
    ) == (None,) * 5


def test_crashed_row_has_no_usage_and_the_best_known_time():
    row = crashed_row(make_open("a"), T0 + 5)
    assert (row.outcome, row.closed_at, row.duration_us) == (
        "proxy_crashed",
        "2027-01-15 08:00:00.000005",
        None,
    )
    assert (row.usage_source, row.cost_usd) == ("none", None)
    assert crashed_row(make_open("a"), 0).closed_at == timestamp(T0)


def test_values_out_of_their_columns_range_are_brought_into_it():
    close = make_close(
        "a",
        http_status=70_000,
        connect_us=-5,
        usage=Usage(input=2**64 - 1),
        chunks=2**40,
    )
    (row,) = step_rows(make_open("a", ts_us=-1, attempt=99_999), close, None)
    assert (row.http_status, row.connect_us, row.tok_input) == (65_535, 0, 2**63 - 1)
    assert (row.ts, row.attempt, row.chunks) == (
        "1970-01-01 00:00:00.000000",
        65_535,
        2**32 - 1,
    )
    assert timestamp(2**63).startswith("2255-")


@pytest.mark.parametrize(
    ("pico", "text"),
    [
        (None, None),
        (0, "0.000000000000"),
        (1, "0.000000000001"),
        (10**12, "1.000000000000"),
        (-15 * 10**11, "-1.500000000000"),
        (10**20, "999999.999999999999"),
    ],
)
def test_money_is_a_decimal_of_twelve_places(pico, text):
    assert dollars(pico) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("12.5", "12.500000000000"),
        ("NaN", None),
        ("1e30", None),
        ("soon", None),
        ("1e3", "1000.000000000000"),
    ],
)
def test_event_numbers_are_decimals_or_null(text, value):
    row = event_row(Event(event_id="e", ts_us=T0, type="cap", value=text, detail="d"))
    assert (row.event_id, row.type, row.value, row.threshold, row.detail) == (
        "e",
        "cap",
        value,
        None,
        "d",
    )


def test_late_end_is_an_event_of_its_step():
    row = late_end_row(make_end("a"), "acme", "bot", "run-1", "step-a")
    assert (row.type, row.tenant, row.step_id, row.value) == (
        "late_end",
        "acme",
        "step-a",
        "120.000000000000",
    )


def test_rows_are_lines_of_json_with_every_column():
    body = encode_rows(step_rows(make_open("a"), make_close("a"), None))
    assert body.endswith(b"}\n")
    row = msgspec.json.decode(body)
    assert tuple(row) == StepRow.__struct_fields__
    assert (row["prompt_hash"], row["ctx_hash"], row["stream"], row["tags"]) == (
        None,
        [],
        False,
        {},
    )
    assert Decimal(row["cost_usd"]) == Decimal("0.000001500002")
    event = msgspec.json.decode(
        encode_rows([event_row(Event(event_id="e", ts_us=T0, type="t"))])
    )
    assert tuple(event) == EventRow.__struct_fields__


def test_row_of_a_call_that_cost_nothing_known_names_no_source():
    (row,) = step_rows(None, make_close("a", cost=Cost()), make_end("a"))
    assert (row.cost_usd, row.cost_source) == (None, "none")
