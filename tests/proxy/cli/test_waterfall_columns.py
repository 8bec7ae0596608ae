"""Columns of a waterfall's lines, and bars on its time axis."""

import pytest

from proxy.cli.waterfall_columns import Columns, Line, bar


def test_a_narrow_terminal_gets_the_narrowest_picture():
    assert Columns.within(20) == Columns.within(72)


def test_wide_costs_take_their_room_from_the_bar_and_names():
    for width in (80, 120):
        narrow, wide = Columns.within(width), Columns.within(width, 13)
        assert wide.cost == narrow.cost + 3
        room = [each.name + each.model + each.bar for each in (narrow, wide)]
        assert room[0] == room[1] + 3


def line(start: float, end: float | None, first_token: float | None = None) -> Line:
    return Line("", "", "", "ok", start, end, first_token, None, None, "-")


BARS = {
    "whole": (line(0, 10), 10, "██████████"),
    "half": (line(5, 10), 10, "     █████"),
    "waiting": (line(0, 10, 4.0), 10, "░░░░██████"),
    "too short to see": (line(9.99, 10), 10, "         █"),
    "short and waiting": (line(0, 0.01, 0.005), 10, "█         "),
    "a token after the end": (line(0, 10, 99.0), 10, "░░░░░░░░░█"),
    "no duration": (line(2, None), 10, "  █       "),
    "nothing took any time": (line(0, 0), 0, "█         "),
}


@pytest.mark.parametrize(("each", "total", "expected"), BARS.values(), ids=BARS)
def test_a_bar_stands_where_its_time_was(each: Line, total: float, expected: str):
    assert bar(each, 10, total) == expected
