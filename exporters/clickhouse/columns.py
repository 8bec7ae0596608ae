"""The columns of the tables: names, types and codecs, in order.

What lives here: the columns. What does not: keys, partitions, DDL (`schema.py`). `exporters/enrich/columns.py` has the same names as
the fields of its rows; a test holds the two together.
"""

from typing import Final

TEXT = "String CODEC(ZSTD(1))"
WORD = "LowCardinality(String)"
TIME = "DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD(1))"
MICROSECONDS = "Nullable(UInt64) CODEC(T64, ZSTD(1))"
COUNT = "Nullable(UInt64) CODEC(T64, ZSTD(1))"
MONEY = "Nullable(Decimal(18, 12)) CODEC(ZSTD(1))"
NUMBER = "Nullable(UInt32) CODEC(T64, ZSTD(1))"

STEPS: Final[tuple[tuple[str, str], ...]] = (
    # who
    ("instance", WORD),
    ("tenant", WORD),
    ("env", WORD),
    ("agent", WORD),
    ("agent_source", WORD),
    ("agent_version", WORD),
    ("prompt_hash", "Nullable(UInt64) CODEC(ZSTD(1))"),
    ("caller", WORD),
    ("session_id", TEXT),
    ("root_run_id", TEXT),
    ("parent_run_id", TEXT),
    ("run_id", TEXT),
    ("run_source", WORD),
    ("turn_seq", NUMBER),
    # what
    ("step_id", TEXT),
    ("step_seq", NUMBER),
    ("step_name", WORD),
    ("step_name_source", WORD),
    ("attempt_id", TEXT),
    ("attempt", "UInt16 CODEC(T64, ZSTD(1))"),
    ("part", "UInt8 CODEC(T64, ZSTD(1))"),
    ("retry_layer", WORD),
    ("is_step", "Bool"),
    ("kind", WORD),
    ("route", WORD),
    ("provider", WORD),
    ("operation", WORD),
    ("model_requested", WORD),
    ("model_served", WORD),
    ("stream", "Bool"),
    ("altered", f"Array({WORD})"),
    ("tags", f"Map({WORD}, String) CODEC(ZSTD(1))"),
    # when
    ("ts", TIME),
    ("closed_at", TIME),
    ("connect_us", MICROSECONDS),
    ("ttfb_us", MICROSECONDS),
    ("ttft_us", MICROSECONDS),
    ("duration_us", MICROSECONDS),
    ("overhead_us", MICROSECONDS),
    ("max_gap_us", MICROSECONDS),
    ("chunks", NUMBER),
    ("inflight", NUMBER),
    # how it ended
    ("http_status", "Nullable(UInt16) CODEC(ZSTD(1))"),
    ("outcome", WORD),
    ("error_type", WORD),
    ("finish_reason", WORD),
    ("verdict_policy", WORD),
    ("verdict_action", WORD),
    ("verdict_reason", WORD),
    ("breaker_state", WORD),
    ("request_id", TEXT),
    ("response_id", TEXT),
    ("ratelimit_limit_requests", COUNT),
    ("ratelimit_remaining_requests", COUNT),
    ("ratelimit_limit_tokens", COUNT),
    ("ratelimit_remaining_tokens", COUNT),
    # how much
    ("request_bytes", COUNT),
    ("response_bytes", COUNT),
    ("tok_input", COUNT),
    ("tok_cache_read", COUNT),
    ("tok_cache_write", COUNT),
    ("tok_cache_write_long", COUNT),
    ("tok_output", COUNT),
    ("tok_reasoning", COUNT),
    ("tok_audio_in", COUNT),
    ("tok_audio_out", COUNT),
    ("tok_image_in", COUNT),
    ("usage_source", WORD),
    ("usage_json", "String CODEC(ZSTD(3))"),
    ("cost_input_usd", MONEY),
    ("cost_cache_read_usd", MONEY),
    ("cost_cache_write_usd", MONEY),
    ("cost_output_usd", MONEY),
    ("cost_reasoning_usd", MONEY),
    ("cost_other_usd", MONEY),
    ("cost_usd", MONEY),
    ("rate_input", MONEY),
    ("cost_source", WORD),
    ("price_version", WORD),
    ("ctx_window", NUMBER),
    # what it carried
    ("ctx_hash", "Array(UInt64) CODEC(ZSTD(1))"),
    ("ctx_kind", f"Array({WORD})"),
    ("ctx_new", "Array(Bool) CODEC(ZSTD(1))"),
    ("ctx_tokens", "Array(UInt32) CODEC(ZSTD(1))"),
    ("ctx_cost", "Array(Decimal(18, 12)) CODEC(ZSTD(1))"),
    ("ctx_call", "Array(String) CODEC(ZSTD(1))"),
    ("ctx_status", f"Array({WORD})"),
    ("ctx_source", WORD),
    # what it asked for
    ("call_id", "Array(String) CODEC(ZSTD(1))"),
    ("call_tool", f"Array({WORD})"),
    ("call_args_hash", "Array(UInt64) CODEC(ZSTD(1))"),
    ("call_problem", f"Array({WORD})"),
    ("call_deps", "Array(Array(String)) CODEC(ZSTD(1))"),
    # tracing
    ("trace_id", TEXT),
    ("span_id", TEXT),
    ("parent_span_id", TEXT),
)

EVENTS: Final[tuple[tuple[str, str], ...]] = (
    ("event_id", TEXT),
    ("ts", TIME),
    ("tenant", WORD),
    ("agent", WORD),
    ("run_id", TEXT),
    ("step_id", TEXT),
    ("type", WORD),
    ("policy", WORD),
    ("action", WORD),
    ("reason", WORD),
    ("source", WORD),
    ("value", "Nullable(Decimal(38, 12)) CODEC(ZSTD(1))"),
    ("threshold", "Nullable(Decimal(38, 12)) CODEC(ZSTD(1))"),
    ("route", WORD),
    ("model", WORD),
    ("detail", "String CODEC(ZSTD(3))"),
)

PRICES: Final[tuple[tuple[str, str], ...]] = (
    ("price_version", WORD),
    ("provider", WORD),
    ("model", WORD),
    ("valid_from", "Nullable(DateTime64(6, 'UTC'))"),
    ("terms", "String CODEC(ZSTD(3))"),
)
"""What `price_version` means in a row of `steps`, for its provider and its model: `model IN (model_served, model_requested)`.

`terms` is JSON: `model` (the table's own name of it), `prices` (each with `usd` by unit, dollars for a million tokens or for what the unit's
name says, as `"2.5"` or with steps as `["2.5", [[200000, "5"]]]`, and when it holds: `from`, `daily`) and `variants` (what holds `when` the
request is a batch or has a service tier). `valid_from` is when a worker first used them that day: the same terms may stand in several rows,
`LIMIT 1 BY price_version, provider, model` gives one.
"""
