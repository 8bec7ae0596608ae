"""The last words of a stream that a policy stops: an error event, in the family's own framing.

What lives here: the bytes. What does not: stopping (whoever carries the stream); it must stand between two events, and after these bytes the
answer ends as if it were whole.

A stream that is merely cut looks finished to most SDKs, so the event is what an agent learns it from. Not every SDK raises at one: Cohere's
hands its event out, with the message, Mistral's raises because it cannot read it, with the message in the exception's body, and OpenAI's low-level streams of Responses raise only because `error` is also an object in it.
"""

import struct
from zlib import crc32

import msgspec

from proxy.judge.mcp_refusals import answers, framed
from proxy.judge.shapes import (
    ANTHROPIC_TYPES,
    AWS_EXCEPTIONS,
    Family,
    Told,
    anthropic_error,
    encode,
    google_error,
    mistral_error,
    openai_error,
)

_TEXT = 7
_JSON = "application/json"
_EVENTS = "text/event-stream"


class Begun(msgspec.Struct, frozen=True):
    """A stream that has begun."""

    family: Family
    dialect: str
    content_type: str = "text/event-stream"
    """Of the answer: two families frame their streams in several ways."""
    request_body: bytes | None = None
    """Of an MCP message: the last words repeat its id."""


def last_words(stream: Begun, told: Told) -> bytes | None:
    """Give the event that ends a stream; `None` where the family has none, and only a cut says that something is wrong."""
    match stream.family:
        case Family.BEDROCK:
            return _exception(told)
        case Family.OLLAMA:
            return encode({"error": told.message}) + b"\n"
        case Family.MCP:
            return framed(answers(stream.request_body, told))
        case Family.VOYAGE | Family.ANY:
            return None
        case Family.COHERE:
            return _cohere(stream, told)
        case _:
            return _event(stream, told)


def _event(stream: Begun, told: Told) -> bytes:
    match stream.family:
        case Family.ANTHROPIC:
            error = anthropic_error(ANTHROPIC_TYPES[told.manner], told.message)
            return b"event: error\n" + _data(error)
        case Family.GEMINI:
            google = {"error": google_error(told)}
            # Without `?alt=sse` the stream is one array, of which an element has gone before.
            is_array = stream.content_type.startswith(_JSON)
            return b",\n" + encode(google) + b"\n]" if is_array else _data(google)
        case Family.MISTRAL:
            return _data(mistral_error(told))
        case _:
            error = {"error": openai_error(told)}
            is_responses = stream.dialect == "openai_responses"
            return _responses(told) if is_responses else _data(error)


def _cohere(stream: Begun, told: Told) -> bytes:
    """Write the end of a stream of either API; the first has lines of JSON, unless events were asked for."""
    failed = {"finish_reason": "ERROR", "error": told.message}
    if stream.dialect != "cohere_v1":
        end = {"type": "message-end", "delta": failed}
        return b"event: message-end\n" + _data(end)
    last = {"is_finished": True, "event_type": "stream-end", **failed}
    is_events = stream.content_type.startswith(_EVENTS)
    return _data(last) if is_events else encode(last) + b"\n"


def _data(said: object) -> bytes:
    return b"data: " + encode(said) + b"\n\n"


def _responses(told: Told) -> bytes:
    error = openai_error(told)
    event = {
        "type": "error",
        "code": told.code,
        "message": told.message,
        "param": None,
        "sequence_number": 0,
        "error": error,
    }
    return b"event: error\n" + _data(event)


def _exception(told: Told) -> bytes:
    """Write an exception in AWS's event stream, whose names begin with a small letter there."""
    name = AWS_EXCEPTIONS[told.manner]
    headers = b"".join(
        bytes([len(key)]) + key + struct.pack(">BH", _TEXT, len(value)) + value
        for key, value in (
            (b":exception-type", (name[0].lower() + name[1:]).encode()),
            (b":content-type", b"application/json"),
            (b":message-type", b"exception"),
        )
    )
    payload = encode({"message": told.message})
    sizes = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    frame = sizes + struct.pack(">I", crc32(sizes)) + headers + payload
    return frame + struct.pack(">I", crc32(frame))
