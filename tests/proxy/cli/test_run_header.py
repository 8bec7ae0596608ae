"""What is said of a run as a whole."""

from collections.abc import Sequence
from decimal import Decimal

import pytest

from proxy.cli.questions import AttemptRow, RunRow
from proxy.cli.run_header import header
from tests.helpers.run_rows import attempt_row, run_row


def said(run: RunRow, rows: Sequence[AttemptRow] = ()) -> list[str]:
    return [line.plain for line in header(run, rows)]


def test_a_run_without_agent_says_so():
    first = said(run_row(agent="", agent_source=""))[0]
    assert first == "run R1 · no agent named · success (reported)"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("path", "named in the URL"),
        ("prompt", "named by prompt and tools"),
        ("client_key", "named by the client key"),
        ("of-tomorrow", "of-tomorrow"),
    ],
)
def test_where_the_agents_name_comes_from_is_said(source: str, words: str):
    assert f" · booker ({words}) · " in said(run_row(agent_source=source))[0]


def test_agents_that_took_over_are_named_in_their_order():
    rows = [attempt_row(f"s{n}", n, 1, agent=f"a{n % 7}") for n in range(9)]
    assert "a0 → a1 → a2 → a3 → a4 and 2 more" in said(run_row(), rows)[0]


def test_an_open_run_whose_last_call_failed_says_how():
    run = run_row(outcome="open", outcome_source="inferred", last_error="overloaded")
    assert said(run)[0].endswith("open (inferred, the last call failed: overloaded)")
    over = run_row(outcome="failure", outcome_reason="no seat", last_error="overloaded")
    assert said(over)[0].endswith("failure (reported, no seat)")


def test_what_nobody_counted_is_not_zero():
    assert " · no tokens known · " in said(run_row(input_tokens=None))[1]
    assert "2 tool calls" not in said(run_row(tool_calls=0))[1]


def test_rungs_and_models_are_counted():
    rows = [attempt_row("s1", 0, 1), attempt_row("s2", 1, 1, source="new", model="")]
    line = said(run_row(), rows)[2]
    assert line.endswith("models gpt-4o-2024-08-06 (1) · steps joined by explicit (1), new (1)")  # fmt: skip
    assert said(run_row())[2].endswith(" UTC · no step")


def test_a_step_counts_once_by_what_joined_its_first_attempt():
    again = attempt_row("s1", 1, 1, attempt=1, source="continuation")
    models = attempt_row("s2", 2, 1, is_step=False)
    rows = [attempt_row("s1", 0, 1, source="new"), again, models]
    assert said(run_row(), rows)[2].endswith(" · steps joined by new (1)")


def test_what_it_was_worth_is_said():
    run = run_row(outcome_reason="no seat", outcome_value=Decimal("0.500000"))
    assert said(run)[0].endswith("success (reported, no seat, value 0.5)")
    assert said(run_row(outcome_value=Decimal(100)))[0].endswith(
        "(reported, value 100)"
    )


def test_runs_that_belong_together_are_named():
    children = tuple(f"c{n}" for n in range(7))
    run = run_row(parent="P", root="P0", children=children)
    assert said(run)[3] == (
        "session session-7 · begun by run P · root run P0 · began 7 runs: c0, c1, c2, c3, c4 and 2 more"
    )
    assert said(run_row(parent="P", root="P", session=""))[3] == "begun by run P"
    assert len(said(run_row(session=""))) == 3


def test_no_name_can_move_the_cursor():
    run = run_row("a\x1b", agent="b\x1b", session="s\x1b", outcome_reason="r\r")
    assert "\x1b" not in "".join(said(run))
    assert "\r" not in "".join(said(run))
