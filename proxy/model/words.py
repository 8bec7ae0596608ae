"""The closed sets of words that rows, metrics and dashboards use."""

from enum import StrEnum


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
    """The upstream answered 4xx, or the same in its protocol's own words (MCP)."""
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


class RunOutcome(StrEnum):
    """How a run ended: the column `reason` of events of the type `outcome`, and what queries infer where nobody reported."""

    SUCCESS = "success"
    """Only ever reported, never inferred."""
    FAILURE = "failure"
    CAPPED = "capped"
    """A policy stopped it."""
    ABANDONED = "abandoned"
    """The agent left in the middle of an answer."""
    ENDED = "ended"
    """It is over, and nobody said how it went."""
    OPEN = "open"

    @property
    def is_reportable(self) -> bool:
        """Whether a report may say so; an open run has no outcome yet."""
        return self is not RunOutcome.OPEN


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
    TOOL_ERROR = "tool_error"
    """A tool says that it failed, in an answer that is whole (MCP `isError`); the outcome is `completed`."""
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
