"""`tacho runs`: what it asks for, and what it says when there is nothing."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.cli.main import main
from proxy.cli.runs import limit, since
from tests.helpers.fake_store import FakeStore, fake_store
from tests.helpers.run_rows import run_row
from tests.helpers.stored import as_line


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeStore]:
    monkeypatch.chdir(tmp_path)
    with fake_store() as server:
        server.answer = (200, as_line(run_row("R1")) + as_line(run_row("R2")))
        server.answers = {"AS strays": (200, b'{"strays":"0"}\n')}
        monkeypatch.setenv("TACHO_CLICKHOUSE_URL", server.url)
        yield server


def test_runs_are_listed(server: FakeStore, capsys: pytest.CaptureFixture[str]):
    assert main(["runs"]) == 0
    heading, first, second, *_ = capsys.readouterr().out.splitlines()
    assert heading.startswith("run ")
    assert (first[:3], second[:3]) == ("R1 ", "R2 ")
    assert "param_since_seconds=604800" in server.asked[0].path
    assert "param_max_runs=20" in server.asked[0].path


def test_a_pipe_gets_whole_ids(server: FakeStore, capsys: pytest.CaptureFixture[str]):
    server.answer = (200, as_line(run_row("a" * 100)))
    assert main(["runs"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("a" * 100 + " ")


def test_options_narrow_the_question(server: FakeStore):
    asked = ["--since", "1h", "--agent", "booker", "--session", "s1", "--limit", "3"]
    assert main(["runs", *asked]) == 0
    path = server.asked[0].path
    assert "param_since_seconds=3600&param_agent=booker&param_session=s1" in path
    assert "param_max_runs=3" in path


def test_json_is_a_list_of_rows(server: FakeStore, capsys: pytest.CaptureFixture[str]):
    assert main(["runs", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["run"], second["usd"]) == ("R1", 0.42)


def test_nothing_to_list_says_what_to_do(
    server: FakeStore, capsys: pytest.CaptureFixture[str]
):
    server.answer = (200, b"")
    assert main(["runs", "--agent", "booker", "--session", "s1"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "no run of the agent booker in the session s1" in said.err
    assert "tacho run -- " in said.err
    assert main(["runs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("count", "said"), [(1, "1 call is in no run"), (40, "40 calls are in no run")]
)
def test_calls_in_no_run_are_said(
    count: int, said: str, server: FakeStore, capsys: pytest.CaptureFixture[str]
):
    server.answers = {"AS strays": (200, b'{"strays":"%d"}\n' % count)}
    server.answer = (200, b"")
    assert main(["runs"]) == 0
    assert said in capsys.readouterr().err
    assert "param_since_seconds=604800" in server.asked[1].path
    assert main(["runs", "--agent", "booker"]) == 0
    assert said not in capsys.readouterr().err


def test_a_store_that_refuses_is_1_and_one_line(
    server: FakeStore, capsys: pytest.CaptureFixture[str]
):
    server.answer = (500, b"Code: 60. DB::Exception: no such table")
    assert main(["runs"]) == 1
    assert capsys.readouterr().err == "tacho: no such table\n"


def test_a_span_of_time_is_a_number_and_a_unit():
    spans = {"90s": 90, "30m": 1800, "1h": 3600, "7d": 604_800, "4w": 2_419_200}
    assert {text: since(text) for text in spans} == spans
    assert since("999999w") == 2**32 - 1


@pytest.mark.parametrize("text", ["", "1", "0h", "-1h", "1 h", "1y", "h"])
def test_another_span_is_refused(text: str):
    with pytest.raises(argparse.ArgumentTypeError, match="no span of time"):
        since(text)


@pytest.mark.parametrize("text", ["0", "-1", "10001", "x", "²"])
def test_another_limit_is_refused(text: str):
    with pytest.raises(argparse.ArgumentTypeError):
        limit(text)
    assert limit("10000") == 10_000
