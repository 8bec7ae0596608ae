"""The questions of the commands, asked of a store that answers by rote."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from proxy.cli import questions
from proxy.cli.store import Store
from tests.helpers.fake_store import FakeStore, fake_store
from tests.helpers.run_rows import attempt_row, run_row
from tests.helpers.stored import as_line


@pytest.fixture
def server() -> Iterator[FakeStore]:
    with fake_store() as server:
        yield server


def store_of(server: FakeStore, database: str = "tacho") -> Store:
    return Store(server.url, "default", "token", database)


def test_runs_are_asked_by_parameters_and_read_with_their_types(server: FakeStore):
    server.answer = (200, as_line(run_row("a")) + as_line(run_row("b", usd=None)))
    first, second = questions.runs(
        store_of(server), since_seconds=60, agent="it's\ta\\b", max_runs=5
    )
    assert (first, second) == (run_row("a"), run_row("b", usd=None))
    asked = parse_qs(urlsplit(server.asked[0].path).query, keep_blank_values=True)
    assert asked["param_agent"] == ["it's\\ta\\\\b"]
    assert (asked["param_since_seconds"], asked["param_max_runs"]) == (["60"], ["5"])
    assert asked["param_run"] == [""]


def test_attempts_are_those_of_the_runs_tenant(server: FakeStore):
    row = attempt_row("s1", 1.5, 2.0, asked_tools=("search",))
    server.answer = (200, as_line(row))
    assert questions.attempts(store_of(server), run_row("R1")) == [row]
    assert "param_run=R1&param_tenant=acme" in server.asked[0].path
    assert row.end_seconds == 3.5


def test_a_store_of_another_database_is_asked_for_its_own(server: FakeStore):
    server.answer = (200, b"")
    assert questions.runs(store_of(server, "mine")) == []
    assert "FROM mine.steps" in server.asked[0].statement
    assert "tacho." not in server.asked[0].statement


def test_numbers_as_text_are_numbers_all_the_same(server: FakeStore):
    fields = msgspec.json.decode(as_line(run_row("a")))
    fields["steps"] = "3"
    server.answer = (200, msgspec.json.encode(fields))
    assert questions.runs(store_of(server))[0].steps == 3


def test_a_store_that_refuses_has_said_why(
    server: FakeStore, capsys: pytest.CaptureFixture[str]
):
    server.answer = (500, b"Code: 60. DB::Exception: no such table")
    with pytest.raises(questions.NoAnswerError):
        questions.runs(store_of(server))
    assert "no such table" in capsys.readouterr().err


def test_an_event_is_there_or_not(server: FakeStore):
    assert questions.has_event(store_of(server), "e1")
    assert "param_id=e1" in server.asked[0].path
    server.answer = (200, b"")
    assert not questions.has_event(store_of(server), "e1")


@pytest.mark.parametrize(
    ("name", "mark"),
    [("estimated_rows", "~"), ("assumed_rows", "~"), ("unpriced_attempts", "≥")],
)
def test_dollars_are_exact_or_estimated_or_the_least(name: str, mark: str):
    assert run_row().mark == ""
    assert msgspec.structs.replace(run_row(), **{name: 1}).mark == mark
