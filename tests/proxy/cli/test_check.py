"""`tacho check` reports in lines and in JSON; the checks themselves: `test_checks.py`."""

import json
from pathlib import Path

import pytest

from proxy.cli.main import main

PORTS = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TACHO_STORE_LISTEN", "127.0.0.1:0")


def test_all_well_is_0_and_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["check", *PORTS]) == 0
    text = capsys.readouterr().out
    assert "/openai" in text
    assert "workers    1, state memory\n" in text
    assert "FAIL" not in text
    assert list(tmp_path.iterdir()) == []


def test_a_failure_is_1_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "data").write_text("a file")
    assert main(["check", *PORTS, "--data-dir", "data", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    assert [check["name"] for check in report["checks"] if not check["ok"]] == [
        "data directory"
    ]
    assert {route["name"] for route in report["routes"]} >= {"openai", "anthropic"}


def test_settings_that_cannot_be_used_are_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("TACHO_WORKERS", "many")
    assert main(["check"]) == 2
    assert capsys.readouterr().err.startswith("tacho: TACHO_WORKERS: ")
