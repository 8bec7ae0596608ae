"""What the policies did, as text: the picture stands in `tests/data/terminal/`."""

from decimal import Decimal
from pathlib import Path

import pytest
from rich.cells import cell_len

from proxy.cli.report_rows import Report
from proxy.cli.report_text import report_lines
from tests.helpers.report_rows import (
    LONG_ID,
    empty_report,
    full_report,
    said_row,
    would_row,
)
from tests.helpers.run_rows import NOW

PICTURES = Path(__file__).parents[2] / "data" / "terminal"
WIDTHS = (80, 120, 200)


def drawn(report: Report, width: int = 120, options: str = "") -> list[str]:
    return [line.plain for line in report_lines(report, width, NOW, "tacho", options)]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_picture_is_the_one_that_was_looked_at(width: int):
    expected = (PICTURES / f"report-{width}.txt").read_text("utf-8")
    assert drawn(full_report(), width, " --config t.yaml") == expected.splitlines()


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_no_table_is_wider_than_the_terminal(width: int):
    lines = report_lines(full_report(), width, NOW, "tacho", "")
    assert max(cell_len(line.plain) for line in lines if line.no_wrap) <= width


def test_where_nothing_happened_each_part_says_so():
    assert drawn(empty_report(agent="booker", since_seconds=90)) == [
        "policies in the last 90 s of the agent booker · 1,234 calls",
        "",
        "stopped, had all policies enforced: nothing",
        "",
        "refused: nothing was refused",
        "",
        "warnings: no limit was near",
        "",
        "health breakers: none opened",
        "",
        "rate and quota gates: no call found one shut",
    ]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(604_800, "7 d"), (7200, "2 h"), (5400, "90 min"), (61, "61 s")],
)
def test_the_time_is_said_in_its_largest_unit(seconds: int, said: str):
    assert f"in the last {said} ·" in drawn(empty_report(since_seconds=seconds))[0]


def test_a_policy_alone_has_no_line_for_all():
    only = would_row(usd=None)
    lines = drawn(empty_report(would_have_stopped=[only], together=would_row("", usd=None)))  # fmt: skip
    assert not any("together" in line for line in lines)
    assert "enforcing would have saved 31 steps at most: an agent that is refused does something else instead" in lines  # fmt: skip
    assert "look at one: tacho show nightly-42 · to enforce: policies.caps.mode" in lines  # fmt: skip


def test_calls_of_no_run_cannot_be_looked_at():
    lines = drawn(empty_report(would_have_stopped=[would_row("budgets:a")], together=would_row("", first_run="")))  # fmt: skip
    assert "to enforce: policies.budgets[a].mode" in lines


def test_tenants_are_named_where_there_are_several():
    one = "\n".join(drawn(full_report()))
    assert "tenant" not in one
    several = [would_row(), would_row(tenant="other", usd=Decimal(1))]
    lines = drawn(full_report(would_have_stopped=several))
    assert any("caps" in line and "other" in line for line in lines)
    assert "other" in "\n".join(drawn(empty_report(refused=[said_row(), said_row(tenant="other")])))  # fmt: skip


def test_ids_are_long_enough_to_be_found_again():
    assert any(LONG_ID[:16] in line for line in drawn(full_report(), 80))
    assert any(LONG_ID in line for line in drawn(full_report(), 1000))


def test_names_cannot_move_the_cursor():
    report = full_report(refused=[said_row("x\x1b[2J", agent="\x1b", last_run="\x1b")])
    assert "\x1b" not in "".join(drawn(report))
