"""An egress proxy on a raw socket: tunnels what it is asked for by CONNECT, and notes it.

What lives here: the tunnel. What does not: requests in absolute form, for which a `RawOrigin` is proxy enough.
"""

import asyncio

from tests.helpers.tls import pump_both


class Egress:
    """Answers CONNECT with `answer`; where that opens a tunnel it leads to `port`, whoever was asked for."""

    def __init__(self, port: int, answer: bytes = b"HTTP/1.1 200 Made\r\n\r\n") -> None:
        self._port = port
        self._answer = answer
        self._server: asyncio.Server | None = None
        self.port = 0
        self.heads: list[bytes] = []
        """The heads that came."""

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    async def __aenter__(self) -> "Egress":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self._answer)
        if b" 2" not in self._answer[:12]:
            writer.close()
            return
        await pump_both(
            reader, writer, *await asyncio.open_connection("127.0.0.1", self._port)
        )
