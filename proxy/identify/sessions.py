"""Which session a call belongs to: what was named, else activity without a long gap.

What lives here: the rule. What does not: reading headers (`explicit.py`, `harness.py`), keeping facts (`proxy.state`).
"""

from collections.abc import Mapping

from proxy.identify.changes import Change, Keep
from proxy.identify.facts import Fact, Session
from proxy.identify.lookup import Hints, Lookup

GAP_US = 30 * 60 * 1_000_000


def session_of(
    hints: Hints, look: Lookup, found: Mapping[int, Fact], now_us: int
) -> tuple[str, list[Change]]:
    """Give the session's id, and what to remember of it; a run keeps the session in which it began (`State.admit`)."""
    if hints.session:
        return hints.session, []
    known = found.get(look.session)
    if isinstance(known, Session) and now_us - known.seen_us <= GAP_US:
        session_id = known.session_id
        now_us = max(now_us, known.seen_us)
    else:
        session_id = f"session-{look.session:016x}-{now_us // 1_000_000:x}"
    return session_id, [Keep(look.session, Session(session_id, now_us))]
