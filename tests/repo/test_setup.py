"""Setting up: `make setup` on a bare checkout, and its one-line refusals."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.repo.tree import ROOT, files, text


def _make(
    tree: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("MAKE", "MFLAGS"))
    }
    return subprocess.run(
        ["make", *arguments],
        cwd=tree,
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Copy what would be committed to a path with a space in it."""
    tree = tmp_path / "a checkout"
    for name in files():
        if not name.startswith("tests/data/"):
            target = tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    return tree


@pytest.fixture
def old_python(tmp_path: Path) -> Path:
    """Make a program that answers as a Python older than 3.11 does."""
    program = tmp_path / "python3.9"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    return program


def test_make_alone_lists_what_can_be_made():
    listed = _make(ROOT).stdout
    for target in (
        "setup",
        "up",
        "test",
        "test-all",
        "lint",
        "format",
        "lock",
        "prices",
        "drill",
        "clean",
    ):
        assert f"make {target} " in listed


def test_setup_refuses_an_old_python_in_one_line(checkout, old_python):
    done = _make(checkout, "--no-print-directory", "setup", PYTHON=str(old_python))
    assert done.returncode != 0
    [line] = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert "older than Python 3.11" in line
    assert str(old_python) in line
    assert not (checkout / ".venv").exists()


def test_ci_runs_what_everybody_runs():
    commands = [
        line for line in text(".ci/run").splitlines() if line.startswith("make")
    ]
    assert commands == ["make test", "make test-all"]
    assert "set -euo pipefail\n" in text(".ci/run")


@pytest.mark.big
@pytest.mark.timeout(900)
def test_setup_makes_the_command_from_nothing_and_then_has_nothing_to_do(checkout):
    first = _make(checkout, "setup")
    assert first.returncode == 0, first.stdout + first.stderr
    command = [checkout / ".venv/bin/tacho", "--help"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert _make(checkout, "--no-print-directory", "setup").stdout == ""
