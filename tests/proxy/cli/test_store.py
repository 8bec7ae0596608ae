"""Asking a ClickHouse over HTTP."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from proxy.cli.output import ReaderLeftError
from proxy.cli.store import Store, readable_error, running_store
from proxy.config import Settings, StoreSettings
from proxy.control import ControlServer, Probes, socket_path
from tests.helpers.fake_store import FakeStore, fake_store


@pytest.fixture
def server() -> Iterator[FakeStore]:
    with fake_store() as server:
        yield server


def ask(url: str, password: str = "hidden") -> tuple[int, bytes]:
    out = io.BytesIO()
    store = Store(url, "me", password, "tacho")
    assert "hidden" not in repr(store)
    return store.ask("SELECT 1", "CSV", out), out.getvalue()


def test_the_statement_format_database_and_credentials_are_sent(server: FakeStore):
    assert ask(server.url) == (0, b"1\n")
    (asked,) = server.asked
    assert asked.statement == "SELECT 1"
    assert parse_qs(urlsplit(asked.path).query) == {
        "database": ["tacho"],
        "default_format": ["CSV"],
    }
    assert base64.b64decode(asked.authorization.removeprefix("Basic ")) == b"me:hidden"


def test_a_refusal_is_one_clear_line(
    server: FakeStore, capsys: pytest.CaptureFixture[str]
):
    server.answer = (
        404,
        b"Code: 60. DB::Exception: Table nope\ndoes not exist. (UNKNOWN_TABLE) (version 26.9.2.1)\n",
    )
    assert ask(server.url) == (1, b"")
    assert (
        capsys.readouterr().err == "tacho: Table nope does not exist. (UNKNOWN_TABLE)\n"
    )


def test_nobody_there_is_one_line_without_credentials(
    capsys: pytest.CaptureFixture[str],
):
    assert ask("http://user:hidden@127.0.0.1:1")[0] == 1
    text = capsys.readouterr().err
    assert text.startswith("tacho: no answer from the store at http://127.0.0.1:1: ")
    assert "hidden" not in text


def test_tls_that_cannot_be_is_one_line(
    server: FakeStore, capsys: pytest.CaptureFixture[str]
):
    assert ask(server.url.replace("http:", "https:"))[0] == 1
    assert "no answer from the store" in capsys.readouterr().err


def test_an_error_without_words_says_the_status():
    assert readable_error("", 502) == "the store answered 502 and said nothing"
    assert readable_error("plain words", 500) == "plain words"


def test_the_embedded_store_is_read_with_the_read_token(tmp_path: Path):
    settings = Settings(
        data_dir=str(tmp_path), store=StoreSettings(read_token="reader")
    )
    assert Store.embedded(settings, "127.0.0.1:9") == Store(
        "http://127.0.0.1:9", "default", "reader", "tacho"
    )


async def test_where_nothing_runs_there_is_no_address(tmp_path: Path):
    assert await running_store(tmp_path) == ""


async def test_a_running_store_says_its_address_itself(tmp_path: Path):
    probes = Probes(
        lambda: (True, {}),
        lambda: True,
        lambda: msgspec.msgpack.encode([]),
        lambda: {"address": "h:1"},
    )
    control = ControlServer(socket_path(tmp_path, "store"), probes)
    await control.start()
    assert await running_store(tmp_path) == "h:1"
    await control.close()


async def test_a_store_that_comes_back_is_waited_for(tmp_path: Path):
    states: Iterator[dict[str, object]] = iter(
        [{"store": {}}, {"store": {}}, {"w0": {}}]
    )
    probes = Probes(
        lambda: (True, {}), lambda: True, bytes, lambda: {"processes": next(states)}
    )
    control = ControlServer(socket_path(tmp_path, "tacho"), probes)
    await control.start()
    assert await running_store(tmp_path) == ""
    assert next(states, None) is None
    await control.close()


class Closed(io.BytesIO):
    """An output whose reader has left."""

    def write(self, _: object) -> int:
        raise BrokenPipeError


def test_a_reader_that_has_left_is_no_fault_of_the_store(server: FakeStore):
    with pytest.raises(ReaderLeftError):
        Store(server.url, "me", "", "tacho").ask("SELECT 1", "CSV", Closed())


def test_an_error_that_wraps_another_is_read_to_its_core():
    text = "Code: 73. DB::Exception: Code: 73. DB::Exception: Unknown format Nope. (UNKNOWN_FORMAT) (version 26.9.2.1)"
    assert readable_error(text, 400) == "Unknown format Nope. (UNKNOWN_FORMAT)"
