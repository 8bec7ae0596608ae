"""`tacho sql`: where the statement comes from, and which store is asked."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.cli import store, store_alone
from proxy.cli.main import main
from proxy.cli.store import Store
from tests.helpers.fake_store import FakeStore, fake_store


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeStore]:
    monkeypatch.chdir(tmp_path)
    with fake_store() as server:
        monkeypatch.setenv("TACHO_CLICKHOUSE_URL", server.url)
        yield server


def test_an_external_server_is_asked_directly(
    server: FakeStore, capfdbinary: pytest.CaptureFixture[bytes]
):
    assert main(["sql", "SELECT 1"]) == 0
    assert server.asked[0].statement == "SELECT 1"
    assert "default_format=PrettyCompact" in server.asked[0].path


def test_json_is_a_format(server: FakeStore):
    assert main(["sql", "SELECT 1", "--json"]) == 0
    assert "default_format=JSON" in server.asked[0].path


def test_parameters_are_sent_along(server: FakeStore):
    words = ["--param", "a=x y", "--param", "n=", "--param", "eq=a=b"]
    assert main(["sql", "SELECT {a:String}", *words]) == 0
    assert server.asked[0].path.endswith("param_a=x+y&param_n=&param_eq=a%3Db")


@pytest.mark.parametrize("text", ["a", "=b", ""])
def test_a_parameter_has_a_name_and_a_value(text: str, server: FakeStore):
    with pytest.raises(SystemExit) as ended:
        main(["sql", "SELECT 1", "--param", text])
    assert ended.value.code == 2


def test_a_statement_may_stand_in_a_file_or_stdin(
    server: FakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "q.sql").write_text("SELECT 2")
    monkeypatch.setattr(sys, "stdin", io.StringIO("SELECT 3"))
    assert main(["sql", "--file", "q.sql"]) == 0
    assert main(["sql", "--file", "-"]) == 0
    assert [asked.statement for asked in server.asked] == ["SELECT 2", "SELECT 3"]


@pytest.mark.parametrize("words", [[], ["  "]], ids=["none", "blank"])
def test_nothing_to_ask_is_bad_usage(
    server: FakeStore, words: list[str], capsys: pytest.CaptureFixture[str]
):
    assert main(["sql", *words]) == 2
    assert "nothing to ask" in capsys.readouterr().err
    assert server.asked == []


def test_a_refusal_is_1(server: FakeStore, capsys: pytest.CaptureFixture[str]):
    server.answer = (403, b"Code: 497. DB::Exception: no writing here")
    assert main(["sql", "DROP TABLE steps"]) == 1
    assert capsys.readouterr().err == "tacho: no writing here\n"


def test_without_a_store_there_is_nobody_to_ask(
    server: FakeStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setenv("TACHO_CLICKHOUSE_URL", "")
    assert main(["sql", "SELECT 1"]) == 1
    assert "there is no store to ask" in capsys.readouterr().err


def test_the_running_embedded_store_is_asked_where_it_listens(
    server: FakeStore, monkeypatch: pytest.MonkeyPatch
):
    async def address(_: Path) -> str:
        return f"127.0.0.1:{server.port}"

    monkeypatch.setenv("TACHO_CLICKHOUSE_URL", "embedded")
    monkeypatch.setattr(store, "running_store", address)
    assert main(["sql", "SELECT 1"]) == 0
    assert server.asked[0].statement == "SELECT 1"


def test_a_stopped_embedded_store_is_started_for_the_question(
    server: FakeStore, monkeypatch: pytest.MonkeyPatch
):
    @contextmanager
    def alone(_: object) -> Iterator[Store]:
        yield Store(server.url, "default", "token", "tacho")

    monkeypatch.setenv("TACHO_CLICKHOUSE_URL", "embedded")
    monkeypatch.setattr(store_alone, "store_alone", alone)
    assert main(["sql", "SELECT 1"]) == 0
    assert server.asked[0].statement == "SELECT 1"


def test_a_file_that_cannot_be_read_is_one_line(
    server: FakeStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "odd.sql").write_bytes(b"\xff")
    assert main(["sql", "--file", "gone.sql"]) == 2
    assert main(["sql", "--file", "odd.sql"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "tacho: cannot read gone.sql: No such file or directory; correct --file",
        "tacho: cannot read odd.sql: it is not UTF-8 text; save it as such",
    ]
    assert server.asked == []
