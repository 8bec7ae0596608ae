"""Short cuts for tests of the meter: one answer in, one reading out.

What lives here: choosing a dialect as the pipeline does, and writing events. What does not: recordings (`recordings.py`).
"""

import json
from collections.abc import Sequence
from typing import Any

from proxy.meter.dialect import Head
from proxy.meter.dialects import recognise
from proxy.meter.tee import Tee
from proxy.model import Ask, Kind, Reading

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
MESSAGES = "/v1/messages"
EVENTS = "text/event-stream"


def ask_for(path: str, request: bytes | None = b"{}", method: str = "POST") -> Ask:
    dialect, operation = recognise(Kind.LLM, "", method, path)
    return dialect.read_request(operation, request)


def tee_for(
    path: str,
    *,
    request: bytes = b"{}",
    method: str = "POST",
    status: int = 200,
    content_type: str = "",
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> Tee:
    dialect, operation = recognise(Kind.LLM, "", method, path)
    ask = dialect.read_request(operation, request)
    head = Head(status, content_type, tuple(headers))
    return Tee(dialect.reader(ask, head), "", 8 << 20)


def read(path: str, body: bytes, **options: Any) -> Reading:
    """Read an answer whole, and byte by byte, which must come to the same."""
    whole, bytewise = tee_for(path, **options), tee_for(path, **options)
    whole.feed(body)
    for at in range(len(body)):
        bytewise.feed(body[at : at + 1])
    assert whole.reading() == bytewise.reading()
    assert (whole.terminal, whole.output_started) == (
        bytewise.terminal,
        bytewise.output_started,
    )
    assert whole.failures == bytewise.failures == 0
    return whole.reading()


def dumps(value: Any) -> bytes:
    """Write JSON as providers do in streams: without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def data(*values: Any, done: bool = False) -> bytes:
    """Write unnamed events."""
    lines = [b"data: %b\n\n" % dumps(value) for value in values]
    return b"".join(lines) + (b"data: [DONE]\n\n" if done else b"")


def named(*values: dict[str, Any]) -> bytes:
    """Write events that are named after their `type`."""
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (value["type"].encode(), dumps(value))
        for value in values
    )
