"""One request on its way through the phases, and the settings that it sees.

Each phase fills in what it found out; what a phase has not filled in yet is not there to be read.
"""

from copy import copy
from dataclasses import dataclass, field

from proxy.accept.clients import Admission, Clients
from proxy.accept.detours import Detour
from proxy.accept.routes import Match, RouteTable
from proxy.forward.agent import Agent
from proxy.forward.origin import Limits
from proxy.http.headers import Headers
from proxy.http.sigv4 import Signer
from proxy.judge.retries import RetrySettings
from proxy.meter.decode import Inflater
from proxy.meter.dialect import Dialect, Operation


@dataclass(slots=True, frozen=True)
class Snapshot:
    """What a reload replaces; each request keeps the one that it began with."""

    routes: RouteTable
    clients: Clients
    limits: dict[str, Limits]
    """By route's name."""
    request_buffer_bytes: int
    request_buffers_total_bytes: int
    max_inflight: int
    signers: dict[str, Signer] = field(default_factory=dict)
    """By route's name, of those that sign."""
    detours: dict[str, tuple[Detour, ...]] = field(default_factory=dict)
    """By route's name, of those that have fallbacks, in their order."""
    retries: dict[str, RetrySettings] = field(default_factory=dict)
    """By route's name, of those on which the proxy tries again."""


@dataclass(slots=True, frozen=True)
class Accepted:
    """What `accept` found out: where the request goes, who sends it, what it is."""

    match: Match
    admission: Admission
    dialect: Dialect
    operation: Operation
    upgrade: bool
    """It asks for WebSocket, and may."""
    signer: Signer | None = None
    """Signs the request anew; `None` where it goes with the agent's own credential."""

    @property
    def wants_body(self) -> bool:
        """Whether the body is worth reading whole, or must be."""
        return self.operation.buffered or self.signer is not None


@dataclass(slots=True)
class Call:
    """A request between its admission and its last record."""

    agent: Agent
    snapshot: Snapshot
    began: float
    """Monotonic seconds at admission."""
    ts_ns: int
    """Wall clock at admission, nanoseconds since the epoch."""
    headers: Headers = field(init=False)
    body: bytes | None = None
    """The whole body, where it was read."""
    begun: bytes = b""
    """What was read of a body that turned out to be too large to be read whole."""
    is_rewritten: bool = False
    """The body is not the one that the agent sent."""
    buffered_bytes: int = 0
    """How much of the body this call holds in memory until its end."""

    def __post_init__(self) -> None:
        """Index the headers once, for all phases."""
        self.headers = Headers(self.agent.headers)

    def with_body(self, body: bytes) -> "Call":
        """Give the same request with another body, without a content coding."""
        made = copy(self)
        made.body, made.begun, made.is_rewritten = body, b"", True
        return made

    def readable_body(self) -> bytes | None:
        """Give the body without its content coding; `None` where it was not read or cannot be."""
        if self.is_rewritten:
            return self.body
        coding = (self.agent.get(b"content-encoding") or b"").decode("latin-1")
        if not self.body or coding.lower() in ("", "identity"):
            return self.body
        inflater = Inflater(coding, self.snapshot.request_buffer_bytes)
        plain = inflater.feed(self.body)
        broken = inflater.exceeded or inflater.unsupported or inflater.failed
        return None if broken else plain
