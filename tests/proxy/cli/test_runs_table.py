"""The list of runs: what fits, what is cut, and what an inferred outcome looks like."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.cells import cell_len

from proxy.cli.questions import RunRow
from proxy.cli.runs_table import short_ids, summary, table
from tests.helpers.run_rows import NOW, run_row

PICTURES = Path(__file__).parents[2] / "data" / "terminal"


def some_runs() -> list[RunRow]:
    """Give runs that need each column and each mark."""
    return [
        run_row("nightly-42", refused=3, would_refuse=2),
        run_row("01a2044a00947637a0e8f7365ddb8363", agent="a-very-long-name-of-an-agent-that-goes-on",
                outcome="failure", outcome_source="inferred", usd=None),
        run_row("01a2044b00947637a0e8f7365ddb8364", outcome="open", outcome_source="inferred", attempts=3,
                assumed_rows=1, usd=Decimal("1234.5"), seconds=7400.0, agents=2, would_refuse=12),
        run_row("01a2044b01947637a0e8f7365ddb8365", outcome="open", outcome_source="inferred", attempts=3,
                parent="01a2044b00947637a0e8f7365ddb8364", last_error="overloaded"),
        run_row("idle", source="", agent="", seconds=None, steps=0, attempts=0, tool_calls=0, usd=None,
                input_tokens=None, output_tokens=None),
    ]  # fmt: skip


def drawn(width: int) -> list[str]:
    later = NOW + timedelta(hours=3)
    return [line.plain for line in table(some_runs(), width, later)]


@pytest.mark.parametrize("width", [80, 120, 200])
def test_the_picture_is_the_one_that_was_looked_at(width: int):
    expected = (PICTURES / f"runs-{width}.txt").read_text("utf-8")
    assert drawn(width) == expected.splitlines()


@pytest.mark.parametrize("width", [80, 95, 96, 109, 110, 200])
def test_no_line_is_wider_than_the_terminal(width: int):
    assert max(cell_len(line) for line in drawn(width)[:-1]) <= width


def test_long_ids_that_begin_alike_leave_room_for_agents():
    rows = [run_row("nightly-" * 12 + each) for each in ("one", "two")]
    lines = [line.plain for line in table(rows, 80, NOW)]
    assert max(map(cell_len, lines)) <= 80
    assert " booker " in lines[1]


def test_only_an_inferred_outcome_is_marked():
    text = "\n".join(drawn(120))
    assert "failure?" in text
    assert "success?" not in text
    assert "open?" not in text
    assert "open!" in text


def test_ids_are_cut_to_the_room_that_there_is_or_so_that_they_differ():
    assert short_ids(["R1", "a" * 30], 18, 20) == ["R1", "a" * 17 + "…"]
    alike = ["a" * 17 + each * 9 for each in "bc"]
    assert short_ids(alike, 3, 20) == ["a" * 17 + "b…", "a" * 17 + "c…"]
    assert short_ids(alike, 3, 10) == ["aaaaaaaaa…"] * 2
    assert short_ids(["a" * 30], 3, 20) == ["a" * 16 + "…"]


def test_ids_are_whole_for_programs():
    rows = [run_row("a" * 32, agent="an-agent-of-many-words"), run_row("b" * 128)]
    for row, line in zip(rows, list(table(rows, 80, NOW, whole_ids=True))[1:], strict=False):  # fmt: skip
        assert line.plain.split()[0] == row.run


def test_without_anything_to_explain_there_is_no_legend():
    assert len(list(table([run_row(attempts=3)], 80, NOW))) == 2


def test_the_summary_is_one_line():
    assert summary(run_row(), 38.2) == (
        "3 steps + 1 retry, 12.3k tokens in, 940 out, $0.42, command 38.2 s"
    )
    assert summary(run_row(steps=1, attempts=1), 1).startswith("1 step, ")
    refused = run_row(steps=0, attempts=0, input_tokens=None, output_tokens=None, usd=None, refused=2)  # fmt: skip
    assert summary(refused, 1) == "0 steps, 2 calls refused, command 1.0 s"
    nothing = replace(refused, source="", refused=0)
    assert summary(nothing, 0.138) == "command 138 ms"


def test_what_was_refused_is_told_where_anything_was():
    rows = [run_row("R1", refused=90, steps=4), run_row("R2", would_refuse=2, steps=4)]
    heading, first, second, legend = (line.plain for line in table(rows, 80, NOW))
    assert "refused" in heading
    assert " 90 " in first
    assert " (2) " in second
    assert legend == "(2): would have been refused, if what observes enforced"
    assert "refused" not in next(iter(table([run_row()], 80, NOW))).plain


def test_costs_stand_with_their_points_below_each_other():
    costs = [Decimal("1234"), Decimal("0.42"), Decimal("0.000043"), None]
    lines = [line.plain for line in table([run_row(usd=each) for each in costs], 80, NOW)]  # fmt: skip
    assert lines[2].index(".42") == lines[3].index(".000043")
    assert len(lines[1].rstrip()) == lines[2].index(".42")
    assert max(map(cell_len, lines)) <= 80
