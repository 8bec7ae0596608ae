"""Lines on a terminal and in a pipe."""

import io
import json
import sys
from decimal import Decimal

import pytest
from rich.text import Text

from proxy.cli.rendering import Terminal, say_json
from tests.helpers.run_rows import run_row


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


def test_a_pipe_gets_no_colour(capsys: pytest.CaptureFixture[str]):
    Terminal().print([Text("a line", style="red")])
    assert capsys.readouterr().out == "a line\n"


def test_columns_says_how_wide(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "123")
    assert Terminal().width == 123


def test_prose_is_wrapped_and_tables_are_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("COLUMNS", "20")
    Terminal().print([Text("some words that go on"), Text("x" * 25, no_wrap=True)])
    assert capsys.readouterr().out.splitlines() == [
        "some words that go",
        "on",
        "x" * 25,
    ]


def test_wrapped_prose_in_colour_ends_in_no_blank(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("FORCE_COLOR", "1")
    Terminal().print([Text("some words that go on", style="dim")])
    said = capsys.readouterr().out
    assert "\x1b[" in said
    assert " \x1b[0m\n" not in said


def test_a_terminal_without_unicode_gets_plain_characters(
    monkeypatch: pytest.MonkeyPatch,
):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    Terminal().print([Text("░█ ✗ a · b…")])
    assert raw.getvalue() == b".# x a | b~\n"


def test_json_has_money_as_numbers(capsys: pytest.CaptureFixture[str]):
    say_json({"run": run_row(usd=Decimal("0.000000000001"))})
    said = json.loads(capsys.readouterr().out, parse_float=Decimal)
    assert said["run"]["usd"] == Decimal("0.000000000001")
