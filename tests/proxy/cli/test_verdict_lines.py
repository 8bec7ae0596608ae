"""What policies said of a run, at its calls and in its head; the whole picture stands in `tests/data/terminal/`."""

from decimal import Decimal
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.text import Text

from proxy.cli.run_header import header
from proxy.cli.verdict_lines import reason, stopped, together
from proxy.cli.waterfall import waterfall
from tests.helpers.run_rows import (
    FAILED,
    attempt_row,
    judged_run,
    refused_row,
    run_row,
    verdict_on,
)

PICTURES = Path(__file__).parents[2] / "data" / "terminal"
WIDTHS = (80, 120, 200)


def text_of(lines: list[Text]) -> list[str]:
    return [line.plain for line in lines]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_picture_is_the_one_that_was_looked_at(width: int):
    rows, told = judged_run()
    run = run_row(outcome="capped", outcome_source="inferred", steps=3, attempts=3, refused=4, would_refuse=1)  # fmt: skip
    drawn = [
        *header(run, rows),
        *stopped(rows, told, "R1", options=" --config t.yaml"),
        *waterfall(rows, width, told),
    ]
    expected = (PICTURES / f"verdicts-{width}.txt").read_text("utf-8")
    assert text_of(drawn) == expected.splitlines()
    assert max(cell_len(line.plain) for line in drawn if line.no_wrap) <= width


def test_without_verdicts_nothing_is_said():
    assert list(stopped([attempt_row("s1", 0, 1)], [], "R1")) == []


def test_a_refusal_of_whose_kind_too_many_were_told_says_what_its_row_does():
    row = refused_row("s1", 0)
    shown = text_of([*waterfall([row], 80)])
    assert "    ✗ refused by caps: step limit (HTTP 400)" in shown
    assert "to let it go on: tacho allow R1" in text_of([*stopped([row], [], "R1")])


def test_a_run_that_went_on_was_refused_for_a_while():
    refused, later = refused_row("r", 1.0), attempt_row("s", 2.0, 1, step_seq=1)
    (said, _) = text_of([*stopped([refused, later], [], "R1")])
    assert said == "refused for a while by caps at step 1: step limit · until then 0 steps · 1 call refused, then 1 more step"  # fmt: skip


def test_what_would_have_stopped_a_run_says_what_it_took_since():
    fields = {"verdict_policy": "budgets:team", "verdict_action": "would_block", "verdict_reason": "budget_spent"}  # fmt: skip
    rows = [
        attempt_row("s1", 0, 1, usd=Decimal("0.25")),
        attempt_row("s2", 2, 1, usd=Decimal("0.5"), **fields),
        attempt_row("s3", 4, 1, usd=Decimal("0.25"), usage_source="estimated"),
    ]
    told = [verdict_on(rows[1], value=Decimal("10.250000"), threshold=Decimal(10))]
    (said,) = text_of([*stopped(rows, told, "R1")])
    assert said == (
        "budgets:team would have stopped it at step 2: budget spent, 10.25 of 10 · until then 1 step, $0.25, "
        "since then 2 steps, ~$0.75 · it only observes; to enforce: policies.budgets[team].mode"
    )


ADVICE = {
    "in a run": ({}, {}, "to let it go on: bin/tacho allow R1 --data-dir d"),
    "in flight": ({"verdict_reason": "in_flight"}, {}, "sent again, it may pass"),
    "gate": ({"verdict_policy": "breaker"}, {"scope": "route"}, "the upstream is why"),
    "budget": ({"verdict_policy": "budgets:a"}, {"scope": "tenant"}, "at the step below"),
}  # fmt: skip


@pytest.mark.parametrize(("row", "event", "said"), ADVICE.values(), ids=ADVICE)
def test_what_can_be_done_depends_on_whose_limit_it_was(row, event, said):
    refused = refused_row("s1", 0, **row)
    (_, advice) = text_of([*stopped([refused], [verdict_on(refused, **event)], "R1", "bin/tacho", " --data-dir d")])  # fmt: skip
    assert said in advice


FIGURES = {
    "cost_limit": ("20.5", "20", "cost limit, $20.50 of $20.00"),
    "time_limit": ("1800.5", "1800", "time limit, 30 min 00 s of 30 min 00 s"),
    "step_limit": ("1000", "1000", "step limit, 1,000 of 1,000"),
}


@pytest.mark.parametrize("why", FIGURES)
def test_numbers_have_the_unit_of_their_reason(why: str):
    value, threshold, expected = FIGURES[why]
    row = refused_row("s1", 0, verdict_reason=why)
    each = verdict_on(row, value=Decimal(value), threshold=Decimal(threshold))
    assert reason(each) == expected


def test_several_policies_at_one_call_are_all_told():
    row = refused_row("s1", 0)
    warned = verdict_on(row, action="warn", policy="backstop", message="near")
    shown = text_of([*waterfall([row], 80, [verdict_on(row), warned])])
    assert [each.strip()[:20] for each in shown[2:7:3]] == ["✗ refused by caps: s", "! backstop warns: st"]  # fmt: skip


def test_an_open_breaker_is_told_of():
    row = attempt_row("s1", 0, 1, breaker_state="open")
    assert "    ! breaker open" in text_of([*waterfall([row], 80)])


def test_only_neighbours_that_were_refused_alike_are_joined():
    other = refused_row("c", 2, verdict_policy="breaker")
    rows = [[refused_row("a", 0)], [refused_row("b", 1)], [other], [attempt_row("d", 3, 1)], [attempt_row("e", 4, 1)]]  # fmt: skip
    found = [(each[0].step_id, more, last) for each, more, last in together(rows)]
    assert found == [("a", 1, 1.0), ("c", 0, 2.0), ("d", 0, 0.0), ("e", 0, 0.0)]


def test_a_retry_that_was_refused_stays_with_its_step():
    rows = [attempt_row("s1", 0, 1, **FAILED), refused_row("s1", 2, attempt=1)]
    shown = text_of([*waterfall(rows, 80)])
    assert [each[:3].strip() for each in shown[1:2]] == ["1"]
    assert any("attempt 1" in each for each in shown)


def test_messages_cannot_move_the_cursor():
    row = refused_row("s1", 0)
    for each in waterfall([row], 80, [verdict_on(row, message="a\x1b[2Jb")]):
        assert "\x1b" not in each.plain


def test_of_a_gate_it_is_said_for_how_long():
    row = refused_row("s1", 0, verdict_policy="breaker", verdict_reason="upstream_failing")  # fmt: skip
    each = verdict_on(row, value=Decimal(5), threshold=Decimal(0))
    assert reason(each) == "upstream failing, for 5.0 s"


def test_what_went_out_all_the_same_stopped_nothing_and_has_its_number():
    fields = {"verdict_policy": "tool_calls", "verdict_reason": "unknown_tool", "http_status": 200}  # fmt: skip
    first = refused_row("s", 0, step_seq=1, **fields)
    second = attempt_row("s", 1, 1, step_seq=1, attempt=1, attempt_id="s-1")
    shown = text_of([*waterfall([first, second], 80)])
    assert any(line.startswith("  1 ") for line in shown)
    assert "    ✗ refused by tool_calls: unknown tool" in shown
    assert "- refused here: no step" not in shown
    assert list(stopped([first, second], [], "R1")) == []


def test_a_retry_that_was_refused_is_told_in_the_head():
    rows = [attempt_row("s", 0, 1), refused_row("s", 1, attempt=1, attempt_id="s-1")]
    (said, _) = text_of([*stopped(rows, [], "R1")])
    assert said.startswith("stopped by caps")


def test_an_answer_is_compared_with_no_limit():
    row = refused_row("s", 0, verdict_policy="tool_calls", verdict_reason="bad_json")
    told = verdict_on(row, value=Decimal(1), threshold=Decimal(0))
    assert reason(told) == "bad json"
