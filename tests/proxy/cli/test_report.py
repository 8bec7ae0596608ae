"""`tacho report`: text and JSON say the same, and what to do where there is nothing to tell."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.cli import report_rows
from proxy.cli.main import main
from tests.helpers.fake_store import FakeStore, fake_store
from tests.helpers.report_rows import empty_report, full_report


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeStore]:
    monkeypatch.chdir(tmp_path)
    with fake_store() as server:
        monkeypatch.setenv("TACHO_CLICKHOUSE_URL", server.url)
        yield server


def given(monkeypatch: pytest.MonkeyPatch, report: Any) -> list[tuple[int, str]]:
    asked = []

    def answer(_: object, since_seconds: int, agent: str) -> Any:
        asked.append((since_seconds, agent))
        return report

    monkeypatch.setattr(report_rows, "report", answer)
    return asked


def test_text_and_json_have_the_same_figures(server, monkeypatch, capsys):
    asked = given(monkeypatch, full_report())
    assert main(["report", "--since", "1h", "--agent", "booker"]) == 0
    text = capsys.readouterr().out
    assert main(["report", "--since", "1h", "--agent", "booker", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert asked == [(3600, "booker")] * 2
    for row in said["would_have_stopped"]:
        (line,) = (each for each in text.splitlines() if each.split()[:1] == [row["policy"]] and f" {row['steps']} " in each)  # fmt: skip
        assert f" {row['calls']} " in line
        assert (row["first_run"] or "-") in line
    for row in said["refused"]:
        assert any(row["policy"] in each and str(row["calls"]) in each and (row["last_run"] or "-") in each for each in text.splitlines())  # fmt: skip
    assert said["together"]["usd"] == 4.25042
    assert f"enforcing would have saved {said['together']['steps']} steps and ~$4.25 at most" in text  # fmt: skip
    assert [each["openings"] for each in said["breakers"]] == [3, 1]
    assert "api.openai.com  gpt-4o       3" in text


def test_without_calls_it_says_how_to_make_some(server, monkeypatch, capsys):
    given(monkeypatch, empty_report(calls=0))
    assert main(["report", "--agent", "booker", "--data-dir", "d"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "no call of the agent booker in this time" in said.err
    assert "tacho run --data-dir d -- python agent.py" in said.err
    assert main(["report", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["calls"] == 0


def test_a_store_that_refuses_is_1(server):
    server.answer = (500, b"Code: 60. DB::Exception: no such table")
    assert main(["report"]) == 1
