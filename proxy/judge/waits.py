"""How long a provider asks to wait before the next call.

What lives here: the forms in which they say it, all of them hostile until read: headers, durations, dates, epochs, Google's `RetryInfo`.
What does not: what becomes of the wait (`signals.py`), how long a gate is shut without one (`gates.py`).

`Retry-After` and its kin are read by `meter/headers.py`, as for rows. Of the resets of limits only those count of which nothing is left: each
answer names them all, and most say nothing about this refusal.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from email.utils import formatdate, parsedate_to_datetime
from typing import Any

from proxy.http.headers import RawHeaders
from proxy.judge.gate_settings import MOST_SECONDS
from proxy.meter import lenient
from proxy.meter.headers import read_headers

_MAX_CHARACTERS = 64
_READS_RETRY_AFTER = 503
"""Any status with which `read_headers` looks for a wait."""
_DURATION = re.compile(
    r"(?=[0-9])(?:(\d+(?:\.\d*)?)d)?(?:(\d+(?:\.\d*)?)h)?(?:(\d+(?:\.\d*)?)m(?!s))?(?:(\d+(?:\.\d*)?)s)?(?:(\d+(?:\.\d*)?)ms)?",
    re.ASCII,
)
_UNITS = (86_400.0, 3600.0, 60.0, 1.0, 0.001)
_NUMBER = re.compile(r"\d{1,16}(?:\.\d{0,9})?", re.ASCII)
_EPOCH_SECONDS = 1e9
"""A larger number is a date: of 2001 and later in seconds, from `_EPOCH_MILLISECONDS` on in thousandths."""
_EPOCH_MILLISECONDS = 1e12
_NOTHING_LEFT = re.compile(rb"-\d+(\.\d*)?|0+(\.0*)?")
_RETRY_INFO = "google.rpc.RetryInfo"


def asked_wait(headers: RawHeaders, error: dict[str, Any], now_us: int) -> float | None:
    """Give the seconds to wait, 0 to `MOST_SECONDS`; `None` where nothing that can be read says so. Never raises.

    `error` is the decoded error of the answer; a date counts from the answer's own `Date`, and only without one from `now_us`.
    """
    found = read_headers(_dated(headers, now_us), _READS_RETRY_AFTER).retry_after_seconds  # fmt: skip
    return _bounded(_retry_info(error) if found is None else found)


def limit_wait(headers: RawHeaders, error: dict[str, Any], now_us: int) -> float | None:
    """Give the same for an answer that says that a limit is used up: then the limit's reset counts, where nobody asks for a wait."""
    asked = asked_wait(headers, error, now_us)
    if asked is not None:
        return asked
    return _bounded(_longest_reset([*_dated(headers, now_us), *_quoted(error)]))


def _dated(headers: RawHeaders, now_us: int) -> list[tuple[bytes, bytes]]:
    """Add our clock behind the answer's own, of which the first counts."""
    return [*headers, (b"date", formatdate(now_us / 1e6, usegmt=True).encode())]


def _bounded(wait: float | None) -> float | None:
    return None if wait is None else min(max(wait, 0.0), MOST_SECONDS)


def seconds_of(text: str) -> float | None:
    """Read a duration: `34s`, `6m0s`, `1h2m3.5s`, `120ms`."""
    found = _DURATION.fullmatch(text) if len(text) <= _MAX_CHARACTERS else None
    if found is None:
        return None
    return sum(
        float(amount) * unit
        for amount, unit in zip(found.groups(), _UNITS, strict=True)
        if amount
    )


def _retry_info(error: dict[str, Any]) -> float | None:
    for detail in lenient.items(error.get("details")):
        if isinstance(detail, dict) and lenient.text(detail.get("@type")).endswith(
            _RETRY_INFO
        ):
            delay = detail.get("retryDelay")
            if isinstance(delay, dict):
                return lenient.count(delay.get("seconds"))
            return seconds_of(lenient.text(delay))
    return None


def _quoted(error: dict[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    """Give the headers that a gateway quotes in its error (OpenRouter)."""
    quoted = lenient.member(lenient.member(error, "metadata"), "headers")
    for name, value in quoted.items():
        if isinstance(value, str):
            yield (
                name.encode("utf-8", "surrogatepass"),
                value.encode("utf-8", "surrogatepass"),
            )


def _longest_reset(headers: RawHeaders) -> float | None:
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        found.setdefault(name.lower(), value.strip())
    now = _date(found[b"date"])
    waits = [
        _until(value, now)
        for name, value in found.items()
        if b"ratelimit" in name
        and b"reset" in name
        and _NOTHING_LEFT.fullmatch(
            found.get(name.replace(b"reset", b"remaining"), b"")
        )
    ]
    return max((wait for wait in waits if wait is not None), default=None)


def _date(value: bytes) -> float | None:
    try:
        return parsedate_to_datetime(value.decode("ascii")).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _until(value: bytes, now: float | None) -> float | None:
    """Read a reset: a duration, a number of seconds, or a point in time."""
    text = value.decode("latin-1")
    if _NUMBER.fullmatch(text) is None:
        span = seconds_of(text)
        return span if span is not None or now is None else _from(text, now)
    number = float(text)
    if number < _EPOCH_SECONDS:
        return number
    then = number / 1000 if number >= _EPOCH_MILLISECONDS else number
    return None if now is None else then - now


def _from(text: str, now: float) -> float | None:
    try:
        then = datetime.fromisoformat(text)
    except ValueError:
        return None
    return then.timestamp() - now if then.tzinfo is not None else None
