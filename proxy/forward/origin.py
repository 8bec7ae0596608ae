"""Where a request goes, and how long that may take."""

from dataclasses import dataclass


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
