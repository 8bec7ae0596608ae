"""The nouns of Tachograph.

What lives here: frozen values that the phases hand to each other, and the closed sets of words that rows, metrics and
dashboards use. What does not: I/O, clocks, settings, behaviour of one phase. Names and value sets are those of the
table `steps`; see `exporters/clickhouse/schema.py`.
"""

import re
from enum import StrEnum

import msgspec

PICO_PER_USD = 10**12
"""Money is an integer number of pico-dollars (1e-12 USD) until it is written as a decimal."""


class Kind(StrEnum):
    """What sort of upstream a call went to."""

    LLM = "llm"
    TOOL = "tool"
    MCP = "mcp"
    EMBEDDING = "embedding"
    OTHER = "other"


class Outcome(StrEnum):
    """How an attempt ended, and thereby whose fault it was."""

    COMPLETED = "completed"
    """The agent got the whole answer, the terminal event included."""
    REJECTED = "rejected"
    """The upstream answered 4xx."""
    UPSTREAM_ERROR = "upstream_error"
    """The upstream answered 5xx, sent an error inside a 200, could not be reached, or broke HTTP."""
    UPSTREAM_ABORT = "upstream_abort"
    """The upstream stopped in the middle: connection lost, body short, or no terminal event."""
    TIMEOUT = "timeout"
    """One of our time limits on the upstream ran out."""
    CLIENT_ABORT = "client_abort"
    """The agent left before the terminal event or last byte."""
    BLOCKED = "blocked"
    """A policy or a limit of ours refused the request; nothing went upstream."""
    PROXY_ERROR = "proxy_error"
    """A fault of ours."""
    PROXY_CRASHED = "proxy_crashed"
    """The proxy died while the call was under way; written by whoever found the open record."""


class ErrorType(StrEnum):
    """Why an attempt did not complete; the column `error_type`."""

    NONE = ""
    RATE_LIMITED = "rate_limited"
    QUOTA = "quota"
    AUTH = "auth"
    NOT_FOUND = "not_found"
    INVALID_REQUEST = "invalid_request"
    TOO_LARGE = "too_large"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    CONNECT = "connect"
    TLS = "tls"
    DNS = "dns"
    CONNECT_TIMEOUT = "connect_timeout"
    TTFB_TIMEOUT = "ttfb_timeout"
    IDLE_TIMEOUT = "idle_timeout"
    BODY_TIMEOUT = "body_timeout"
    WRITE_STALL = "write_stall"
    NO_TERMINAL_EVENT = "no_terminal_event"
    ERROR_IN_STREAM = "error_in_stream"
    CUT = "cut"
    UPSTREAM_PROTOCOL_ERROR = "upstream_protocol_error"
    STALE_CONNECTION = "stale_connection"
    ADMISSION = "admission"
    DRAINING = "draining"
    DISK = "disk"
    INTERNAL = "internal"


class UsageSource(StrEnum):
    """Where the token counts come from."""

    PROVIDER = "provider"
    PARTIAL = "partial"
    """The stream was cut: what the provider had said so far plus an estimate of the rest."""
    ESTIMATED = "estimated"
    NONE = "none"
    """There is nothing to count (a tool call, a model list, a refusal)."""


class CostSource(StrEnum):
    """Where the dollars come from."""

    COMPUTED = "computed"
    PROVIDER = "provider"
    ASSUMED = "assumed"
    UNPRICED = "unpriced"


class RunSource(StrEnum):
    """The rung of the identity ladder that named the run."""

    EXPLICIT = "explicit"
    HARNESS = "harness"
    RESPONSE_ID = "response_id"
    TRACEPARENT = "traceparent"
    CONTINUATION = "continuation"
    ECHO = "echo"
    WINDOW = "window"
    NEW = "new"
    NONE = "none"
    UNMATCHED = "unmatched"


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Token counts in disjoint buckets; `None` means that nobody said, never zero.

    All input is the sum of the input buckets, all output the sum of the output ones.
    """

    input: int | None = None
    """Uncached text input."""
    cache_read: int | None = None
    cache_write: int | None = None
    """Written to the cache with the short lifetime."""
    cache_write_long: int | None = None
    """Written with the long lifetime (Anthropic 1 h, OpenAI 12 h)."""
    output: int | None = None
    """Visible output."""
    reasoning: int | None = None
    audio_in: int | None = None
    audio_out: int | None = None
    image_in: int | None = None

    def __post_init__(self) -> None:
        """Refuse negative counts."""
        if any(count is not None and count < 0 for count in self.buckets()):
            raise ValueError("token counts are never negative")

    def buckets(self) -> tuple[int | None, ...]:
        """Give the nine buckets in the order of the fields."""
        return msgspec.structs.astuple(self)

    def __add__(self, other: "Usage") -> "Usage":
        """Add bucket by bucket; unknown plus known is known."""
        return Usage(
            *(_add(a, b) for a, b in zip(self.buckets(), other.buckets(), strict=True))
        )

    def total(self) -> int:
        """Give the sum of all known buckets."""
        return sum(count for count in self.buckets() if count is not None)


def _add(a: int | None, b: int | None) -> int | None:
    if a is None:
        return b
    return a if b is None else a + b


class Cost(msgspec.Struct, frozen=True, omit_defaults=True):
    """Pico-dollars (1e-12 USD) by part; the total is their sum. `None` everywhere when `source` is `unpriced`."""

    source: CostSource | None = None
    """`None` where there was nothing to price (a tool call, a refusal)."""
    input: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    output: int | None = None
    reasoning: int | None = None
    other: int | None = None
    """Fees: server tools, per-request charges."""
    rate_input: int | None = None
    """Pico-dollars per uncached input token, rounded half-even."""
    price_version: str = ""

    def total(self) -> int | None:
        """Give the sum of the parts, or `None` when nothing is priced."""
        parts = [p for p in self.parts() if p is not None]
        return sum(parts) if parts else None

    def parts(self) -> tuple[int | None, ...]:
        """Give the six parts in the order of the fields."""
        return (
            self.input,
            self.cache_read,
            self.cache_write,
            self.output,
            self.reasoning,
            self.other,
        )


class ToolCall(msgspec.Struct, frozen=True):
    """One call that the model asked for."""

    id: str
    """The provider's id; empty where the family sends none."""
    name: str
    arguments: bytes
    """The arguments as they stood on the wire: JSON text, perhaps broken."""


class Ask(msgspec.Struct, frozen=True):
    """What the request says."""

    dialect: str
    """The wire family that read it; the name of its file in `proxy/meter/dialects/`."""
    operation: str
    """The column `operation`, e.g. `chat`, `responses`, `messages`, `count_tokens`, `http`."""
    kind: Kind
    is_step: bool
    model: str = ""
    stream: bool = False
    includes_usage: bool | None = None
    """The agent's own `stream_options.include_usage`; `None` where it said nothing."""
    background: bool = False
    service_tier: str = ""
    input_chars: int = 0
    """Characters of prompt text; the basis of an estimate when the provider gives no count."""
    max_output_tokens: int | None = None
    well_formed: bool = True
    """Whether the body could be read as this family's request."""


class PartReading(msgspec.Struct, frozen=True):
    """Another model billed inside the same answer (`part` > 0)."""

    model: str
    usage: Usage


class Reading(msgspec.Struct, frozen=True):
    """What the response said, as far as it has been read."""

    model: str = ""
    response_id: str = ""
    finish_reason: str = ""
    usage: Usage | None = None
    """`None` where the provider gave none."""
    usage_json: bytes | None = None
    """The provider's usage object as it stood on the wire (merged for streams that spread it over events)."""
    parts: tuple[PartReading, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    server_tool_uses: tuple[tuple[str, int], ...] = ()
    """Server-run tools that are billed by use: (name, count)."""
    service_tier: str = ""
    error_type: ErrorType = ErrorType.NONE
    error_code: str = ""
    error_in_stream: bool = False
    """An error event came after a 200."""
    expects_terminal: bool = False
    """This kind of answer ends with a terminal event; its absence means that it was cut."""
    terminal: bool = False
    output_chars: int = 0
    """Characters of visible output and tool arguments; the basis of an estimate for a cut stream."""
    reasoning_chars: int = 0
    deferred: bool = False
    """The answer is only accepted (a background response): its tokens come with a later GET."""
    malformed: bool = False
    """The body, or an event of it, could not be read."""


class RateLimits(msgspec.Struct, frozen=True, omit_defaults=True):
    """The provider's limits as its response headers stated them."""

    limit_requests: int | None = None
    remaining_requests: int | None = None
    limit_tokens: int | None = None
    remaining_tokens: int | None = None


class Client(msgspec.Struct, frozen=True):
    """Who calls, as far as a client key says it; `ANONYMOUS` where no keys are set up."""

    name: str = ""
    """The key's name in the settings; empty for `ANONYMOUS`."""
    tenant: str = ""
    """The tenant that the key decides; empty: the installation's."""
    agent: str = ""
    may_set: frozenset[str] = frozenset()
    """What the request itself may name: `tenant`, `agent`."""


ANONYMOUS = Client(may_set=frozenset({"agent"}))
"""Without keys the agent that a request names counts, the tenant does not."""

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def is_id(text: str) -> bool:
    """Tell whether a client may give this text as an id (of a run, a session, a tenant, an agent in a path)."""
    return _ID.fullmatch(text) is not None
