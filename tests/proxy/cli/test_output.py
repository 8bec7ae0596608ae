"""Answers go to stdout, complaints to stderr as one line."""

import pytest

from proxy.cli.output import complain, say, say_exactly


def test_say_ends_its_line(capsys: pytest.CaptureFixture[str]):
    say("a")
    say_exactly("b")
    assert capsys.readouterr().out == "a\nb"


def test_a_complaint_is_one_line(capsys: pytest.CaptureFixture[str]):
    complain("first\n  second")
    assert capsys.readouterr().err == "tacho: first second\n"
