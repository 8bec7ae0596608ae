"""What the headers of an answer say about it.

What lives here: request ids, rate limits, the provider's own timing, and when to come back. What does not: headers that
steer the forwarding.
"""

from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime

import msgspec

from proxy.model import RateLimits

MAX_ID_CHARS = 128

_REQUEST_ID = (
    b"x-request-id",
    b"request-id",
    b"apim-request-id",
    b"x-amzn-requestid",
    b"mistral-correlation-id",
    b"x-generation-id",
    b"cf-ray",
)
_LIMITS = {
    "limit_requests": (
        b"x-ratelimit-limit-requests",
        b"anthropic-ratelimit-requests-limit",
        b"x-ratelimit-limit-req-minute",
        b"x-ratelimit-limit",
    ),
    "remaining_requests": (
        b"x-ratelimit-remaining-requests",
        b"anthropic-ratelimit-requests-remaining",
        b"x-ratelimit-remaining-req-minute",
        b"x-ratelimit-remaining",
    ),
    "limit_tokens": (
        b"x-ratelimit-limit-tokens",
        b"anthropic-ratelimit-tokens-limit",
        b"anthropic-ratelimit-input-tokens-limit",
        b"x-ratelimit-limit-tokens-minute",
    ),
    "remaining_tokens": (
        b"x-ratelimit-remaining-tokens",
        b"anthropic-ratelimit-tokens-remaining",
        b"anthropic-ratelimit-input-tokens-remaining",
        b"x-ratelimit-remaining-tokens-minute",
    ),
}
_RETRY_STATUSES = (429, 503, 529)
_MAX_NUMBER = 1 << 53


class HeaderFacts(msgspec.Struct, frozen=True):
    """What was found; absent and malformed are both `None` or empty."""

    request_id: str = ""
    """The provider's id of the exchange, to be named when asking its support."""
    ratelimits: RateLimits = RateLimits()
    processing_ms: int | None = None
    """The provider's own time (`openai-processing-ms`)."""
    retry_after_seconds: float | None = None
    """Only with 429, 503 and 529: Anthropic sends `retry-after` with plain 200s, too."""


def read_headers(raw: Sequence[tuple[bytes, bytes]], status: int = 200) -> HeaderFacts:
    """Read the headers of an answer; never raises. Of a header sent twice, the first counts."""
    found: dict[bytes, bytes] = {}
    for name, value in raw:
        found.setdefault(name.lower(), value.strip())
    limits = {field: _first_number(found, names) for field, names in _LIMITS.items()}
    request_id = next((found[name] for name in _REQUEST_ID if found.get(name)), b"")
    return HeaderFacts(
        request_id=request_id.decode("ascii", "replace")[:MAX_ID_CHARS],
        ratelimits=RateLimits(**limits),
        processing_ms=_number(found.get(b"openai-processing-ms")),
        retry_after_seconds=_retry_after(found) if status in _RETRY_STATUSES else None,
    )


def _first_number(found: Mapping[bytes, bytes], names: Sequence[bytes]) -> int | None:
    return next(
        (number for name in names if (number := _number(found.get(name))) is not None),
        None,
    )


def _number(value: bytes | None) -> int | None:
    """Give a plain decimal number of at most 16 digits."""
    if value is None or not value.isdigit() or len(value) > 16:
        return None
    return min(int(value), _MAX_NUMBER)


def _retry_after(found: Mapping[bytes, bytes]) -> float | None:
    """Give the wait: `retry-after-ms` first, as SDKs do; a date counts from the answer's own `date`, so no clock is read."""
    milliseconds = _decimal(found.get(b"retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = found.get(b"retry-after")
    seconds = _decimal(value)
    if seconds is not None or value is None:
        return seconds
    try:
        then, now = (
            parsedate_to_datetime(text.decode("ascii"))
            for text in (value, found.get(b"date", b""))
        )
        return max(0.0, (then - now).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _decimal(value: bytes | None) -> float | None:
    whole, _, fraction = (value or b"").partition(b".")
    if (
        len(whole) + len(fraction) > 16
        or not whole.isdigit()
        or not (fraction or b"0").isdigit()
    ):
        return None
    return float(b"%b.%b" % (whole, fraction or b"0"))
