"""TLS for tests: the certificate of `tests/data/tls` and the contexts that use it.

What lives here: both sides' contexts, and an origin that speaks TLS. What does not: how the certificate was made (see its README).
"""

import asyncio
import ssl
from pathlib import Path

from tests.helpers.origin import RawOrigin

FOLDER = Path(__file__).resolve().parents[1] / "data" / "tls"
AUTHORITY = str(FOLDER / "authority.pem")
OTHER_AUTHORITY = str(FOLDER / "other_authority.pem")
CERTIFICATE = str(FOLDER / "server.pem")
KEY = str(FOLDER / "server.key")


def server_context() -> ssl.SSLContext:
    """Serve as `localhost` and 127.0.0.1."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE, KEY)
    return context


def client_context() -> ssl.SSLContext:
    """Trust what `server_context` shows."""
    return ssl.create_default_context(cafile=AUTHORITY)


class TlsFront:
    """A port that speaks TLS and passes all bytes to a raw origin; `hello` counts finished handshakes."""

    def __init__(self, origin: RawOrigin) -> None:
        self._origin = origin
        self._server: asyncio.Server | None = None
        self.port = 0
        self.protocols: list[str | None] = []
        """What each finished handshake agreed on (ALPN)."""

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def __aenter__(self) -> "TlsFront":
        context = await asyncio.to_thread(server_context)
        context.set_alpn_protocols(["h2", "http/1.1"])
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=context
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        ssl_object = writer.get_extra_info("ssl_object")
        self.protocols.append(ssl_object.selected_alpn_protocol())
        onward = await asyncio.open_connection("127.0.0.1", self._origin.port)
        await pump_both(reader, writer, *onward)


async def pump_both(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    far_reader: asyncio.StreamReader,
    far_writer: asyncio.StreamWriter,
) -> None:
    """Copy both ways until either side ends, then end both."""

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(1 << 16):
                target.write(data)
                await target.drain()
        except OSError:
            pass
        finally:
            writer.transport.abort()
            far_writer.transport.abort()

    async with asyncio.TaskGroup() as group:
        group.create_task(pump(reader, far_writer))
        group.create_task(pump(far_reader, writer))
