"""Whether a call repeats an earlier one, and who repeats it.

What lives here: telling retries of the client's SDK and of the application from parallel calls that say the same. What does not: retries
that the proxy makes itself.
"""

from collections.abc import Mapping

from proxy.identify.facts import Asked, Calls, Fact
from proxy.identify.lookup import Hints, Lookup

RETRY_US = 15 * 60 * 1_000_000
"""A request that comes again later than this is no retry."""

_BY_SDK = frozenset({"failed", "rejected", "open"})
"""An SDK may retry what is still open here: it has given up waiting. What was blocked here is no failure of the provider."""


def retry_of(
    hints: Hints, look: Lookup, found: Mapping[int, Fact], now_us: int
) -> tuple[Asked, str] | None:
    """Find the call that this one repeats, and the layer: by the client's own word, or since the same bytes failed before."""
    known = found.get(look.retry) if hints.is_retry else None
    if not isinstance(known, Calls):
        known = found.get(look.same)
    if not isinstance(known, Calls):
        return None
    fitting = [
        asked
        for asked in known.asked
        if now_us - asked.seen_us <= RETRY_US
        and not asked.continued_by
        and hints.run in ("", asked.run_id)
        and (asked.state in _BY_SDK if hints.is_retry else asked.state == "failed")
    ]
    if not fitting:
        return None
    best = max(fitting, key=lambda asked: _fit(hints, asked))
    return best, "sdk" if hints.is_retry else "app"


def _fit(hints: Hints, asked: Asked) -> tuple[bool, bool, bool, int]:
    """Prefer what has failed, of the same client, then the newest."""
    return (
        asked.state != "open",
        asked.signature == hints.signature,
        asked.connection == hints.connection,
        asked.seen_us,
    )
