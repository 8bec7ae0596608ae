"""Where Redis is, as the settings say it: `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`, `rediss://` with TLS, or `unix:///PATH`.

What lives here: reading the URL and making the connection of it. What does not: using it (`redis_line.py`). No error quotes the URL, which
may hold a password.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from redis.asyncio.connection import Connection as TcpConnection
from redis.asyncio.connection import parse_url

from proxy.config import wrong_with

DEFAULT_PORT = 6379


class Connection(Protocol):
    """What is used of redis-py's connections."""

    async def connect(self) -> None:
        """Connect and log in."""

    async def disconnect(self, nowait: bool = False) -> None:
        """Close."""

    def pack_commands(self, commands: Sequence[Sequence[Any]]) -> list[bytes]:
        """Write commands."""

    async def send_packed_command(
        self, command: list[bytes], check_health: bool = True
    ) -> None:
        """Send them."""

    async def read_response(self, disable_decoding: bool = False) -> Any:
        """Read one reply; errors are raised."""


@dataclass(frozen=True, slots=True)
class Place:
    """A URL that was understood."""

    name: str
    """For logs."""
    options: dict[str, Any] = field(repr=False)

    def connection(self) -> Connection:
        """Make a connection that is yet to be connected."""
        options = dict(self.options)
        kind = options.pop("connection_class", TcpConnection)
        made = kind(**options, socket_timeout=None, protocol=2, driver_info=None)
        return cast(Connection, made)


def place_of(url: str) -> Place:
    """Read a URL. Raises `ValueError`, which says what would be right and not what was given."""
    if wrong := wrong_with(url):
        raise ValueError(wrong)
    try:
        options: dict[str, Any] = dict(parse_url(url))
    except ValueError:
        raise ValueError("a URL whose options have values that Redis's client takes") from None  # fmt: skip
    if "path" in options:
        return Place(f"unix:{options['path']}", options)
    port = options.setdefault("port", DEFAULT_PORT)
    return Place(f"{options['host']}:{port}/{options.get('db', 0)}", options)
