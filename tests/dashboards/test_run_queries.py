"""`runs.sql` and `run_steps.sql` on rows in random order: outcomes reported and inferred, sums, offsets."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from exporters.enrich.columns import EventRow, StepRow
from exporters.enrich.rows import encode_rows
from tests.helpers.store import StoreProcess, open_store

QUERIES = Path(__file__).parents[2] / "dashboards" / "queries"
NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(hours=5)
FAILURE: dict[str, Any] = {
    "outcome": "upstream_error",
    "error_type": "overloaded",
    "http_status": 529,
}


def at(seconds: float, began: datetime = LONG_AGO) -> str:
    return (began + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S.%f")


def step(
    run: str, name: str, seconds: float, began: datetime = LONG_AGO, **changes: Any
) -> StepRow:
    """Give the only attempt of a step of one second, ten tokens in, five out, half a dollar."""
    row = StepRow(
        attempt_id=f"{run}-{name}-0",
        step_id=f"{run}-{name}",
        run_id=run,
        run_source="explicit",
        tenant="acme",
        agent="booker",
        ts=at(seconds, began),
        closed_at=at(seconds + 1, began),
        kind="llm",
        is_step=True,
        step_name=name,
        model_served="gpt-1",
        outcome="completed",
        duration_us=1_000_000,
        tok_input=6,
        tok_cache_read=4,
        tok_output=5,
        usage_source="provider",
        cost_usd="0.500000000000",
        cost_source="computed",
    )  # fmt: skip
    return msgspec.structs.replace(row, **changes)


def told(name: str, run: str, outcome: str, seconds: float, **changes: Any) -> EventRow:
    row = EventRow(
        event_id=f"{run}-{name}",
        ts=at(seconds),
        tenant="acme",
        run_id=run,
        type="outcome",
        source="reported",
        reason=outcome,
    )
    return msgspec.structs.replace(row, **changes)


def said(name: str, run: str, seconds: float, action: str, **changes: Any) -> EventRow:
    """Give the event of a verdict of caps on a run's first call."""
    fields: dict[str, Any] = {"type": "cap", "policy": "caps", "action": action, "source": "run", "step_id": f"{run}-one"}  # fmt: skip
    return told(name, run, "step_limit", seconds, **(fields | changes))


def ended(run: str, outcome: str, seconds: float) -> EventRow:
    """Give what the proxy says when a run ends."""
    return told("end", run, outcome, 0, ts=at(seconds, NOW), type="run_end", source="new")  # fmt: skip


def steps() -> list[StepRow]:
    nothing: dict[str, Any] = {"tok_input": None, "tok_cache_read": None, "tok_output": None, "usage_source": "none",
                               "cost_usd": None, "cost_source": "none"}  # fmt: skip
    retried: dict[str, Any] = {"step_id": "whole-two", "attempt_id": "whole-two-1", "attempt": 1, "retry_layer": "sdk"}  # fmt: skip
    return [
        step("whole", "one", 0, call_id=("c1", "c2"), call_tool=("search", "fetch"), response_id="resp_1"),
        step("whole", "one", 0, part=1, is_step=False, model_served="gpt-2", cost_usd="0.250000000000"),
        step("whole", "two", 2, **FAILURE, **nothing),
        step("whole", "two", 4, **retried, run_source="continuation"),
        step("whole", "tool", 6, kind="tool", **nothing),
        step("whole", "models", 7, is_step=False, kind="other", **nothing),
        step("failed", "one", 0),
        step("failed", "two", 2, **FAILURE, **nothing),
        step("recovered", "one", 0, **FAILURE, **nothing),
        step("recovered", "two", 2),
        step("capped", "one", 0, outcome="blocked", verdict_action="block", verdict_policy="caps", **nothing),
        step("refused", "one", 0, outcome="blocked", **nothing),
        step("watched", "one", 0),
        step("watched", "two", 2, verdict_action="would_block", verdict_policy="caps"),
        step("left", "one", 0, outcome="client_abort"),
        step("live", "one", -5, NOW),
        step("again", "one", -9, NOW, agent="finder", agent_source="prompt", session_id="s1"),
        step("again", "two", -5, NOW, agent="writer", **FAILURE, **nothing),
        step("stopped", "one", -9, NOW, **FAILURE, **nothing),
        step("went-on", "one", -9, NOW),
        step("went-on", "two", -5, NOW),
        step("branch", "one", -9, NOW, parent_run_id="whole", root_run_id="whole", run_source="unmatched"),
        step("branch-2", "one", -9, NOW, parent_run_id="whole", root_run_id="whole"),
        step("guessed", "one", 0, usage_source="estimated", cost_source="assumed"),
        step("unpriced", "one", 0, cost_usd=None, cost_source="unpriced"),
        step("by-response", "one", 0, response_id="resp_2"),
        step("late", "one", 0),
        step("twin", "one", 0),
        step("twin", "one", 0, tenant="other", attempt_id="o", cost_usd="9.000000000000"),
        step("old", "one", 0, NOW - timedelta(days=30)),
        step("", "one", 0),
    ]  # fmt: skip


def events() -> list[EventRow]:
    return [
        told("e", "whole", "success", 10, detail='{"reason":"exit status 0"}'),
        told("e1", "late", "success", 10),
        told(
            "e2", "late", "failure", 20, value="0.5", detail='{"reason":"looked again"}'
        ),
        told("e", "", "success", 10, detail='{"response_id":"resp_2"}'),
        told("f", "", "failure", 10, detail='{"response_id":"resp_2"}', tenant="other"),
        told("e", "twin", "success", 10, tenant="other"),
        told("e", "idle", "success", 10, agent="sleeper"),
        told("e", "failed", "success", 10, type="cap"),
        said("v1", "capped", 0, "block", value="3", threshold="3"),
        said("v2", "capped", 0, "warn", policy="backstop"),
        said("v3", "capped", -5, "warn", step_id="capped-zero"),
        said("v4", "capped", 0, "half_open", type="breaker"),
        said("v5", "capped", 0, "block", tenant="other"),
        said("v6", "whole", 0, "block"),
        ended("stopped", "failure", -1),
        ended("went-on", "ended", -6),
        ended("late", "ended", 1800),
    ]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreProcess]:
    """A store of its own with these rows, in random order and in several inserts."""
    store = open_store(tmp_path_factory.mktemp("runs"))
    shuffler = random.Random(4)
    known, heard = steps(), events()
    shuffler.shuffle(known)
    shuffler.shuffle(heard)
    for table, lines in (
        ("steps", encode_rows(known[:8])),
        ("steps", encode_rows(known[8:])),
        ("events", encode_rows(heard)),
    ):
        body = f"INSERT INTO {table} FORMAT JSONEachRow\n".encode() + lines
        assert store.write(body).status == 200
    yield store
    store.end()


def ask(rows: StoreProcess, name: str, **parameters: str) -> list[dict[str, Any]]:
    text = (QUERIES / f"{name}.sql").read_text()
    asked = {f"param_{key}": value for key, value in parameters.items()}
    answer = rows.ask(text, default_format="JSONEachRow", **asked)
    assert answer.status == 200, answer.text
    return [msgspec.json.decode(line) for line in answer.body.splitlines()]


def runs(rows: StoreProcess, **changes: str) -> dict[tuple[str, str], dict[str, Any]]:
    asked = {"since_seconds": "86400", "agent": "", "session": "", "run": "", "max_runs": "50"}  # fmt: skip
    found = ask(rows, "runs", **(asked | changes))
    return {(row["tenant"], row["run"]): row for row in found}


def test_a_run_is_summed_up_whole(rows: StoreProcess):
    run = runs(rows)["acme", "whole"]
    assert (run["steps"], run["attempts"], run["retried_steps"]) == (3, 4, 1)
    assert (run["tool_calls"], run["usd"], run["source"]) == (2, 1.25, "continuation")
    assert (run["input_tokens"], run["cached_tokens"], run["output_tokens"]) == (
        30,
        12,
        15,
    )
    assert (run["seconds"], run["agent"]) == (8.0, "booker")
    assert run["started"] == at(0)


OUTCOMES = {
    "whole": ("success", "reported", "exit status 0"),
    "late": ("failure", "reported", "looked again"),
    "by-response": ("success", "reported", ""),
    "idle": ("success", "reported", ""),
    "failed": ("failure", "inferred", ""),
    "recovered": ("ended", "inferred", ""),
    "capped": ("capped", "inferred", ""),
    "refused": ("failure", "inferred", ""),
    "left": ("abandoned", "inferred", ""),
    "live": ("open", "inferred", ""),
    "again": ("open", "inferred", ""),
    "stopped": ("failure", "inferred", ""),
    "went-on": ("open", "inferred", ""),
    "twin": ("ended", "inferred", ""),
}


@pytest.mark.parametrize(("run", "expected"), OUTCOMES.items(), ids=str)
def test_outcomes_are_reported_or_inferred(
    run: str, expected: tuple[str, str, str], rows: StoreProcess
):
    found = runs(rows)["acme", run]
    said = (found["outcome"], found["outcome_source"], found["outcome_reason"])
    assert said == expected


def test_a_run_is_its_first_agents_and_says_how_its_last_call_failed(
    rows: StoreProcess,
):
    run = runs(rows)["acme", "again"]
    assert (run["agent"], run["agent_source"], run["agents"]) == ("finder", "prompt", 2)
    assert run["last_error"] == "overloaded"
    assert [found["run"] for found in runs(rows, session="s1").values()] == ["again"]
    assert runs(rows)["acme", "recovered"]["last_error"] == ""


def test_a_report_may_name_an_agent_and_a_value(rows: StoreProcess):
    found = runs(rows)
    assert found["acme", "idle"]["agent"] == "sleeper"
    assert float(found["acme", "late"]["outcome_value"]) == 0.5
    assert found["acme", "whole"]["outcome_value"] is None


def test_the_latest_begun_comes_first_whatever_was_reported_since(rows: StoreProcess):
    began = [row["started"] for row in runs(rows).values()]
    assert began == sorted(began, reverse=True)


def test_a_run_knows_its_parent_and_its_children(rows: StoreProcess):
    found = runs(rows)
    assert found["acme", "whole"]["children"] == ["branch", "branch-2"]
    branch = found["acme", "branch"]
    assert (branch["parent"], branch["root"], branch["source"]) == ("whole", "whole", "unmatched")  # fmt: skip
    assert branch["children"] == []


def test_a_run_belongs_to_its_tenant(rows: StoreProcess):
    found = runs(rows)
    assert found["acme", "twin"]["usd"] == 0.5
    assert (found["other", "twin"]["usd"], found["other", "twin"]["outcome"]) == (
        9.0,
        "success",
    )


def test_what_is_not_exact_is_counted(rows: StoreProcess):
    found = runs(rows)
    marks = ("estimated_rows", "assumed_rows", "unpriced_attempts")
    assert [found["acme", "guessed"][mark] for mark in marks] == [1, 1, 0]
    assert [found["acme", "unpriced"][mark] for mark in marks] == [0, 0, 1]
    assert [found["acme", "whole"][mark] for mark in marks] == [0, 0, 0]
    assert found["acme", "unpriced"]["usd"] is None


def test_a_run_without_calls_is_there_and_has_no_numbers(rows: StoreProcess):
    run = runs(rows)["acme", "idle"]
    assert (run["steps"], run["usd"], run["seconds"]) == (0, None, None)
    assert (run["source"], run["started"]) == ("", at(10))


def test_parameters_narrow_the_list(rows: StoreProcess):
    assert ("acme", "old") not in runs(rows)
    assert ("acme", "old") in runs(rows, since_seconds="0")
    assert {run for _, run in runs(rows, run="re")} == {"recovered", "refused"}
    assert {run for _, run in runs(rows, agent="sleeper")} == {"idle"}
    assert {run for _, run in runs(rows, agent="writer")} == {"again"}
    assert len(runs(rows, max_runs="3")) == 3
    assert not [run for _, run in runs(rows) if not run]


def test_the_latest_come_first_and_a_whole_id_before_all(rows: StoreProcess):
    assert next(run for _, run in runs(rows)) == "live"
    assert next(iter(runs(rows, run="whole"))) == ("acme", "whole")


def test_attempts_come_in_the_order_of_their_steps(rows: StoreProcess):
    found = ask(rows, "run_steps", run="whole", tenant="acme")
    assert [(row["step_name"], row["attempt"]) for row in found] == [
        ("one", 0),
        ("two", 0),
        ("two", 1),
        ("tool", 0),
        ("models", 0),
    ]
    assert [row["offset_seconds"] for row in found] == [0.0, 2.0, 4.0, 6.0, 7.0]


def test_an_attempt_has_its_parts_and_no_count_that_nobody_said(rows: StoreProcess):
    first, failed, *_ = ask(rows, "run_steps", run="whole", tenant="acme")
    assert (first["usd"], first["parts"], first["model"]) == (0.75, 1, "gpt-1")
    assert (first["input_tokens"], first["output_tokens"]) == (20, 10)
    assert first["asked_tools"] == ["search", "fetch"]
    assert (failed["usd"], failed["input_tokens"], failed["http_status"]) == (
        None,
        None,
        529,
    )


def test_attempts_of_the_same_run_of_another_tenant_are_apart(rows: StoreProcess):
    (mine,) = ask(rows, "run_steps", run="twin", tenant="acme")
    assert mine["usd"] == 0.5
    assert ask(rows, "run_steps", run="nobody", tenant="") == []


def test_calls_that_were_refused_are_no_steps_and_counted_apart(rows: StoreProcess):
    found = runs(rows)
    capped = found["acme", "capped"]
    assert (capped["steps"], capped["attempts"], capped["refused"]) == (0, 0, 1)
    assert (found["acme", "watched"]["steps"], found["acme", "watched"]["would_refuse"]) == (2, 1)  # fmt: skip
    assert {(run["refused"], run["would_refuse"]) for (_, name), run in found.items() if name not in ("capped", "watched", "refused")} == {(0, 0)}  # fmt: skip


def test_verdicts_of_one_run_come_in_the_order_of_its_calls(rows: StoreProcess):
    found = ask(rows, "run_verdicts", tenant="acme", run="capped")
    assert [(row["step_id"], row["policy"], row["action"]) for row in found] == [
        ("capped-zero", "caps", "warn"),
        ("capped-one", "caps", "block"),
        ("capped-one", "backstop", "warn"),
    ]
    (row, _) = found[1:]
    assert (row["began"], row["scope"], row["value"], row["threshold"]) == (at(0), "run", 3, 3)  # fmt: skip
    assert len(ask(rows, "run_verdicts", tenant="", run="capped")) == 4
    (step,) = ask(rows, "run_steps", tenant="acme", run="capped")
    assert (step["began"], step["step_id"]) == (row["began"], row["step_id"])
