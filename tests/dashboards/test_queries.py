"""Every query file runs on the embedded store, is well headed, and answers what it says."""

import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from exporters.enrich.columns import PriceRow, StepRow
from exporters.enrich.rows import encode_rows
from tests.helpers.store import StoreProcess

OF_POLICIES = frozenset({"breakers", "gates_shut", "refusals", "warnings", "would_have_stopped"})  # fmt: skip
"""Answered in `test_policy_queries.py`: no policy has anything to say here."""
QUERIES = sorted((Path(__file__).parents[2] / "dashboards" / "queries").glob("*.sql"))


def steps(now: str) -> list[StepRow]:
    """A retried LLM call, one of which nobody knows what it took, an answer of two models, a tool that failed once."""
    common = StepRow(
        attempt_id="",
        ts=now,
        closed_at=now,
        outcome="completed",
        agent="writer",
        is_step=True,
        duration_us=2_000_000,
        ttft_us=500_000,
        tok_input=10,
        tok_output=5,
    )
    replace = msgspec.structs.replace
    llm = replace(
        common,
        attempt_id="a1",
        kind="llm",
        route="openai",
        step_name="chat",
        model_served="gpt-1",
        cost_usd="0.500000000000",
        cost_source="computed",
        price_version="v1",
    )
    failed = replace(
        llm,
        outcome="upstream_error",
        error_type="overloaded",
        cost_usd=None,
        cost_source="unpriced",
    )
    part = replace(
        llm,
        part=1,
        model_served="gpt-2",
        cost_usd="0.250000000000",
        cost_source="assumed",
    )
    tool = replace(
        common, attempt_id="t1", kind="tool", route="search", step_name="find"
    )
    broken = replace(tool, outcome="timeout", error_type="ttfb_timeout")
    unmetered = replace(
        failed,
        attempt_id="a3",
        model_served="gpt-3",
        error_type="model_down",
        tok_input=None,
        tok_output=None,
    )
    return [failed, llm, part, tool, broken, unmetered]


@pytest.fixture(scope="session")
def rows(store: StoreProcess) -> StoreProcess:
    """The store with a few steps of today."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    body = b"INSERT INTO steps FORMAT JSONEachRow\n" + encode_rows(steps(now))
    assert store.write(body).status == 200
    return store


def defaults(text: str) -> dict[str, str]:
    """Read the parameters that a query's head names, as the store takes them."""
    lines = [line for line in text.splitlines() if line.startswith("-- Parameters: ")]
    found = re.findall(r"(\w+) = (?:'(\w*)'|(\d+))", "".join(lines))
    return {f"param_{name}": word or number for name, word, number in found}


def ask(rows: StoreProcess, name: str) -> list[dict[str, object]]:
    (path,) = [path for path in QUERIES if path.stem == name]
    answer = rows.ask(path.read_text(), default_format="JSONEachRow")
    return [msgspec.json.decode(line) for line in answer.body.splitlines()]


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_each_query_runs_with_the_read_token(rows: StoreProcess, path: Path) -> None:
    text = path.read_text()
    asked = defaults(text)
    answer = rows.ask(text, default_format="JSONEachRow", **asked)
    assert answer.status == 200, answer.text
    assert answer.body or asked.get("param_run") == "" or path.stem in OF_POLICIES


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_each_parameter_has_a_default_in_the_head(path: Path) -> None:
    text = path.read_text()
    used = {f"param_{name}" for name in re.findall(r"\{(\w+):\w+\}", text)}
    assert used == {*defaults(text)}


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_each_query_says_its_question_and_what_it_counts(path: Path) -> None:
    first, second = path.read_text().splitlines()[:2]
    assert first.startswith("-- ")
    assert first.endswith("?")
    assert second.startswith("-- Counts: ")


def test_cost_includes_parts_and_says_what_is_assumed(rows: StoreProcess) -> None:
    found = {row["model"]: row for row in ask(rows, "cost_by_model")}
    assert (found["gpt-1"]["usd"], found["gpt-1"]["unpriced_attempts"]) == (0.5, 1)
    assert (
        found["gpt-2"]["usd"],
        found["gpt-2"]["attempts"],
        found["gpt-2"]["assumed_usd"],
    ) == (0.25, 0, 0.25)
    none = found["gpt-3"]
    assert (none["input_tokens"], none["output_tokens"]) == (None, None)


def test_failures_are_a_share_of_all_attempts(rows: StoreProcess) -> None:
    found = {row["error_type"]: row for row in ask(rows, "errors_by_type")}
    assert found["overloaded"]["share"] == found["ttfb_timeout"]["share"] == 0.5


def test_latencies_are_of_completed_attempts_only(rows: StoreProcess) -> None:
    found = {row["model"]: row for row in ask(rows, "latency_by_model_and_step")}
    assert (
        found["gpt-1"]["attempts"],
        found["gpt-1"]["p50_ms"],
        found["gpt-1"]["first_token_p50_ms"],
    ) == (1, 2000, 500)


def test_tools_have_their_failures_and_a_denominator(rows: StoreProcess) -> None:
    (found,) = ask(rows, "tool_calls_latency")
    assert (found["tool"], found["attempts"], found["failures"]) == ("find", 2, 1)


def test_the_latest_steps_leave_out_parts(rows: StoreProcess) -> None:
    assert len(ask(rows, "latest_steps")) == 5


def test_each_spend_has_the_terms_that_it_was_priced_by(rows: StoreProcess) -> None:
    price = PriceRow(price_version="v1", model="gpt-1", terms='{"prices":[]}')
    body = b"INSERT INTO prices FORMAT JSONEachRow\n" + encode_rows([price, price])
    assert rows.write(body).status == 200
    found = {row["model_served"]: row for row in ask(rows, "what_prices_meant")}
    assert (found["gpt-1"]["usd"], found["gpt-1"]["terms"]) == (0.5, '{"prices":[]}')
    assert (found["gpt-2"]["source"], found["gpt-2"]["terms"]) == ("assumed", "")
