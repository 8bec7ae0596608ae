"""Answers go to stdout, complaints to stderr as one line."""

import subprocess
import sys

import pytest

from proxy.cli.output import complain, say, say_exactly


def test_say_ends_its_line(capsys: pytest.CaptureFixture[str]):
    say("a")
    say_exactly("b")
    assert capsys.readouterr().out == "a\nb"


def test_a_complaint_is_one_line(capsys: pytest.CaptureFixture[str]):
    complain("first\n  second")
    assert capsys.readouterr().err == "tacho: first second\n"


def test_a_reader_that_has_left_ends_the_command_without_a_word():
    run = "import sys; from proxy.cli.main import main; sys.exit(main(['check']))"
    with subprocess.Popen(
        [sys.executable, "-c", run], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.close()
        assert command.stderr.read() == b""
    assert command.returncode == 141
