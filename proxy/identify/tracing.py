"""The agent's own trace: W3C Trace Context as it came, and the id of our span in it."""

import re
from dataclasses import dataclass

from proxy.http.headers import Headers

_TRACEPARENT = re.compile(
    rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_INVALID_VERSION = b"ff"
_NO_TRACE = b"0" * 32
_NO_SPAN = b"0" * 16
_SPAN_DIGITS = 16


@dataclass(frozen=True, slots=True)
class TraceParent:
    """Whose child our span is."""

    trace_id: str
    parent_span_id: str
    sampled: bool


def read_traceparent(headers: Headers) -> TraceParent | None:
    """Read the header; `None` where it is absent, stands twice or breaks the specification (https://www.w3.org/TR/trace-context/)."""
    values = headers.every(b"traceparent")
    found = _TRACEPARENT.fullmatch(values[0].strip()) if len(values) == 1 else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if (
        version == _INVALID_VERSION
        or (version == b"00" and more)
        or trace_id == _NO_TRACE
        or span_id == _NO_SPAN
    ):
        return None
    return TraceParent(trace_id.decode(), span_id.decode(), bool(int(flags, 16) & 1))


def span_id_of(attempt_id: str) -> str:
    """Give our span's id: the random half of the attempt's UUIDv7, whose variant bits keep it from being zero."""
    return attempt_id[-_SPAN_DIGITS:]
