"""`tacho run`: its words, its refusals, and what it says at the end; `tests/end_to_end/test_tacho_run.py` has the rest."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.cli import run as command
from proxy.cli.main import main
from proxy.cli.run import outcome_of
from tests.helpers.control import answering_control
from tests.helpers.fake_store import FakeStore, fake_store
from tests.helpers.run_rows import run_row
from tests.helpers.stored import as_line

SAYS = "import os; print(os.environ['OPENAI_BASE_URL'], os.environ['TACHO_RUN'])"
RUNS = "-- How did the latest runs go"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeStore]:
    """A store that knows the run, which also stands where the data port would: it answers reports with its rows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "VISIBLE_SECONDS", 0.3)
    monkeypatch.setattr(command, "UNREPORTED_SECONDS", 0.0)
    monkeypatch.setattr(command, "_SETTLE_SECONDS", 0.0)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with fake_store() as server:
        server.answers = {RUNS: (200, as_line(run_row("R1")))}
        monkeypatch.setenv("TACHO_CLICKHOUSE_URL", server.url)
        with answering_control(tmp_path / ".tacho", "tacho", {"listen": server.url}):
            yield server


def python(script: str) -> list[str]:
    return ["--", sys.executable, "-c", script]


def test_the_command_gets_the_run_in_its_base_urls(
    server: FakeStore, capfd: pytest.CaptureFixture[str]
):
    assert main(["run", "--name", "R1", "--no-outcome", *python(SAYS)]) == 0
    said = capfd.readouterr()
    assert said.out == f"{server.url}/run/R1/openai/v1 R1\n"
    assert "run R1: 3 steps + 1 retry, 12.3k tokens in" in said.err


def test_tags_go_where_headers_can(
    server: FakeStore, capfd: pytest.CaptureFixture[str]
):
    script = "import os; print(os.environ['OPENAI_CUSTOM_HEADERS'])"
    words = ["--tag", "team=blue", "--no-outcome", "--no-summary"]
    assert main(["run", *words, *python(script)]) == 0
    assert capfd.readouterr().out == "x-tacho-tag-team: blue\n"


def test_what_leads_elsewhere_is_left_alone_and_said(
    server: FakeStore,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    monkeypatch.setenv("OPENAI_BASE_URL", "https://me:secret@llm.corp.test/v1")
    words = ["--name", "R1", "--no-outcome", "--no-summary"]
    assert main(["run", *words, *python(SAYS)]) == 0
    said = capfd.readouterr()
    assert said.out == "https://me:secret@llm.corp.test/v1 R1\n"
    assert "OPENAI_BASE_URL leads to llm.corp.test" in said.err
    assert "secret" not in said.err


def test_a_route_to_tools_is_none_for_models_and_a_choice_is_said(
    server: FakeStore,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
):
    routes = [
        f'{name}: {{url: "http://gw.test", kind: {kind}}}'
        for name, kind in (("a", "tool"), ("b", "llm"), ("c", "llm"))
    ]
    (tmp_path / "tachograph.yaml").write_text(f"routes: {{{', '.join(routes)}}}\n")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://gw.test/v1")
    words = ["--name", "R1", "--no-outcome", "--no-summary"]
    assert main(["run", *words, *python(SAYS)]) == 0
    said = capfd.readouterr()
    assert said.out == f"{server.url}/run/R1/b/v1 R1\n"
    assert "OPENAI_BASE_URL leads where the routes b, c lead" in said.err


def test_two_dashes_may_be_left_out(
    server: FakeStore, capfd: pytest.CaptureFixture[str]
):
    words = ["run", "--agent", "a", "--no-outcome", "--no-summary"]
    assert main([*words, *python(SAYS)[1:]]) == 0
    out, run = capfd.readouterr().out.split()
    assert out == f"{server.url}/agent/a/run/{run}/openai/v1"
    assert len(run) == 32


@pytest.mark.parametrize(
    "words",
    [
        ["--name", "no good"],
        ["--name", ""],
        ["--agent", "a/b"],
        ["--tag", "team"],
        ["--tag", "Team=blue"],
        ["--tag", "team=\n"],
    ],
    ids=str,
)
def test_bad_words_are_bad_usage(words: list[str], server: FakeStore):
    with pytest.raises(SystemExit) as ended:
        main(["run", *words, *python("pass")])
    assert ended.value.code == 2


@pytest.mark.parametrize("words", [[], ["--"]], ids=str)
def test_without_a_command_it_says_how(
    words: list[str], server: FakeStore, capsys: pytest.CaptureFixture[str]
):
    assert main(["run", *words]) == 2
    assert "tacho run -- python agent.py" in capsys.readouterr().err


def test_a_command_that_is_not_there_is_127_and_reports_nothing(
    server: FakeStore, capsys: pytest.CaptureFixture[str]
):
    assert main(["run", "--", "/no/such/program"]) == 127
    assert "there is no such command" in capsys.readouterr().err
    assert server.asked == []


def test_a_report_that_is_not_taken_is_said_and_changes_nothing(
    server: FakeStore, capfd: pytest.CaptureFixture[str]
):
    server.answer = (401, b'{"message":"a client key is needed"}')
    status = main(["run", "--name", "R1", *python("raise SystemExit(4)")])
    first, last = capfd.readouterr().err.splitlines()
    assert status == 4
    assert "a client key is needed" in first
    assert last.startswith("tacho: run R1: failure, 3 steps")
    report = server.asked[0]
    assert report.path == "/run/R1/outcome"
    assert json.loads(report.statement) == {
        "outcome": "failure",
        "reason": "exit status 4",
    }


def test_records_that_are_late_are_said_to_be(
    server: FakeStore, capfd: pytest.CaptureFixture[str]
):
    server.answers |= {"event_id = ": (200, b""), "outcome": (202, b'{"event_id":"e"}')}
    server.answers = {"event_id = ": (200, b""), **server.answers}
    assert main(["run", "--name", "R1", *python("pass")]) == 0
    assert "not in the store yet" in capfd.readouterr().err


def test_records_that_are_there_are_summed_up(
    server: FakeStore, capfd: pytest.CaptureFixture[str]
):
    server.answers = {
        "event_id = ": (200, b'{"1":1}\n'),
        **server.answers,
        "outcome": (202, b'{"event_id":"e"}'),
    }
    assert main(["run", "--name", "R1", *python("pass")]) == 0
    line = capfd.readouterr().err
    assert line.startswith("tacho: run R1: success, 3 steps + 1 retry")
    assert "yet" not in line


def test_without_a_store_the_time_is_all_there_is_to_say(
    server: FakeStore,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    monkeypatch.setenv("TACHO_CLICKHOUSE_URL", "")
    assert main(["run", "--name", "R1", "--no-outcome", *python("pass")]) == 0
    why, line = capfd.readouterr().err.splitlines()
    assert "exporters.clickhouse.url is empty" in why
    assert line.startswith("tacho: run R1: ")


def test_a_run_that_the_store_does_not_know_has_its_time(
    server: FakeStore, capfd: pytest.CaptureFixture[str]
):
    server.answers = {RUNS: (200, as_line(run_row("R12")))}
    assert main(["run", "--name", "R1", "--no-outcome", *python("pass")]) == 0
    said = capfd.readouterr().err
    assert "steps" not in said
    assert "none of its calls came here" in said


def test_a_command_that_made_no_call_is_told_why_that_may_be(
    server: FakeStore, capfd: pytest.CaptureFixture[str]
):
    nothing = run_row("R1", source="", steps=0, attempts=0, input_tokens=None, usd=None)  # fmt: skip
    server.answers = {RUNS: (200, as_line(nothing))}
    words = ["run", "--name", "R1", "--no-outcome", "--data-dir", ".tacho"]
    assert main([*words, *python("pass")]) == 0
    said = capfd.readouterr().err
    assert "none of its calls came here" in said
    assert "tacho run --data-dir .tacho -- env | grep /run/" in said
    assert "0 steps" not in said


def test_it_does_not_start_what_nobody_meters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    with answering_control(tmp_path / ".tacho", "tacho-export", {"listen": None}):
        assert main(["run", *python("print('ran')")]) == 3
    said = capfd.readouterr()
    assert said.out == ""
    assert "start one with: tacho up" in said.err


OUTCOMES = {
    0: ("success", "exit status 0"),
    1: ("failure", "exit status 1"),
    130: ("failure", "ended by SIGINT"),
    137: ("failure", "ended by SIGKILL"),
    255: ("failure", "exit status 255"),
}


@pytest.mark.parametrize(("status", "expected"), OUTCOMES.items(), ids=str)
def test_the_exit_status_is_the_outcome(status: int, expected: tuple[str, str]):
    assert tuple(outcome_of(status).values()) == expected
