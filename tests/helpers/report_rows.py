"""Reports as tests want them.

What lives here: plausible rows with what a test changes, and one report with everything. What does not: rows of the store.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from proxy.cli.report_rows import BreakerRow, GateRow, Report, SaidRow, WouldRow
from tests.helpers.run_rows import NOW

LONG_ID = "01a2044a00947637a0e8f7365ddb8363"


def would_row(policy: str = "caps", **changes: Any) -> WouldRow:
    """Give what caps would have stopped."""
    fields: dict[str, Any] = {
        "tenant": "acme", "policy": policy, "agent": "booker", "runs": 2, "calls": 14, "began": NOW - timedelta(hours=30),
        "first_run": "nightly-42", "first_step": 21, "steps": 31, "usd": Decimal("4.25"), "estimated_rows": 0, "unpriced_attempts": 0,
    }  # fmt: skip
    return WouldRow(**(fields | changes))


def said_row(policy: str = "caps", **changes: Any) -> SaidRow:
    """Give what caps refused."""
    fields: dict[str, Any] = {
        "tenant": "acme", "policy": policy, "reason": "step_limit", "agent": "booker", "runs": 1, "calls": 90,
        "began": NOW - timedelta(hours=3), "ended": NOW - timedelta(minutes=5), "last_run": "nightly-42",
    }  # fmt: skip
    return SaidRow(**(fields | changes))


def empty_report(**changes: Any) -> Report:
    """Give a report of calls that no policy had anything to say about."""
    fields: dict[str, Any] = {
        "since_seconds": 604_800, "agent": "", "calls": 1234, "would_have_stopped": [], "together": None, "refused": [],
        "warnings": [], "breakers": [], "gates": [],
    }  # fmt: skip
    return Report(**(fields | changes))


def full_report(**changes: Any) -> Report:
    """Give a report in which everything happened."""
    begun, over = NOW - timedelta(hours=2), NOW - timedelta(hours=1)
    fields: dict[str, Any] = {
        "would_have_stopped": [
            would_row(),
            would_row("repeat", agent="", usd=Decimal("0.00042"), first_run=LONG_ID, first_step=0, estimated_rows=3),
            would_row("budgets:team", agent="a-very-long-name-of-an-agent-that-goes-on", runs=0, first_run="", first_step=0,
                      usd=None, unpriced_attempts=1),
        ],
        "together": would_row("", tenant="", agent="", calls=40, steps=60, usd=Decimal("4.25042"), estimated_rows=3),
        "refused": [said_row(), said_row("quota_gate", reason="account_spent", agent="", runs=0, last_run="")],
        "warnings": [said_row(calls=1)],
        "breakers": [
            BreakerRow("openai", "gpt-4o", "https://api.openai.com", 3, 125.0, 61.5, False, begun, over),
            BreakerRow("local", "", "", 1, 0.25, 0.25, True, begun, NOW),
        ],
        "gates": [GateRow("rate_gate", "openai", "gpt-4o", 0, 17, begun, over, 3600.0)],
    }  # fmt: skip
    return empty_report(**(fields | changes))
