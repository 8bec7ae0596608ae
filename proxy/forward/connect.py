"""Opening connections: names, addresses, TLS, and the egress proxy.

Addresses are tried as RFC 8305 orders it. Link-local addresses are refused unless the route allows them: they are where
clouds keep credentials (169.254.169.254), and no provider lives there.
"""

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import Callable

import aiohappyeyeballs

from proxy.forward.origin import Origin

_RACE_DELAY_SECONDS = 0.25
_MAX_PROXY_HEAD_BYTES = 16 << 10
_TUNNELLED = re.compile(r"HTTP/1\.[01] 2[0-9][0-9]( |$)")
"""Any 2xx opens the tunnel (RFC 9110 §9.3.6)."""


class Connector:
    """Makes connections; keeps one TLS context for each set of authorities."""

    def __init__(
        self, egress_proxy: tuple[str, int] | None = None, ca_file: str = ""
    ) -> None:
        """`ca_file` replaces the system's authorities; an origin's own replaces both."""
        self._egress_proxy = egress_proxy
        self._ca_file = ca_file
        self._contexts: dict[str, ssl.SSLContext] = {}

    def context(self, ca_file: str) -> ssl.SSLContext:
        """Give the TLS context for these authorities; TLS 1.2 or later, HTTP/1.1 only."""
        ca_file = ca_file or self._ca_file
        context = self._contexts.get(ca_file)
        if context is None:
            context = ssl.create_default_context(cafile=ca_file or None)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.set_alpn_protocols(["http/1.1"])
            self._contexts[ca_file] = context
        return context

    def speaks_absolute(self, origin: Origin) -> bool:
        """Whether requests to the origin go to the egress proxy in absolute form (RFC 9112 §3.2.2)."""
        return self._egress_proxy is not None and not origin.tls

    async def connect(
        self, origin: Origin, factory: Callable[[], asyncio.Protocol]
    ) -> None:
        """Connect the protocol to the origin. Raises `OSError` and its kinds (`gaierror`, `SSLError`)."""
        host, port = self._egress_proxy or (origin.host, origin.port)
        sock = await _open_socket(
            host, port, guard=not origin.allow_link_local and self._egress_proxy is None
        )
        try:
            if self._egress_proxy is not None and origin.tls:
                await _ask_for_tunnel(sock, origin)
            await self._hand_over(sock, origin, factory)
        except BaseException:
            sock.close()
            raise

    async def _hand_over(
        self,
        sock: socket.socket,
        origin: Origin,
        factory: Callable[[], asyncio.Protocol],
    ) -> None:
        loop = asyncio.get_running_loop()
        if origin.tls:
            context = self.context(origin.ca_file)
            await loop.create_connection(
                factory, sock=sock, ssl=context, server_hostname=origin.host
            )
        else:
            await loop.create_connection(factory, sock=sock)


async def _open_socket(host: str, port: int, *, guard: bool) -> socket.socket:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if guard:
        found = [info for info in found if not _is_link_local(str(info[4][0]))]
        if not found:
            raise PermissionError(
                0,
                "it resolves to a link-local address only; set allow_link_local to use it",
            )
    return await aiohappyeyeballs.start_connection(
        found, happy_eyeballs_delay=_RACE_DELAY_SECONDS, loop=loop
    )


def _is_link_local(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None)
    return (mapped or ip).is_link_local


async def _ask_for_tunnel(sock: socket.socket, origin: Origin) -> None:
    """Ask the egress proxy for a tunnel (RFC 9110 §9.3.6)."""
    loop = asyncio.get_running_loop()
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    target = f"{host}:{origin.port}"
    await loop.sock_sendall(
        sock, f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode("ascii")
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        # One byte at a time: what follows the head belongs to TLS and must stay in the socket.
        byte = await loop.sock_recv(sock, 1)
        if not byte or len(head) > _MAX_PROXY_HEAD_BYTES:
            raise ConnectionRefusedError(0, "the egress proxy closed the connection")
        head += byte
    status_line = head.split(b"\r\n", 1)[0].decode("latin-1")
    if _TUNNELLED.match(status_line) is None:
        raise ConnectionRefusedError(
            0, f"the egress proxy refused: {status_line[:80]!r}"
        )
