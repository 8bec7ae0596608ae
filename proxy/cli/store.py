"""Asking a store over ClickHouse's HTTP interface, embedded or a server.

What lives here: `Store`, one statement out and the answer back, and where a running embedded store listens. What does not: a store
that does not run (`store_alone.py`), the command (`sql.py`).
"""

import base64
import http.client
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import urlencode, urlsplit

from proxy.cli.output import ReaderLeftError, complain
from proxy.config import Settings, ensure_data_dir
from proxy.errors import TachoError

STARTING_SECONDS = 30.0
"""How long a store may take to come (back) under a supervisor that runs."""
CONNECT_SECONDS = 10.0


class Sink(Protocol):
    """Where an answer goes, as it comes."""

    def write(self, chunk: bytes, /) -> object:
        """Take some bytes."""

    def flush(self) -> None:
        """See to it that they are where they are meant to go."""


@dataclass(frozen=True, slots=True)
class Store:
    """A ClickHouse at an http(s) URL, and who asks."""

    url: str = field(repr=False)
    """May hold credentials, too."""
    user: str
    password: str = field(repr=False)
    database: str
    ca_file: str = ""

    @classmethod
    def embedded(cls, settings: Settings, address: str) -> "Store":
        """Describe the embedded store at `HOST:PORT`, read by its read token."""
        token = ensure_data_dir(settings).read_token
        return cls(
            f"http://{address}",
            "default",
            token,
            settings.exporters.clickhouse.database,
        )

    def ask(
        self,
        statement: str,
        output_format: str,
        out: Sink,
        parameters: Mapping[str, str] | None = None,
    ) -> int:
        """Send one statement, copy the answer to `out`; complain in one line and give 1 where there is none.

        `parameters` are the values of `{name:Type}` in the statement.
        """
        parts = urlsplit(self.url)
        asked = {"database": self.database, "default_format": output_format}
        asked |= {
            f"param_{name}": _escaped(value)
            for name, value in (parameters or {}).items()
        }
        query = urlencode(asked)
        connection = self._connection(parts.scheme, parts.hostname or "", parts.port)
        try:
            connection.connect()
            if connection.sock is not None:
                connection.sock.settimeout(None)  # a long query is no fault
            connection.request(
                "POST",
                f"{parts.path or '/'}?{query}",
                statement.encode(),
                self._headers(),
            )
            return _copy(connection.getresponse(), out)
        except (OSError, http.client.HTTPException) as error:
            complain(
                f"no answer from the store at {parts.scheme}://{parts.netloc.rpartition('@')[2]}: {error}"
            )
            return 1
        finally:
            connection.close()

    def _headers(self) -> dict[str, str]:
        credentials = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return {
            "Authorization": f"Basic {credentials}",
            "Content-Type": "text/plain; charset=utf-8",
        }

    def _connection(
        self, scheme: str, host: str, port: int | None
    ) -> http.client.HTTPConnection:
        if scheme == "https":
            import ssl

            trust = ssl.create_default_context(cafile=self.ca_file or None)
            return http.client.HTTPSConnection(
                host, port or 8443, timeout=CONNECT_SECONDS, context=trust
            )
        return http.client.HTTPConnection(host, port or 8123, timeout=CONNECT_SECONDS)


def _escaped(value: str) -> str:
    """Write a parameter as ClickHouse reads it: like a field of TabSeparated."""
    escapes = {"\\": "\\\\", "\t": "\\t", "\n": "\\n"}
    return "".join(escapes.get(character, character) for character in value)


def _copy(response: http.client.HTTPResponse, out: Sink) -> int:
    if response.status != 200 or response.getheader("X-ClickHouse-Exception-Code"):
        complain(
            readable_error(
                response.read(1 << 20).decode("utf-8", "replace"), response.status
            )
        )
        return 1
    while chunk := response.read1(1 << 16):
        _pass_on(chunk, out)
    return 0


def _pass_on(chunk: bytes, out: Sink) -> None:
    try:
        out.write(chunk)
        out.flush()
    except BrokenPipeError as error:
        raise ReaderLeftError from error


def readable_error(text: str, status: int) -> str:
    """Give the sentence of a ClickHouse error, without stack, version and echo of its class."""
    found = re.search(
        r"(?:(?:Code: \d+\. )?DB::Exception: )+(.*?)(?:\s*Stack trace:|\s*\(version [^)]*\)|\Z)",
        text,
        re.DOTALL,
    )
    sentence = found[1].strip() if found else text.strip()
    return sentence or f"the store answered {status} and said nothing"


async def running_store(data_dir: Path) -> str:
    """Give the address of the running embedded store, or nothing where the product does not run."""
    import asyncio  # with the client, longer to import than most answers take; see `open_store.py`

    from proxy.control_client import ControlClient, UnreachableError

    loop = asyncio.get_running_loop()
    deadline = loop.time() + STARTING_SECONDS
    while True:
        try:
            said = await ControlClient(data_dir, "store").status(5.0)
        except UnreachableError:
            if not await _is_supervised(data_dir):
                return ""
        else:
            return str(said["address"])
        if loop.time() >= deadline:
            raise TachoError("the store does not come up; see why with: tacho status")
        await asyncio.sleep(0.1)


async def _is_supervised(data_dir: Path) -> bool:
    from proxy.control_client import ControlClient, UnreachableError

    for name in ("tacho", "tacho-export"):
        try:
            if (
                "store"
                in (await ControlClient(data_dir, name).status(5.0))["processes"]
            ):
                return True
        except UnreachableError:
            continue
    return False
