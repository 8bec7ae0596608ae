"""The records of one exchange and their bytes.

What lives here: `Open`, `Close`, `End`, `Event`, `Price` and `Memo`, and how they become the payload of a spool frame. What does not:
framing, files and locks (`spool.py`), rows (`exporters/enrich/rows.py`).

A payload is MessagePack: a map with the tag in `t` and only the fields that differ from their defaults. Fields may be
added with a default; none changes its meaning or type. A reader skips, and counts, tags that it does not know, so that an
older exporter can read what a newer worker wrote.

Promise 2: `Open` is written before the upstream is contacted, `Close` before the agent gets the terminal event or the last
byte, `End` when both sides are done. Each upstream exchange writes each of them once; a refused request does, too.
"""

import msgspec

from proxy.errors import RecordError
from proxy.model import (
    Cost,
    ErrorType,
    Kind,
    Outcome,
    RateLimits,
    RunSource,
    Usage,
    UsageSource,
)


class Open(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="o"):
    """What is known at admission. Times are microseconds since the epoch."""

    attempt_id: str
    step_id: str
    ts_us: int
    instance: str
    tenant: str
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
    run_source: RunSource = RunSource.NONE
    turn_seq: int | None = None
    step_seq: int | None = None
    step_name: str = ""
    step_name_source: str = ""
    attempt: int = 0
    retry_layer: str = ""
    is_step: bool = True
    kind: Kind = Kind.OTHER
    route: str = ""
    provider: str = ""
    operation: str = ""
    dialect: str = ""
    model_requested: str = ""
    stream: bool = False
    tags: dict[str, str] = {}
    inflight: int = 0
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""


class PartUsage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens and cost of another model billed inside the answer; becomes a row with `part` > 0."""

    model: str
    usage: Usage
    cost: Cost


class AskedCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tool call that the answer asks for."""

    id: str
    """The provider's, or ours where that names no one call."""
    tool: str
    args_hash: int
    """Keyed, of the arguments in their canonical form."""
    problem: str = ""
    """A word of `proxy.judge.call_checks.Problem`."""


class Close(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="c"):
    """All that is known before the terminal event or last byte goes to the agent. Durations are microseconds."""

    attempt_id: str
    closed_us: int
    """Wall clock, microseconds since the epoch."""
    outcome: Outcome
    """The outcome if the agent gets the rest."""
    error_type: ErrorType = ErrorType.NONE
    http_status: int | None = None
    connect_us: int | None = None
    """Name look-up, TCP and TLS; `None` on a reused connection."""
    ttfb_us: int | None = None
    """From admission to the first byte of the answer's head."""
    ttft_us: int | None = None
    """From admission to the first output token of a stream."""
    duration_us: int = 0
    """From admission to the terminal event's arrival, or to the end."""
    overhead_us: int | None = None
    """What of the time was ours."""
    max_gap_us: int | None = None
    chunks: int = 0
    request_bytes: int | None = None
    response_bytes: int = 0
    finish_reason: str = ""
    model_served: str = ""
    request_id: str = ""
    response_id: str = ""
    ratelimits: RateLimits = RateLimits()
    verdict_policy: str = ""
    verdict_action: str = ""
    verdict_reason: str = ""
    breaker_state: str = ""
    usage: Usage = Usage()
    usage_source: UsageSource = UsageSource.NONE
    usage_json: str = ""
    cost: Cost = Cost()
    parts: tuple[PartUsage, ...] = ()
    ctx_window: int | None = None
    altered: tuple[str, ...] = ()
    calls: tuple[AskedCall, ...] = ()


class End(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="e"):
    """What came after `Close`: final sizes, and whether the agent got it all."""

    attempt_id: str
    ended_us: int
    outcome: Outcome
    error_type: ErrorType = ErrorType.NONE
    response_bytes: int = 0
    chunks: int = 0
    max_gap_us: int | None = None
    overhead_us: int | None = None


class Event(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="v"):
    """Something worth a row in `events` that is not an exchange."""

    event_id: str
    ts_us: int
    type: str
    tenant: str = ""
    agent: str = ""
    run_id: str = ""
    step_id: str = ""
    policy: str = ""
    action: str = ""
    reason: str = ""
    source: str = ""
    value: str = ""
    """A decimal number as text, in the unit of `type`; empty where there is none."""
    threshold: str = ""
    route: str = ""
    model: str = ""
    detail: str = ""


class Price(msgspec.Struct, frozen=True, tag_field="t", tag="p"):
    """What a `price_version` means for a model; comes before the first `Close` that names it, and again now and then."""

    price_version: str
    provider: str
    model: str
    """The name that was priced: the model served, or the one asked for."""
    ts_us: int
    """When it was first used since the last such record; microseconds since the epoch."""
    terms: str
    """JSON: the table's own name of the model, and its rates in dollars by unit, with tiers, times and variants."""


class Memo(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="m"):
    """What was learned of a run, for the writer's successor alone; no row is made of it."""

    said: bytes
    """In the words of `proxy.state`."""
    about: str = ""
    """`accounts`: what a call claimed, or what settled it; empty: the run."""


Record = Open | Close | End | Event | Price | Memo

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)


class _Tag(msgspec.Struct):
    t: str


_tag_decoder = msgspec.msgpack.Decoder(_Tag)
KNOWN_TAGS = frozenset({"o", "c", "e", "v", "p", "m"})


def encode(record: Record) -> bytes:
    """Give the payload of one frame."""
    return _encoder.encode(record)


def decode(payload: bytes) -> Record | None:
    """Read a payload; `None` for a tag of a newer version, `RecordError` for bytes that are not a record."""
    try:
        return _decoder.decode(payload)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        if _tag_of(payload) not in KNOWN_TAGS | {None}:
            return None
        raise RecordError(f"a spool record cannot be read: {error}") from error


def _tag_of(payload: bytes) -> str | None:
    try:
        return _tag_decoder.decode(payload).t
    except msgspec.DecodeError:
        return None
