"""The headers that providers send with their answers: ids of requests, and limits that go down with use.

What lives here: their names and forms, and how much of the limits is left. What does not: refusing for going beyond
them (faults do that).
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime

WINDOW_SECONDS = 60.0


@dataclass(slots=True)
class Limits:
    """The requests and tokens of a minute; what was used comes back steadily, as the providers' buckets do."""

    requests: int = 10_000
    tokens: int = 2_000_000
    used_requests: float = 0.0
    used_tokens: float = 0.0
    at: float = 0.0

    def take(self, tokens: int, now: float) -> None:
        """Count a request at a monotonic time."""
        back = max(0.0, now - self.at) / WINDOW_SECONDS
        self.used_requests = max(0.0, self.used_requests - back * self.requests) + 1
        self.used_tokens = max(0.0, self.used_tokens - back * self.tokens) + tokens
        self.at = now

    def left(self) -> tuple[int, int]:
        """Give the requests and tokens that are left."""
        requests = max(0, math.floor(self.requests - self.used_requests))
        return requests, max(0, math.floor(self.tokens - self.used_tokens))

    def resets(self) -> tuple[float, float]:
        """Give the seconds until all requests and tokens are back."""
        requests = min(1.0, self.used_requests / self.requests)
        tokens = min(1.0, self.used_tokens / self.tokens)
        return requests * WINDOW_SECONDS, tokens * WINDOW_SECONDS


def openai(limits: Limits, request_id: str, seconds: float) -> dict[str, str]:
    """Give OpenAI's headers."""
    (requests, tokens), (reset_requests, reset_tokens) = limits.left(), limits.resets()
    return {
        "x-request-id": request_id,
        "openai-version": "2020-10-01",
        "openai-organization": "simulated",
        "openai-processing-ms": str(round(1000 * seconds)),
        "x-ratelimit-limit-requests": str(limits.requests),
        "x-ratelimit-limit-tokens": str(limits.tokens),
        "x-ratelimit-remaining-requests": str(requests),
        "x-ratelimit-remaining-tokens": str(tokens),
        "x-ratelimit-reset-requests": _duration(reset_requests),
        "x-ratelimit-reset-tokens": _duration(reset_tokens),
    }


def anthropic(limits: Limits, request_id: str, unix: float) -> dict[str, str]:
    """Give Anthropic's headers."""
    (requests, tokens), (reset_requests, reset_tokens) = limits.left(), limits.resets()
    found = {"request-id": request_id, "anthropic-organization-id": "simulated"}
    rows = {
        "requests": (limits.requests, requests, reset_requests),
        "tokens": (limits.tokens, tokens, reset_tokens),
        "input-tokens": (limits.tokens, tokens, reset_tokens),
        "output-tokens": (limits.tokens // 5, tokens // 5, reset_tokens),
    }
    for name, (limit, remaining, reset) in rows.items():
        at = datetime.fromtimestamp(math.floor(unix + reset), UTC)
        found[f"anthropic-ratelimit-{name}-limit"] = str(limit)
        found[f"anthropic-ratelimit-{name}-remaining"] = str(remaining)
        found[f"anthropic-ratelimit-{name}-reset"] = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return found


def gemini(seconds: float) -> dict[str, str]:
    """Give Google's headers; it says nothing of limits."""
    return {
        "server-timing": f"gfet4t7; dur={round(1000 * seconds)}",
        "x-content-type-options": "nosniff",
    }


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{math.ceil(1000 * seconds)}ms"
    return (
        f"{seconds:.3f}s"
        if seconds < 60
        else f"{math.floor(seconds / 60)}m{seconds % 60:.0f}s"
    )
