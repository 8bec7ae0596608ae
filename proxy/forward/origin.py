"""What goes to a provider, where that is, and how long it may take."""

from dataclasses import dataclass, replace


@dataclass(slots=True, frozen=True)
class Origin:
    """Where a connection goes; connections to equal origins may be shared."""

    host: str
    port: int
    tls: bool
    ca_file: str = ""
    allow_link_local: bool = False


@dataclass(slots=True, frozen=True)
class Limits:
    """Time limits in seconds (`None`: no limit) and sizes in bytes."""

    connect_seconds: float
    first_byte_seconds: float | None
    idle_seconds: float | None
    max_head_bytes: int


@dataclass(slots=True, frozen=True)
class UpstreamRequest:
    """What goes to the provider."""

    origin: Origin
    limits: Limits
    method: bytes
    head: bytes
    body: bytes = b""
    """All of the body, or what of it was read before it was found to be too large."""
    more: bool = False
    """The rest of the body is still with the agent and is sent as it comes."""
    chunked: bool = False
    upgrade: bool = False
    """The agent asks for another protocol and the route allows it."""
    plain_head: bytes | None = None
    plain_body: bytes = b""
    """The agent's own request, where `head` and `body` were altered and the upstream may refuse that."""

    def altered(self, head: bytes, body: bytes) -> "UpstreamRequest":
        """Give the request with another head and body; the agent's own stay with it."""
        return replace(
            self, head=head, body=body, plain_head=self.head, plain_body=self.body
        )
