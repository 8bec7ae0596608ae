"""`tacho`: its help, and what failures look like."""

import argparse
import subprocess
import sys

import pytest

from proxy.cli import main as command_line
from proxy.cli.main import SUMMARIES, main
from proxy.errors import SettingsError, StartError, TachoError
from tests.helpers.processes import environ


@pytest.mark.parametrize("command", SUMMARIES)
def test_each_command_has_help_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"  tacho {command}" in text
    assert "--config" in text


def test_help_lists_all_commands(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(
        summary.split(";")[0] in " ".join(text.split())
        for summary in SUMMARIES.values()
    )


@pytest.mark.parametrize("words", [[], ["nope"], ["up", "--nope"]], ids=str)
def test_bad_usage_is_2(words: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: ")


@pytest.mark.parametrize(
    ("error", "status"),
    [(SettingsError("a\nb"), 2), (StartError("a b"), 3), (TachoError("a b"), 1)],
    ids=["settings", "start", "other"],
)
def test_an_error_is_one_line_and_a_status(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    status: int,
):
    _let_up(monkeypatch, error)
    assert main(["up"]) == status
    assert capsys.readouterr().err == "tacho: a b\n"


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch):
    _let_up(monkeypatch, KeyboardInterrupt())
    assert main(["up"]) == 130


def _let_up(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    class Command:
        def configure(self, parser: argparse.ArgumentParser) -> None:
            pass

        def run(self, arguments: argparse.Namespace) -> int:
            raise error

    monkeypatch.setattr(command_line, "_command", lambda _: Command())


def test_help_imports_nothing_heavy():
    script = (
        "import sys; from proxy.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'aiohttp', 'yaml', 'msgspec', 'rich', 'asyncio'} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-P", "-c", script],
        env=environ(),
        capture_output=True,
        timeout=60,
    )
    assert ended.stdout.splitlines()[-1] == b"[]"
