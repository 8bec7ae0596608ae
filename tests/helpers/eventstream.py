"""AWS event streams for tests: frames with checksums, as the wire has them.

What lives here: writing frames. What does not: anything of the product, whose reading this must not share.
"""

import base64
import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any


def header(name: str, value: str | bytes, kind: int = 7) -> bytes:
    """Write one header; a value in bytes stands as it is, without a length."""
    start = bytes([len(name)]) + name.encode() + bytes([kind])
    if isinstance(value, bytes):
        return start + value
    return start + struct.pack(">H", len(value.encode())) + value.encode()


def framed(headers: bytes, payload: bytes) -> bytes:
    """Write a frame around headers as they stand on the wire."""
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))


def frame(headers: Mapping[str, str], payload: bytes = b"") -> bytes:
    """Write a frame whose headers are all text."""
    return framed(b"".join(header(*pair) for pair in headers.items()), payload)


def event(name: str, **said: Any) -> bytes:
    """Write an event, in the order of headers that Bedrock has."""
    headers = {
        ":event-type": name,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return frame(headers, json.dumps(said, separators=(",", ":")).encode())


def chunk(**said: Any) -> bytes:
    """Write an event of InvokeModel: a vendor's JSON in base64."""
    body = json.dumps(said, separators=(",", ":")).encode()
    return event("chunk", bytes=base64.b64encode(body).decode(), p="abc")


def exception(name: str, message: str = "no") -> bytes:
    """Write an exception, as it comes after a 200."""
    headers = {":exception-type": name, ":message-type": "exception"}
    return frame(headers, json.dumps({"message": message}).encode())
