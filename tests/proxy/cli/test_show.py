"""`tacho show`: which run is meant, and what is said when none is."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.cli.main import main
from tests.helpers.fake_store import FakeStore, fake_store
from tests.helpers.run_rows import judged_run, long_run, run_row
from tests.helpers.stored import as_line


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeStore]:
    monkeypatch.chdir(tmp_path)
    with fake_store() as server:
        rows = b"".join(as_line(row) for row in long_run())
        server.answers = {
            "-- What did one run do": (200, rows),
            "-- What did the policies say of one run": (200, b""),
        }
        monkeypatch.setenv("TACHO_CLICKHOUSE_URL", server.url)
        yield server


def found(server: FakeStore, *ids: str) -> None:
    server.answer = (200, b"".join(as_line(run_row(each)) for each in ids))


def test_the_beginning_of_an_id_is_enough(
    server: FakeStore, capsys: pytest.CaptureFixture[str]
):
    found(server, "nightly-42")
    assert main(["show", "nig"]) == 0
    assert "run nightly-42 · booker" in capsys.readouterr().out
    assert "param_run=nig" in server.asked[0].path
    assert "param_run=nightly-42" in server.asked[1].path


@pytest.mark.parametrize("cut", ["nightly…", "nightly~"])
def test_an_id_that_was_cut_in_a_list_is_one(cut: str, server: FakeStore):
    found(server, "nightly-42")
    assert main(["show", cut]) == 0
    assert "param_run=nightly&" in server.asked[0].path


def test_a_whole_id_is_meant_even_where_others_begin_with_it(
    server: FakeStore, capsys: pytest.CaptureFixture[str]
):
    found(server, "R1", "R12", "R13")
    assert main(["show", "R1"]) == 0
    assert capsys.readouterr().out.startswith("run R1 ")


def test_several_runs_are_named(server: FakeStore, capsys: pytest.CaptureFixture[str]):
    found(server, *(f"R{n}" for n in range(6)))
    assert main(["show", "R"]) == 1
    said = capsys.readouterr().err
    assert "R0, R1, R2, R3, R4 and others; give more of the id" in said
    found(server, "Ra", "Rb")
    assert main(["show", "R"]) == 1
    assert "Ra, Rb; give" in capsys.readouterr().err


def test_the_same_run_of_two_tenants_is_not_guessed(
    server: FakeStore, capsys: pytest.CaptureFixture[str]
):
    server.answer = (
        200,
        as_line(run_row("R1", tenant="a")) + as_line(run_row("R1", tenant="b")),
    )
    assert main(["show", "R1"]) == 1
    assert "tenants a, b" in capsys.readouterr().err


def test_a_run_that_is_not_there_says_where_to_look(
    server: FakeStore, capsys: pytest.CaptureFixture[str]
):
    found(server)
    assert main(["show", "R1"]) == 1
    assert "tacho runs" in capsys.readouterr().err
    assert main(["show", "…"]) == 2


def test_json_has_the_run_and_its_attempts(
    server: FakeStore, capsys: pytest.CaptureFixture[str]
):
    found(server, "R1")
    assert main(["show", "R1", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["run"]["run"] == "R1"
    assert [each["step_id"] for each in said["attempts"]] == [
        row.step_id for row in long_run()
    ]


def test_a_run_without_calls_says_why_that_may_be(
    server: FakeStore, capsys: pytest.CaptureFixture[str]
):
    found(server, "R1")
    server.answers["-- What did one run do"] = (200, b"")
    assert main(["show", "R1"]) == 0
    assert "no call of this run passed here" in capsys.readouterr().err


def test_a_store_that_refuses_is_1(server: FakeStore):
    server.answer = (500, b"Code: 60. DB::Exception: no such table")
    assert main(["show", "R1"]) == 1


def test_what_stopped_a_run_and_what_to_do_stand_above_its_steps(
    server: FakeStore, capsys: pytest.CaptureFixture[str]
):
    rows, told = judged_run()
    server.answers = {
        "-- What did one run do": (200, b"".join(map(as_line, rows))),
        "-- What did the policies say of one run": (200, b"".join(map(as_line, told))),
    }
    found(server, "R1")
    assert main(["show", "R1", "--data-dir", "d"]) == 0
    said = capsys.readouterr().out
    assert "stopped by caps at step 4: step limit, 3 of 3" in said
    assert "tacho allow R1 --data-dir d" in said
    assert main(["show", "R1", "--json"]) == 0
    verdicts = json.loads(capsys.readouterr().out)["verdicts"]
    assert [each["action"] for each in verdicts] == ["warn", "would_block", *["block"] * 4]  # fmt: skip
