"""What is known of a request before it is identified.

What lives here: the values. What does not: identification (`admission.py`).
"""

from dataclasses import dataclass, field

from proxy.http.headers import Headers
from proxy.identify.hashing import key
from proxy.model import Ask, Client, Kind

NO_ASK = Ask("", "refused", Kind.OTHER, is_step=False)
"""Of a request that was answered here before anything of it was read."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What all calls of this installation have in common."""

    instance: str
    tenant: str
    env: str
    agent: str
    secret: bytes = field(repr=False)

    @property
    def seed(self) -> int:
        """The key of all hashes of what was said."""
        return key(0, b"seed", self.secret.hex())


@dataclass(frozen=True, slots=True)
class Request:
    """What identification looks at."""

    headers: Headers
    method: str
    client: Client
    route: str
    provider: str
    upstream_path: str
    query: bytes
    ask: Ask
    inflight: int
    tenant: str = ""
    agent: str = ""
    run: str = ""
    """These three: what the path named."""
    ignored: int = 0
    """Names in the path that were not valid."""
    body: bytes | None = field(default=None, repr=False)
    """The whole body; `None` where it was not read."""
    size: int = 0
    """Bytes of the body, where it says how many, read or not."""
    origin: str = ""
    """Scheme, host and port of the upstream."""
    peer: tuple[str, int] = ("", 0)
    """Address and port of the other end of the connection."""
