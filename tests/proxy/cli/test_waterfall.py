"""The waterfall at three widths, as it stands in `tests/data/terminal/`, and what single lines say.

To write the pictures anew after a change, look at the difference that the failing test shows.
"""

from decimal import Decimal
from pathlib import Path

import pytest
from rich.cells import cell_len

from proxy.cli.run_header import header
from proxy.cli.waterfall import waterfall
from tests.helpers.run_rows import FAILED, attempt_row, long_run, run_row

PICTURES = Path(__file__).parents[2] / "data" / "terminal"
WIDTHS = (80, 120, 200)


def drawn(width: int) -> list[str]:
    run = run_row(usd=Decimal("0.0246"), estimated_rows=1, unpriced_attempts=1)
    rows = long_run()
    return [line.plain for line in (*header(run, rows), *waterfall(rows, width))]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_picture_is_the_one_that_was_looked_at(width: int):
    expected = (PICTURES / f"waterfall-{width}.txt").read_text("utf-8")
    assert drawn(width) == expected.splitlines()


@pytest.mark.parametrize("width", [*WIDTHS, 99, 100, 72])
def test_each_line_of_an_attempt_fills_the_width_and_no_more(width: int):
    lines = [line for line in waterfall(long_run(), width) if line.no_wrap]
    assert max(cell_len(line.plain) for line in lines) == width


@pytest.mark.parametrize(
    ("width", "name"), [(72, "attempt 1 "), (80, "attempt 1, sdk ")]
)
def test_an_attempt_keeps_its_number_in_a_narrow_terminal(width: int, name: str):
    assert any(name in line.plain for line in waterfall(long_run(), width))


def test_without_rows_there_are_headings_only():
    assert len(list(waterfall([], 80))) == 1


STATUSES = {
    "rejected": ({**FAILED, "outcome": "rejected", "http_status": 429}, "429"),
    "overloaded": (FAILED, "529"),
    "no connection": ({**FAILED, "error_type": "connect", "http_status": None}, "connect"),
    "no connection, answered here": ({**FAILED, "error_type": "connect", "http_status": 502}, "connect"),
    "an error in a stream": ({**FAILED, "error_type": "error_in_stream", "http_status": 200}, "failed"),
    "refused in an answer": ({**FAILED, "outcome": "rejected", "error_type": "not_found", "http_status": 200}, "failed"),
    "left": ({**FAILED, "outcome": "client_abort"}, "left"),
    "cut": ({**FAILED, "outcome": "upstream_abort"}, "cut"),
    "blocked": ({**FAILED, "outcome": "blocked"}, "blocked"),
    "ok": ({}, "ok"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "expected"), STATUSES.values(), ids=STATUSES)
def test_the_status_is_short(changes: dict[str, object], expected: str):
    _, shown, *_ = waterfall([attempt_row("s1", 0, 1, **changes)], 80)
    assert shown.plain[21:].startswith(expected + " ") or f" {expected} " in shown.plain


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("connect", "✗ upstream_error: connect, HTTP 502 from here"),
        ("server_error", "✗ upstream_error: server_error, HTTP 502"),
    ],
)
def test_a_status_of_our_own_is_said_to_be(error: str, said: str):
    row = attempt_row("s1", 0, 1, **(FAILED | {"error_type": error, "http_status": 502}))  # fmt: skip
    assert list(waterfall([row], 80))[2].plain.strip() == said


def test_a_step_is_what_its_last_attempt_was_and_costs_what_all_did():
    rows = [
        attempt_row("s1", 0.0, 1.0, usd=Decimal("0.25")),
        attempt_row("s1", 2.0, 1.0, attempt=1, usd=Decimal("0.5"), retry_layer="sdk"),
    ]
    step = list(waterfall(rows, 120))[1].plain
    assert "$0.75" in step
    assert "2,468" in step
    assert "3.0 s" in step


def test_a_name_cannot_move_the_cursor():
    row = attempt_row("s1", 0, 1, step_name="\x1b[2Jclear", model="a\rb")
    for each in waterfall([row], 120):
        assert "\x1b" not in each.plain
        assert "\r" not in each.plain


def test_a_turn_of_the_user_and_another_agent_are_said_between_steps():
    rows = [
        attempt_row("s1", 0, 1),
        attempt_row("s2", 1, 1, turn_seq=2),
        attempt_row("s3", 2, 1, turn_seq=2, agent=""),
        attempt_row("s4", 3, 1, turn_seq=None, agent="b\x1b"),
    ]
    lines = [line.plain.strip(" ─") for line in waterfall(rows, 80)]
    assert lines[2] == "turn 2"
    assert lines[5] == "b\N{REPLACEMENT CHARACTER}"
    assert len(lines) == 7


CRASHED = {**FAILED, "outcome": "proxy_crashed", "cost_source": "unpriced"}


@pytest.mark.parametrize(
    ("first", "mark", "said"),
    [
        (CRASHED, "≥", "≥ at least: some attempts have no price"),
        ({"usage_source": "estimated"}, "~", "~ estimated, or at an assumed price"),
        ({"cost_source": "assumed"}, "~", "~ estimated, or at an assumed price"),
        ({**CRASHED, "kind": "tool"}, " ", None),
    ],
)
def test_dollars_say_how_sure_they_are(
    first: dict[str, object], mark: str, said: str | None
):
    rows = [attempt_row("s1", 0, 1, **first), attempt_row("s1", 1, 1, attempt=1)]
    _, step, *_, last = waterfall(rows, 120)
    assert f"{mark}$0.0" in step.plain
    assert (last.plain if "$" not in last.plain else None) == said


def test_a_step_that_nobody_could_count_is_not_taken_for_what_is_no_work():
    _, step, legend = waterfall([attempt_row("s1", 0, 1, step_seq=None)], 80)
    assert step.plain.startswith("  ? chat")
    assert (
        legend.plain
        == "? not counted: its first attempt was refused, or the state could not be asked"
    )
