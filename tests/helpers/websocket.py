"""The WebSocket handshake and frames as bytes.

What lives here: an upgrade that both sides of a test agree on, and frames. What does not: a WebSocket library; the proxy
relays bytes, and bytes are compared.
"""

import struct

from tests.helpers.client import RawClient
from tests.helpers.origin import Exchange
from tests.helpers.wire import fields_of, request

UPGRADE = [
    (b"Connection", b"Upgrade"),
    (b"Upgrade", b"websocket"),
    (b"Sec-WebSocket-Version", b"13"),
    (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    (b"Sec-WebSocket-Protocol", b"realtime, v2"),
]
ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\n" + fields_of(
    [
        (b"Upgrade", b"websocket"),
        (b"Connection", b"Upgrade"),
        (b"Sec-WebSocket-Accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        (b"Sec-WebSocket-Protocol", b"realtime"),
    ]
)
HANDSHAKE = request(b"/ws/socket?model=x", *UPGRADE)


def frame(
    opcode: int,
    payload: bytes,
    *,
    final: bool = True,
    mask: bytes | None = b"\x01\x02\x03\x04",
) -> bytes:
    first = (0x80 if final else 0) | opcode
    masked = 0x80 if mask else 0
    if len(payload) < 126:
        head = struct.pack("!BB", first, masked | len(payload))
    elif len(payload) < 1 << 16:
        head = struct.pack("!BBH", first, masked | 126, len(payload))
    else:
        head = struct.pack("!BBQ", first, masked | 127, len(payload))
    if mask is None:
        return head + payload
    key = int.from_bytes(mask * (len(payload) // 4 + 1), "big")
    padded = payload + b"\0" * (-len(payload) % 4 + 4)
    return (
        head
        + mask
        + (int.from_bytes(padded, "big") ^ key).to_bytes(len(padded), "big")[
            : len(payload)
        ]
    )


async def accept(exchange: Exchange, early: bytes = b"") -> None:
    exchange.closed = True
    await exchange.send(ACCEPTED + b"\r\n" + early)


async def upgraded(client: RawClient, *parts: bytes) -> None:
    await client.send(HANDSHAKE, *parts)
    answer = await client.head()
    assert answer.status == 101
    assert answer.get(b"sec-websocket-accept") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert answer.get(b"sec-websocket-protocol") == b"realtime"
    assert answer.get(b"upgrade") == b"websocket"
