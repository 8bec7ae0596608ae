"""What a request asks and what its answer says."""

import msgspec

from proxy.model.tokens import Usage
from proxy.model.words import ErrorType, Kind


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
    tool: str = ""
    """The tool that an MCP `tools/call` names."""
    service_tier: str = ""
    input_chars: int = 0
    """Characters of prompt text; the basis of an estimate when the provider gives no count."""
    max_output_tokens: int | None = None
    choices: int = 1
    """How many answers to the same prompt it asks for, where streams need that to know their end."""
    well_formed: bool = True
    """Whether the body could be read as this family's request."""
    awaited: tuple[str, ...] = ()
    """Ids of the messages that the answer must bring (MCP)."""


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
    details: tuple[tuple[str, int], ...] = ()
    """Tokens inside of a bucket that have a price of their own, as (unit of `proxy.meter.rates.DETAIL_UNITS`, count)."""
    server_tool_uses: tuple[tuple[str, int], ...] = ()
    """What is billed by use beside tokens, e.g. server-run tools: (name, count)."""
    cost: int | None = None
    """The provider's own total for this answer, in pico-dollars; `None` where it does not say."""
    service_tier: str = ""
    error_type: ErrorType = ErrorType.NONE
    error_code: str = ""
    error_in_stream: bool = False
    """An error event came after a 200."""
    error_answer: bool = False
    """The answer came whole, with a 200, and is an error in the protocol's own words (MCP); `error_type` says whose fault."""
    expects_terminal: bool = False
    """This kind of answer ends with a terminal event; its absence means that it was cut."""
    terminal: bool = False
    output_chars: int = 0
    """Characters of visible output and tool arguments; the basis of an estimate for a cut stream."""
    reasoning_chars: int = 0
    output_text: str = ""
    """The visible output, or its beginning; bounded. Never written down as it is."""
    reasoning_text: str = ""
    output_deltas: int = 0
    """In how many pieces a stream brought visible output and tool arguments: many providers send each token on its own."""
    reasoning_deltas: int = 0
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
