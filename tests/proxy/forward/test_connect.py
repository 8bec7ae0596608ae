"""Opening connections: who is trusted, where one may not go, and the way through an egress proxy."""

import asyncio
import socket
import ssl
from typing import Any

import pytest

from proxy.forward.connect import Connector
from proxy.forward.origin import Origin
from tests.helpers.egress import Egress
from tests.helpers.origin import RawOrigin
from tests.helpers.tls import AUTHORITY, OTHER_AUTHORITY, TlsFront, pump_both
from tests.helpers.wire import WAIT_SECONDS, response


class Peer(asyncio.Protocol):
    """Asks once and keeps the answer."""

    def __init__(self) -> None:
        self.answer = b""
        self.ended = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        transport.write(b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.answer += data
        if self.answer.endswith(b"ok"):
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()


async def ask(connector: Connector, origin: Origin) -> bytes:
    peer = Peer()
    async with asyncio.timeout(WAIT_SECONDS):
        await connector.connect(origin, lambda: peer)
        await peer.ended.wait()
    return peer.answer


OK = response(b"ok")
pytestmark = pytest.mark.blocking_allowed  # certificates are read once for a connector


async def test_a_plain_origin_is_reached_by_name_and_by_address(origin: RawOrigin):
    for host in ("localhost", "127.0.0.1"):
        assert await ask(Connector(), Origin(host, origin.port, False)) == OK


TRUST = {
    "the route's authorities": (Connector(), AUTHORITY),
    "the installation's authorities": (Connector(ca_file=AUTHORITY), ""),
    "the route's before the installation's": (Connector(ca_file=OTHER_AUTHORITY), AUTHORITY),
}  # fmt: skip


@pytest.mark.parametrize(("connector", "ca_file"), TRUST.values(), ids=TRUST.keys())
async def test_an_origin_is_trusted_on_the_word_of(
    connector: Connector, ca_file: str, origin: RawOrigin
):
    async with TlsFront(origin) as front:
        found = Origin("127.0.0.1", front.port, True, ca_file)
        assert await ask(connector, found) == OK
        assert front.protocols == ["http/1.1"]


DISTRUST = {
    "another authority": ("127.0.0.1", OTHER_AUTHORITY),
    "the system's authorities": ("127.0.0.1", ""),
    "another name": ("127.0.0.2", AUTHORITY),
}


@pytest.mark.parametrize(("host", "ca_file"), DISTRUST.values(), ids=DISTRUST.keys())
async def test_an_origin_is_not_trusted_on_the_word_of(
    host: str, ca_file: str, origin: RawOrigin
):
    async with TlsFront(origin) as front:
        socket_of_all = await _relay_on(host, front.port)
        with pytest.raises(ssl.SSLCertVerificationError):
            await ask(Connector(), Origin(host, socket_of_all[1], True, ca_file))
        socket_of_all[0].close()
    assert not origin.requests


async def _relay_on(host: str, port: int) -> tuple[asyncio.Server, int]:
    """Listen on another loopback address for the same certificate."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far = await asyncio.open_connection("127.0.0.1", port)
        await pump_both(reader, writer, *far)

    server = await asyncio.start_server(serve, host, 0)
    return server, server.sockets[0].getsockname()[1]


def test_contexts_are_made_once_for_each_set_of_authorities():
    connector = Connector(ca_file=AUTHORITY)
    assert connector.context("") is connector.context(AUTHORITY)
    assert connector.context(OTHER_AUTHORITY) is not connector.context("")
    assert connector.context("").minimum_version is ssl.TLSVersion.TLSv1_2


async def test_authorities_that_cannot_be_read_are_an_error_of_the_connection(
    origin: RawOrigin,
):
    found = Origin("127.0.0.1", origin.port, True, "/nowhere/ca.pem")
    with pytest.raises(OSError, match="No such file"):
        await ask(Connector(), found)


LINK_LOCAL = ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "169.254.0.1"]


@pytest.mark.parametrize("host", LINK_LOCAL)
async def test_A04_a_link_local_address_is_refused(host: str):
    with pytest.raises(PermissionError, match="link-local"):
        await ask(Connector(), Origin(host, 80, False))


async def test_A04_a_route_may_allow_link_local_addresses():
    scopeless = Origin("fe80::1", 1, False, allow_link_local=True)
    with pytest.raises(OSError, match="Invalid argument") as caught:
        await Connector().connect(scopeless, Peer)
    assert not isinstance(caught.value, PermissionError)


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    """Have every name resolve to these; the fake of a name service, on asyncio's own loop only."""

    def fake(*_: Any, **__: Any) -> list[Any]:
        families = [
            socket.AF_INET6 if ":" in host else socket.AF_INET for host, _ in addresses
        ]
        return [
            (family, socket.SOCK_STREAM, 6, "", address)
            for family, address in zip(families, addresses, strict=True)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", fake)


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


async def _ask_named(*hosts: str, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Ask a name that has these addresses, of which only 127.0.0.1 listens."""
    async with RawOrigin() as origin:
        resolving(monkeypatch, *[(host, origin.port) for host in hosts])
        return await ask(Connector(), Origin("many.test", origin.port, False))


@pytest.mark.parametrize(
    "hosts",
    [["::1", "127.0.0.1"], ["127.0.0.9", "127.0.0.1"], ["127.0.0.1", "::1"]],
    ids=["IPv6 first", "two of IPv4", "IPv4 first"],
)
def test_of_several_addresses_one_that_answers_is_used(
    hosts: list[str], monkeypatch: pytest.MonkeyPatch
):
    assert asyncio.run(_ask_named(*hosts, monkeypatch=monkeypatch)) == OK


def test_A04_of_several_addresses_the_link_local_ones_are_passed_over(
    monkeypatch: pytest.MonkeyPatch,
):
    hosts = ("169.254.169.254", "127.0.0.1")
    assert asyncio.run(_ask_named(*hosts, monkeypatch=monkeypatch)) == OK


def test_A04_a_name_that_leads_to_a_link_local_address_is_refused(
    monkeypatch: pytest.MonkeyPatch,
):
    with pytest.raises(PermissionError):
        asyncio.run(_ask_named("169.254.169.254", monkeypatch=monkeypatch))


async def test_https_goes_through_the_egress_proxy_in_a_tunnel(origin: RawOrigin):
    async with TlsFront(origin) as front, Egress(front.port) as egress:
        connector = Connector(egress.address)
        found = Origin("localhost", 4433, True, AUTHORITY)
        assert not connector.speaks_absolute(found)
        assert await ask(connector, found) == OK
        (head,) = egress.heads
    assert head == b"CONNECT localhost:4433 HTTP/1.1\r\nHost: localhost:4433\r\n\r\n"


async def test_an_ipv6_address_is_bracketed_for_the_egress_proxy(origin: RawOrigin):
    async with TlsFront(origin) as front, Egress(front.port) as egress:
        found = Origin("::1", 443, True, AUTHORITY)
        assert await ask(Connector(egress.address), found) == OK
        assert egress.heads[0].startswith(b"CONNECT [::1]:443 HTTP/1.1\r\n")


async def test_http_goes_to_the_egress_proxy_itself(origin: RawOrigin):
    connector = Connector(("127.0.0.1", origin.port))
    found = Origin("far.test", 80, False)
    assert connector.speaks_absolute(found)
    assert await ask(connector, found) == OK
    assert not Connector().speaks_absolute(found)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 201 Created\r\nVia: egress\r\n\r\n",
        b"HTTP/1.0 200 Connection established\r\n\r\n",
        b"HTTP/1.1 200\r\n\r\n",
    ],
)
async def test_any_2xx_of_the_egress_proxy_opens_the_tunnel(
    answer: bytes, origin: RawOrigin
):
    async with TlsFront(origin) as front, Egress(front.port, answer) as egress:
        found = Origin("localhost", 443, True, AUTHORITY)
        assert await ask(Connector(egress.address), found) == OK


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 403 Not this host\r\n\r\n", "refused: 'HTTP/1.1 403 Not this host'"),
        (b"SSH-2.0-x 200 \r\n\r\n", "refused"),
        (b"HTTP/1.1 200 OK\r\n", "closed the connection"),
        (b"", "closed the connection"),
        (b"HTTP/1.1 300 " + b"x" * (20 << 10), "closed the connection"),
    ],
    ids=["refuses", "no HTTP", "half a head", "nothing", "endless head"],
)  # fmt: skip
async def test_an_egress_proxy_that_opens_no_tunnel_is_a_refused_connection(
    answer: bytes, why: str
):
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(say, "127.0.0.1", 0) as server:
        connector = Connector(server.sockets[0].getsockname())
        with pytest.raises(ConnectionRefusedError, match=why):
            await ask(connector, Origin("localhost", 443, True, AUTHORITY))


async def test_the_egress_proxy_may_itself_be_anywhere(origin: RawOrigin):
    """What the origin resolves to is the egress proxy's business, and its own address is the user's."""
    connector = Connector(("127.0.0.1", origin.port))
    assert await ask(connector, Origin("169.254.169.254", 80, False)) == OK
