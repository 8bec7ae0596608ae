"""Recorded calls as a replay reads them, made by hand or from a worker's records, without a store.

What lives here: a plausible row, rows of records by the words of `replayed_calls.sql` but not by its text, and a replay of rows. What does not:
what must be true of it.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

import msgspec

from exporters.enrich.columns import StepRow
from exporters.enrich.rows import step_rows
from proxy.judge.settings import PolicySettings
from proxy.model import Kind
from proxy.replay.policies import Reading, asked
from proxy.replay.replayer import Replayer
from proxy.replay.rows import Call, Row, call_of
from tests.helpers.judging import NOW_US, TERMS
from tests.helpers.records import Recorded

SECOND = 1_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_IN = ("tok_input", "tok_cache_read", "tok_cache_write", "tok_cache_write_long", "tok_audio_in", "tok_image_in")  # fmt: skip
_OUT = ("tok_output", "tok_reasoning", "tok_audio_out")


def row(run: str = "r1", second: float = 0, **changes: Any) -> Row:
    """Give a call of a dollar that took half a second, of a thousand tokens in and a hundred out."""
    began_us = NOW_US + round(second * SECOND)
    attempt_id = changes.pop("attempt_id", f"{run}-{second:012.3f}")
    fields: dict[str, Any] = {
        "began_us": began_us,
        "closed_us": began_us + SECOND // 2,
        "attempt_id": attempt_id,
        "step_id": attempt_id,
        "part": 0,
        "tenant": "acme",
        "agent": "writer",
        "agent_source": "path",
        "caller": "caller-1",
        "session_id": "",
        "root_run_id": run,
        "parent_run_id": "",
        "run_id": run,
        "turn": 1,
        "step": 0,
        "attempt": 0,
        "is_step": True,
        "kind": Kind.LLM,
        "route": "openai",
        "provider": "openai",
        "operation": "chat",
        "model_requested": "gpt-4o",
        "outcome": "completed",
        "verdict_action": "",
        "usage_source": "provider",
        "input_tokens": 1000,
        "output_tokens": 100,
        "usd": Decimal(1),
        "output_usd": Decimal("0.5"),
        "rate_input": Decimal("0.0005"),
    }
    return Row(**(fields | changes))


def call(run: str = "r1", second: float = 0, **changes: Any) -> Call:
    """Give the same as a call without further models."""
    return call_of([row(run, second, **changes)])


def steps_of(recorded: Iterable[Recorded]) -> list[StepRow]:
    """Give the rows of the table `steps`."""
    return [row for each in recorded for row in step_rows(each.open, each.close, each.end)]  # fmt: skip


def rows_of(steps: Iterable[StepRow]) -> list[Row]:
    """Give what the query makes of rows of the table `steps`."""
    found = [_row(each) for each in steps]
    return sorted(found, key=lambda each: (each.began_us, each.attempt_id, each.part))


def calls_of(rows: Iterable[Row]) -> list[Call]:
    """Put rows in their order together to calls."""
    return [call_of(list(parts)) for _, parts in groupby(rows, lambda each: each.attempt_id)]  # fmt: skip


def replayed(
    calls: Iterable[Call], *, since_us: int = 0, reading: Reading = "all", **policies: Any
) -> Replayer:  # fmt: skip
    """Replay calls; policies that are not named are as by default."""
    settings = asked(msgspec.convert(policies, PolicySettings), reading)
    replayer = Replayer(settings, TERMS, 10_000, since_us)
    for each in calls:
        replayer.take(each)
    return replayer


def stops(replayer: Replayer) -> dict[str, tuple[int, str, str]]:
    """Give where each run was stopped: the step, the policy and the reason."""
    return {
        each.run: (each.stop.step, each.stop.verdict.policy, str(each.stop.verdict.reason))
        for each in replayer.tallies.values()
        if each.stop is not None
    }  # fmt: skip


def _row(step: StepRow) -> Row:
    money = {name: Decimal(getattr(step, name) or 0) for name in ("cost_usd", "cost_output_usd", "cost_reasoning_usd", "rate_input")}  # fmt: skip
    return Row(
        _us(step.ts), _us(step.closed_at), step.attempt_id, step.step_id, step.part, step.tenant, step.agent, step.agent_source,
        step.caller, step.session_id, step.root_run_id, step.parent_run_id, step.run_id, 1 if step.turn_seq is None else step.turn_seq,
        step.step_seq or 0, step.attempt, step.is_step, Kind(step.kind), step.route, step.provider, step.operation,
        step.model_requested, step.outcome, step.verdict_action, step.usage_source, _sum(step, _IN), _sum(step, _OUT),
        money["cost_usd"], money["cost_output_usd"] + money["cost_reasoning_usd"], money["rate_input"], step.ctx_window,
        step.call_tool, step.call_args_hash,
    )  # fmt: skip


def _sum(step: StepRow, names: Iterable[str]) -> int:
    return sum(getattr(step, name) or 0 for name in names)


def _us(text: str) -> int:
    moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
    return (moment - EPOCH) // timedelta(microseconds=1)
