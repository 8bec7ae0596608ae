"""The rows of the tables `steps`, `events` and `prices`: every column, in the order of the design, as JSON carries it.

What lives here: the structs. What does not: how records become rows (`rows.py`), the tables (`clickhouse/schema.py`,
which a test compares with these fields).

Absent is null, or the empty string where the column is text. Money is a string with twelve decimals. Times are
`YYYY-MM-DD hh:mm:ss.ffffff` in UTC. Durations are microseconds.
"""

import msgspec


class StepRow(msgspec.Struct, frozen=True, kw_only=True):
    """One upstream exchange or refusal (`part` 0), or one more model billed inside its answer (`part` > 0)."""

    instance: str = ""
    tenant: str = ""
    env: str = ""
    agent: str = ""
    agent_source: str = ""
    agent_version: str = ""
    prompt_hash: int | None = None
    caller: str = ""
    session_id: str = ""
    root_run_id: str = ""
    parent_run_id: str = ""
    run_id: str = ""
    run_source: str = ""
    turn_seq: int | None = None

    step_id: str = ""
    step_seq: int | None = None
    step_name: str = ""
    step_name_source: str = ""
    attempt_id: str
    attempt: int = 0
    part: int = 0
    retry_layer: str = ""
    is_step: bool = False
    kind: str = "other"
    route: str = ""
    provider: str = ""
    operation: str = ""
    model_requested: str = ""
    model_served: str = ""
    stream: bool = False
    altered: tuple[str, ...] = ()
    tags: dict[str, str] = {}

    ts: str
    closed_at: str
    connect_us: int | None = None
    ttfb_us: int | None = None
    ttft_us: int | None = None
    duration_us: int | None = None
    overhead_us: int | None = None
    max_gap_us: int | None = None
    chunks: int | None = None
    inflight: int | None = None

    http_status: int | None = None
    outcome: str
    error_type: str = ""
    finish_reason: str = ""
    verdict_policy: str = ""
    verdict_action: str = ""
    verdict_reason: str = ""
    breaker_state: str = ""
    request_id: str = ""
    response_id: str = ""
    ratelimit_limit_requests: int | None = None
    ratelimit_remaining_requests: int | None = None
    ratelimit_limit_tokens: int | None = None
    ratelimit_remaining_tokens: int | None = None

    request_bytes: int | None = None
    response_bytes: int | None = None
    tok_input: int | None = None
    tok_cache_read: int | None = None
    tok_cache_write: int | None = None
    tok_cache_write_long: int | None = None
    tok_output: int | None = None
    tok_reasoning: int | None = None
    tok_audio_in: int | None = None
    tok_audio_out: int | None = None
    tok_image_in: int | None = None
    usage_source: str = "none"
    usage_json: str = ""
    cost_input_usd: str | None = None
    cost_cache_read_usd: str | None = None
    cost_cache_write_usd: str | None = None
    cost_output_usd: str | None = None
    cost_reasoning_usd: str | None = None
    cost_other_usd: str | None = None
    cost_usd: str | None = None
    rate_input: str | None = None
    cost_source: str = "unpriced"
    price_version: str = ""
    ctx_window: int | None = None

    ctx_hash: tuple[int, ...] = ()
    ctx_kind: tuple[str, ...] = ()
    ctx_new: tuple[bool, ...] = ()
    ctx_tokens: tuple[int, ...] = ()
    ctx_cost: tuple[str, ...] = ()
    ctx_call: tuple[str, ...] = ()
    ctx_status: tuple[str, ...] = ()
    ctx_source: str = ""

    call_id: tuple[str, ...] = ()
    call_tool: tuple[str, ...] = ()
    call_args_hash: tuple[int, ...] = ()
    call_problem: tuple[str, ...] = ()
    call_deps: tuple[tuple[str, ...], ...] = ()

    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """Something worth knowing that is not an exchange."""

    event_id: str
    ts: str
    tenant: str = ""
    agent: str = ""
    run_id: str = ""
    step_id: str = ""
    type: str
    policy: str = ""
    action: str = ""
    reason: str = ""
    source: str = ""
    value: str | None = None
    threshold: str | None = None
    route: str = ""
    model: str = ""
    detail: str = ""


class PriceRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a `price_version` means for a model."""

    price_version: str
    provider: str = ""
    model: str = ""
    valid_from: str | None = None
    terms: str


Row = StepRow | EventRow | PriceRow
