"""From the command line to a supervisor; with real children in `tests/end_to_end/`."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.cli.serving import greet, tell, version
from proxy.supervise.banner import Banner
from tests.helpers.processes import environ


def test_a_data_directory_in_use_is_said_before_any_child_starts(tmp_path: Path):
    (tmp_path / "data").write_text("a file")
    ended = subprocess.run(
        [
            sys.executable,
            "-P",
            "-m",
            "proxy",
            "proxy",
            "--data-dir",
            str(tmp_path / "data"),
        ],
        env=environ(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 3
    assert ended.stderr.startswith("tacho: data_dir ")
    assert ended.stderr.count("\n") == 1


def test_the_version_is_that_of_the_installation(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "1.2")
    assert version() == "1.2"


def test_a_checkout_that_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch):
    def missing(_: str) -> str:
        raise importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert version() == "(not installed)"


def test_the_banner_is_plain_where_nobody_looks(capsys: pytest.CaptureFixture[str]):
    greet(Banner(version="1.2", data_dir="/d"))
    text = capsys.readouterr().out
    assert "tachograph 1.2 is running" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(("terminal", "said"), [(True, "\r  stopped\n"), (False, "  stopped\n")])  # fmt: skip
def test_what_is_told_stands_on_a_line_of_its_own_below_the_sign_of_ctrl_c(
    terminal: bool,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    tell("  stopped")
    assert capsys.readouterr().out == said
