"""Numbers as people read them."""

from decimal import Decimal

import pytest
from rich.cells import cell_len

from proxy.cli import figures

DOLLARS = {
    None: "-",
    "0": "$0",
    "0.0000000001": "<$0.000001",
    "0.00000123": "$0.000001",
    "0.000058": "$0.000058",
    "0.0123": "$0.012",
    "0.42": "$0.42",
    "0.1": "$0.10",
    "12.3456": "$12.35",
    "999.994": "$999.99",
    "1234.5": "$1,234",
}
DURATIONS = {
    None: ("-", "-"),
    0.0: ("0 ms", "0 ms"),
    0.85: ("850 ms", "850 ms"),
    0.9996: ("1.0 s", "1.0 s"),
    38.24: ("38.2 s", "38.2 s"),
    99.96: ("1 min 40 s", "1m40s"),
    200.0: ("3 min 20 s", "3m20s"),
    7500.0: ("2 h 05 min", "2h05m"),
    200_000.0: ("2 d", "55h33m"),
    900_000.0: ("10 d", "10 d"),
}
TOKENS = {
    None: "-",
    0: "0",
    9_999: "9,999",
    12_345: "12.3k",
    123_456: "123k",
    999_499: "999k",
    999_500: "1.00M",
    12_345_678: "12.35M",
}


@pytest.mark.parametrize(("usd", "expected"), DOLLARS.items(), ids=str)
def test_dollars(usd: str | None, expected: str):
    assert figures.dollars(None if usd is None else Decimal(usd)) == expected


def test_dollars_that_are_not_exact_are_marked():
    assert figures.dollars(Decimal("0.5"), "~") == "~$0.50"
    assert figures.dollars(None, "~") == "-"
    assert figures.dollars(Decimal("0.0000001"), "≥") == "≥$0"


@pytest.mark.parametrize("usd", ["0.0000001", "0.000043", "0.01", "1.5", "999999"])
@pytest.mark.parametrize("mark", ["", "~", "≥"])
def test_dollars_fit_their_column(usd: str, mark: str):
    assert cell_len(figures.dollars(Decimal(usd), mark)) <= 10


@pytest.mark.parametrize(("seconds", "expected"), DURATIONS.items(), ids=str)
def test_times(seconds: float | None, expected: tuple[str, str]):
    assert (figures.duration(seconds), figures.span(seconds)) == expected
    assert len(figures.span(seconds)) <= 6


@pytest.mark.parametrize(("count", "expected"), TOKENS.items(), ids=str)
def test_tokens(count: int | None, expected: str):
    assert figures.tokens(count) == expected
    assert len(expected) <= 6


def test_counts_have_their_noun():
    assert figures.counted(1, "step") == "1 step"
    assert figures.counted(1200, "step") == "1,200 steps"
    assert figures.counted(2, "retry", "retries") == "2 retries"


@pytest.mark.parametrize("width", [0, 1, 5, 30])
def test_what_is_fitted_has_exactly_the_width(width: int):
    for text in ("", "abc", "abcdefghij", "读取一个名字"):
        assert cell_len(figures.fitted(text, width)) == width
        assert cell_len(figures.fitted(text, width, right=True)) == width


def test_what_is_cut_says_so():
    assert figures.fitted("abcdef", 4) == "abc…"
    assert figures.fitted("ab", 4, right=True) == "  ab"


def test_control_characters_are_not_printed():
    assert figures.printable("a\x1b[31mb\n") == "a\ufffd[31mb\ufffd"


def test_amounts_below_each_other_have_their_points_in_one_column():
    amounts = ["$1,234", "~$0.42", "$0.000043", "-", "unpriced"]
    padded = figures.at_the_point(amounts)
    assert padded == ["$1,234       ", "~$0.42    ", "$0.000043", "-", "unpriced"]
    assert figures.at_the_point(["$3", "-"]) == ["$3", "-"]
    assert figures.at_the_point([]) == []
