"""Rows of `runs.sql`, `run_steps.sql` and `run_verdicts.sql` as tests want them.

What lives here: one plausible row of each, with what a test changes. What does not: rows of the store (`exporters/enrich/columns.py`).
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from proxy.cli.questions import AttemptRow, RunRow, VerdictRow

NOW = datetime(2026, 11, 22, 17, 10, 21, tzinfo=UTC)


def run_row(run: str = "R1", **changes: Any) -> RunRow:
    """Give a run of three steps that went well."""
    fields: dict[str, Any] = {
        "tenant": "acme",
        "run": run,
        "agent": "booker",
        "agent_version": "",
        "agent_source": "prompt",
        "agents": 1,
        "session": "session-7",
        "root": run,
        "parent": "",
        "children": (),
        "source": "explicit",
        "started": NOW,
        "seconds": 38.2,
        "outcome": "success",
        "outcome_source": "reported",
        "outcome_reason": "",
        "outcome_value": None,
        "last_error": "",
        "steps": 3,
        "attempts": 4,
        "retried_steps": 1,
        "tool_calls": 2,
        "input_tokens": 12_345,
        "cached_tokens": 3_100,
        "output_tokens": 940,
        "estimated_rows": 0,
        "usd": Decimal("0.42"),
        "assumed_rows": 0,
        "unpriced_attempts": 0,
        "refused": 0,
        "would_refuse": 0,
    }
    return RunRow(**(fields | changes))


def attempt_row(step: str, offset: float, seconds: float, **changes: Any) -> AttemptRow:
    """Give an attempt that went well."""
    fields: dict[str, Any] = {
        "step_id": step,
        "attempt_id": f"{step}-{changes.get('attempt', 0)}",
        "began": NOW + timedelta(seconds=offset),
        "offset_seconds": offset,
        "step_seq": 1,
        "turn_seq": 1,
        "attempt": 0,
        "retry_layer": "",
        "is_step": True,
        "kind": "llm",
        "step_name": "chat",
        "agent": "booker",
        "source": "explicit",
        "route": "openai",
        "model": "gpt-4o-2024-08-06",
        "outcome": "completed",
        "error_type": "",
        "http_status": 200,
        "finish_reason": "stop",
        "verdict_policy": "",
        "verdict_action": "",
        "verdict_reason": "",
        "breaker_state": "",
        "seconds": seconds,
        "first_token_seconds": None,
        "asked_tools": (),
        "usage_source": "provider",
        "cost_source": "computed",
        "parts": 0,
        "input_tokens": 1_234,
        "cached_tokens": 0,
        "output_tokens": 56,
        "usd": Decimal("0.0123"),
    }
    return AttemptRow(**(fields | changes))


FAILED = {
    "outcome": "upstream_error",
    "error_type": "overloaded",
    "http_status": 529,
    "usage_source": "none",
    "cost_source": "none",
    "input_tokens": None,
    "cached_tokens": None,
    "output_tokens": None,
    "usd": None,
}
"""What is different about an attempt that an overloaded provider refused."""


def long_run() -> list[AttemptRow]:
    """Give a run with everything that a waterfall shows."""
    return [
        attempt_row("s1", 0.0, 4.0, first_token_seconds=1.0, asked_tools=("search", "search", "fetch")),
        attempt_row("s2", 4.1, 0.5, step_seq=2, kind="tool", step_name="search GET /api/v1/{}", route="search", model="",
                    usage_source="none", cost_source="none", input_tokens=None, output_tokens=None, usd=None),
        attempt_row("s3", 5.0, 0.2, step_seq=3, turn_seq=2, agent="writer", **FAILED),
        attempt_row("s3", 6.0, 6.0, step_seq=3, turn_seq=2, agent="writer", attempt=1, retry_layer="sdk", usage_source="estimated"),
        attempt_row("s4", 12.5, 0.05, step_seq=4, turn_seq=2, agent="writer", step_name="读取一个非常长的名字并且继续下去直到没有地方", outcome="blocked",
                    error_type="", http_status=400, verdict_policy="unpriced", verdict_action="block",
                    verdict_reason="unknown_model", usd=None, cost_source="unpriced"),
        attempt_row("s5", 12.6, 0.1, step_seq=None, turn_seq=None, agent="", is_step=False, step_name="models", model="", usage_source="none",
                    cost_source="none", input_tokens=None, output_tokens=None, usd=None),
    ]  # fmt: skip


def refused_row(step: str, offset: float, **changes: Any) -> AttemptRow:
    """Give a call that caps refused."""
    fields: dict[str, Any] = {**FAILED, "outcome": "blocked", "error_type": "invalid_request", "http_status": 400, "step_seq": None,
                              "verdict_policy": "caps", "verdict_action": "block", "verdict_reason": "step_limit"}  # fmt: skip
    return attempt_row(step, offset, 0.001, **(fields | changes))


def verdict_on(row: AttemptRow, **changes: Any) -> VerdictRow:
    """Give the event of the verdict in a row."""
    fields: dict[str, Any] = {
        "type": "cap", "policy": row.verdict_policy, "action": row.verdict_action, "reason": row.verdict_reason, "scope": "run",
        "value": Decimal(3), "threshold": Decimal(3), "route": row.route, "model": row.model,
        "message": "run exceeded its step limit (3 of 3); to let it go on: `tacho allow R1`, or change policies.caps.steps",
    }  # fmt: skip
    return VerdictRow(row.began, row.step_id, **(fields | changes))


def judged_run() -> tuple[list[AttemptRow], list[VerdictRow]]:
    """Give a run that was warned, observed and stopped, and asked again three times."""
    warned = attempt_row(
        "s1",
        0.0,
        1.0,
        verdict_policy="caps",
        verdict_action="warn",
        verdict_reason="cost_limit",
    )
    again = attempt_row(
        "s2",
        1.2,
        2.0,
        step_seq=2,
        verdict_policy="caps",
        verdict_action="warn",
        verdict_reason="cost_limit",
    )
    observed = attempt_row(
        "s3",
        4.0,
        1.0,
        step_seq=3,
        verdict_policy="repeat",
        verdict_action="would_block",
        verdict_reason="repeated_call",
        breaker_state="half_open",
    )
    refused = [refused_row(f"r{n}", 5.5 + n / 10) for n in range(4)]
    near = "run is near its limit ($0.81, warning from $0.80 on); to let it go on: `tacho allow R1`, or change policies.caps.cost_usd"
    circles = "run goes in circles: the same call with the same arguments 10 times in a row; to let it go on: `tacho allow R1`, or change policies.repeat"
    told = [
        verdict_on(
            warned, value=Decimal("0.8125"), threshold=Decimal("0.8"), message=near
        ),
        verdict_on(
            observed,
            type="loop",
            value=Decimal(10),
            threshold=Decimal(10),
            message=circles,
        ),
        *map(verdict_on, refused),
    ]
    return [warned, again, observed, *refused], told
