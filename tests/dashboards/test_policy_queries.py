"""The questions about policies on generated rows, against a count in plain Python that owes the SQL nothing."""

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from exporters.enrich.columns import EventRow, StepRow
from exporters.enrich.rows import encode_rows
from tests.helpers.store import StoreProcess, open_store

QUERIES = Path(__file__).parents[2] / "dashboards" / "queries"
NOW = datetime.now(UTC)
POLICIES = ("caps", "repeat", "budgets:team", "breaker", "rate_gate", "quota_gate")
REASONS = {"caps": ("step_limit", "in_flight"), "breaker": ("upstream_failing",)}
RETRYABLE = ("breaker", "rate_gate")


def at(seconds_ago: float) -> str:
    return (NOW - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%d %H:%M:%S.%f")


def generated(seed: int) -> tuple[list[StepRow], list[EventRow]]:
    """Make runs of one agent each, calls of no run, retries, models billed inside, and verdicts of all sorts."""
    rng = random.Random(seed)
    steps: list[StepRow] = []
    events: list[EventRow] = []
    for number in range(24):
        tenant, agent = rng.choice(["acme", "other"]), rng.choice(["", "bot", "cat"])
        run = f"run-{number}" if number % 6 else ""
        for place in range(rng.randrange(3, 12)):
            for attempt in range(rng.choice([1, 1, 2])):
                made = _made(rng, tenant, agent, run, f"{number}-{place}", attempt)
                ts = at(9000 - 400 * place - 3 * attempt - number / 100)
                steps += [msgspec.structs.replace(each, ts=ts, closed_at=ts, step_seq=place + 1) for each in made]  # fmt: skip
                for policy in rng.sample(POLICIES, rng.choice([0, 0, 1])):
                    events.append(_event(rng, steps[-1], policy))
    rng.shuffle(steps)
    rng.shuffle(events)
    return steps, events


def _made(
    rng: random.Random, tenant: str, agent: str, run: str, step: str, attempt: int
) -> list[StepRow]:
    action = rng.choice(["", "", "", "warn", "would_block", "would_block", "block"])
    policy = rng.choice(POLICIES) if action else ""
    usd = rng.choice([None, Decimal(rng.randrange(1, 10**9)).scaleb(-9)])
    is_refused = action == "block"
    row = StepRow(
        attempt_id=f"{step}-{attempt}", ts="", closed_at="", step_id=step, attempt=attempt, tenant=tenant, agent=agent, run_id=run,
        is_step=rng.random() < 0.9, kind="llm", route="openai", model_requested="gpt-1",
        outcome="blocked" if is_refused else "completed",
        verdict_policy=policy, verdict_action=action, verdict_reason=rng.choice(REASONS.get(policy, ("limit",))) if policy else "",
        usage_source=rng.choice(["provider", "estimated"]), cost_usd=None if usd is None or is_refused else f"{usd:.12f}",
        cost_source="unpriced" if usd is None else "computed",
    )  # fmt: skip
    if rng.random() < 0.2 and not is_refused:
        inside = msgspec.structs.replace(row, part=1, cost_usd="0.500000000000", verdict_action="", verdict_policy="", cost_source="computed")  # fmt: skip
        return [row, inside]
    return [row]


def _event(rng: random.Random, row: StepRow, policy: str) -> EventRow:
    return EventRow(
        event_id=f"{row.attempt_id}-{policy}", ts=row.ts, tenant=row.tenant, agent=row.agent, run_id=row.run_id, step_id=row.step_id,
        type="cap", policy=policy, action=rng.choice(["warn", "would_block"]), reason="limit", route="openai", model="gpt-1",
    )  # fmt: skip


SEEDS = (3, 4, 5)


@pytest.fixture(scope="module", params=SEEDS)
def known(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[StoreProcess, list[StepRow], list[EventRow]]]:  # fmt: skip
    store = open_store(tmp_path_factory.mktemp("policies"))
    steps, events = generated(request.param)
    for table, rows in (("steps", encode_rows(steps)), ("events", encode_rows(events))):
        body = f"INSERT INTO {table} FORMAT JSONEachRow\n".encode() + rows
        assert store.write(body).status == 200
    yield store, steps, events
    store.end()


def ask(store: StoreProcess, name: str, **changes: str) -> list[dict[str, Any]]:
    asked = {"param_since_seconds": "86400", "param_agent": ""}
    asked |= {f"param_{key}": value for key, value in changes.items()}
    text = (QUERIES / f"{name}.sql").read_text()
    answer = store.ask(text, default_format="JSONEachRow", **asked)
    assert answer.status == 200, answer.text
    return [msgspec.json.decode(line) for line in answer.body.splitlines()]


Call = tuple[str, str, str, str, str]
"""Tenant, run, step, time, policy."""


def calls_of(steps: list[StepRow], events: list[EventRow], since: str = "") -> dict[Call, set[str]]:  # fmt: skip
    """Find each call that a policy would have refused, and why."""
    found: dict[Call, set[str]] = defaultdict(set)
    for row in steps:
        if row.part == 0 and row.verdict_action == "would_block" and row.ts > since:
            found[row.tenant, row.run_id, row.step_id, row.ts, row.verdict_policy].add(row.verdict_reason)  # fmt: skip
    for event in events:
        if event.action == "would_block" and event.ts > since:
            found[event.tenant, event.run_id, event.step_id, event.ts, event.policy].add(event.reason)  # fmt: skip
    return found


def rest_of(call: Call, why: set[str], steps: list[StepRow]) -> list[StepRow]:  # fmt: skip
    """Give what was spent from a call on."""
    tenant, run, step, ts, policy = call
    if run and policy not in RETRYABLE and "in_flight" not in why:
        return [row for row in steps if (row.tenant, row.run_id) == (tenant, run) and row.ts >= ts]  # fmt: skip
    return [row for row in steps if (row.tenant, row.step_id) == (tenant, step) and row.ts >= ts]  # fmt: skip


def summed(rows: dict[tuple[str, int], StepRow]) -> tuple[int, float | None]:
    work = {row.step_id for row in rows.values() if row.part == 0 and row.is_step and row.outcome != "blocked"}  # fmt: skip
    costs = [Decimal(row.cost_usd) for row in rows.values() if row.cost_usd is not None]
    return len(work), float(sum(costs)) if costs else None


def test_what_would_have_stopped_is_counted_and_what_came_after_is_summed_up(known):
    store, steps, events = known
    agents = {row.step_id: row.agent for row in steps}
    calls = calls_of(steps, events)
    counts: dict[tuple[str, str, str], list[Call]] = defaultdict(list)
    saved: dict[tuple[str, str, str], dict[tuple[str, int], StepRow]] = defaultdict(dict)  # fmt: skip
    everything: dict[tuple[str, int], StepRow] = {}
    for call, why in calls.items():
        whose = (call[0], call[4], agents[call[2]])
        counts[whose].append(call)
        for row in rest_of(call, why, steps):
            saved[whose][row.attempt_id, row.part] = row
            everything[row.attempt_id, row.part] = row
    *found, together = ask(store, "would_have_stopped")
    assert {(line["tenant"], line["policy"], line["agent"]) for line in found} == {
        *counts
    }
    for line in found:
        whose = (line["tenant"], line["policy"], line["agent"])
        assert line["calls"] == len(counts[whose])
        assert line["runs"] == len({run for _, run, *_ in counts[whose]} - {""})
        first = min(counts[whose], key=lambda call: call[3])
        assert (line["began"], line["first_run"]) == (first[3], first[1])
        assert (line["steps"], line["usd"]) == pytest.approx(summed(saved[whose]))
        guessed = [each for each in saved[whose].values() if each.usage_source == "estimated"]  # fmt: skip
        assert line["estimated_rows"] == len(guessed)
    assert together["policy"] == ""
    assert together["calls"] == len({call[:4] for call in calls})
    assert (together["steps"], together["usd"]) == pytest.approx(summed(everything))


def test_only_calls_of_the_time_and_agent_that_are_asked_for_count(known):
    store, steps, events = known
    agents = {row.step_id: row.agent for row in steps}
    calls = calls_of(steps, events, since=at(7200))
    found = ask(store, "would_have_stopped", since_seconds="7200", agent="bot")
    assert found[-1]["calls"] == len({call[:4] for call in calls if agents[call[2]] == "bot"})  # fmt: skip
    assert {row["agent"] for row in found[:-1]} == {"bot"}
    assert ask(store, "would_have_stopped", agent="nobody") == []


def test_refusals_and_warnings_are_counted_by_policy_reason_and_agent(known):
    store, steps, events = known
    refused = [row for row in steps if row.part == 0 and row.outcome == "blocked"]
    warned = [event for event in events if event.action == "warn"]
    for name, rows, policy, reason in (
        ("refusals", refused, "verdict_policy", "verdict_reason"),
        ("warnings", warned, "policy", "reason"),
    ):
        expected: dict[tuple[str, str, str, str], list[Any]] = defaultdict(list)
        for row in rows:
            expected[row.tenant, getattr(row, policy), getattr(row, reason), row.agent].append(row)  # fmt: skip
        found = {(row["tenant"], row["policy"], row["reason"], row["agent"]): row for row in ask(store, name)}  # fmt: skip
        assert found.keys() == expected.keys()
        for key, same in expected.items():
            row = found[key]
            assert row["calls"] == len(same)
            assert row["runs"] == len({each.run_id for each in same} - {""})
            assert (row["began"], row["ended"]) == (min(each.ts for each in same), max(each.ts for each in same))  # fmt: skip


def test_gates_say_how_many_calls_found_them_shut(known):
    store, steps, events = known
    expected: dict[str, dict[str, set[tuple[str, str]]]] = {}
    judged = [(row.verdict_policy, row.verdict_action, row.step_id, row.ts) for row in steps if row.part == 0]  # fmt: skip
    judged += [(event.policy, event.action, event.step_id, event.ts) for event in events]  # fmt: skip
    for policy, action, *call in judged:
        if policy in ("rate_gate", "quota_gate") and action != "warn":
            actions = expected.setdefault(policy, defaultdict(set))
            actions[action].add((call[0], call[1]))
    found = {row["policy"]: row for row in ask(store, "gates_shut")}
    assert found.keys() == expected.keys()
    for policy, actions in expected.items():
        row = found[policy]
        assert (row["refused"], row["would_refuse"]) == (len(actions["block"]), len(actions["would_block"]))  # fmt: skip


def turned(name: str, seconds_ago: float, after: str, before: str, model: str = "m") -> EventRow:  # fmt: skip
    return EventRow(
        event_id=name, ts=at(seconds_ago), type="breaker", policy="breaker", action=after, reason=f"was_{before}", route="openai",
        model=model, detail="https://o",
    )  # fmt: skip


def test_a_breaker_is_open_until_a_probe_closed_it(tmp_path: Path):
    store = open_store(tmp_path)
    try:
        told = [
            turned("a", 500, "open", "closed"),
            turned("b", 490, "half_open", "open"),
            turned("c", 490, "open", "half_open"),
            turned("d", 470, "half_open", "open"),
            turned("e", 469, "closed", "half_open"),
            turned("f", 400, "open", "closed"),
            turned("g", 395, "closed", "half_open"),
            turned("h", 300, "open", "closed", "forgotten"),
            turned("i", 290, "open", "closed", "forgotten"),
            turned("j", 90_000, "open", "closed", "old"),
        ]
        body = b"INSERT INTO events FORMAT JSONEachRow\n" + encode_rows(told)
        assert store.write(body).status == 200
        found = {row["model"]: row for row in ask(store, "breakers")}
        assert found.keys() == {"m", "forgotten"}
        closed, open_ = found["m"], found["forgotten"]
        assert (closed["openings"], closed["seconds"], closed["longest_seconds"], closed["is_open"]) == (2, 36.0, 31.0, 0)  # fmt: skip
        assert (closed["began"], closed["ended"]) == (at(500), at(395))
        assert (open_["openings"], open_["is_open"]) == (2, 1)
        assert 300 <= open_["seconds"] < 600
    finally:
        store.end()
