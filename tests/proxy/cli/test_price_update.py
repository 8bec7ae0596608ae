"""Newer prices are fetched within bounds, and whatever is wrong with them leaves the old ones."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.cli import price_update
from proxy.cli.price_update import UpdateError, update
from proxy.config import Settings
from proxy.meter.prices import PriceTable
from proxy.pricing import find_table, table_path

MODEL = {"id": "m", "match": {"equals": "m"}, "prices": {"input_mtok": 2}}
DATA = json.dumps([{"id": "p", "models": [MODEL]}]).encode()


class _Handler(http.server.BaseHTTPRequestHandler):
    body = DATA
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[tuple[str, type[_Handler]]]:
    handler = type("Handler", (_Handler,), {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/data.json", handler
        server.shutdown()
        thread.join()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=str(tmp_path / "data"))


def test_prices_come_from_a_url(site: tuple[str, type], settings: Settings):
    done = update(site[0], settings)
    table, trouble = find_table(settings.data_dir)
    assert (table.version, trouble) == (done.version, "")
    assert done.version.startswith("genai-prices-update+")
    assert table.instead_of == PriceTable.load().version
    path = table_path(settings.data_dir)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_prices_come_from_a_file(tmp_path: Path, settings: Settings):
    (tmp_path / "data.json").write_bytes(DATA)
    assert update(str(tmp_path / "data.json"), settings).models == 1


def test_wrong_data_keep_the_old_table(
    tmp_path: Path, site: tuple[str, type[_Handler]], settings: Settings
):
    update(site[0], settings)
    before = table_path(settings.data_dir).read_bytes()
    rule = {**MODEL, "match": {"regex": "("}}
    empty = json.dumps([{"id": "p", "models": []}]).encode()
    for body in (
        b"<html>",
        DATA[:-5],
        empty,
        json.dumps([{"id": "p", "models": [rule]}]).encode(),
    ):
        site[1].body = body
        with pytest.raises(UpdateError, match="stay as they are"):
            update(site[0], settings)
    assert table_path(settings.data_dir).read_bytes() == before


def test_a_site_that_does_not_answer_so_is_told_of(
    site: tuple[str, type[_Handler]], settings: Settings
):
    site[1].status = 404
    with pytest.raises(UpdateError, match="Not Found"):
        update(site[0], settings)
    with pytest.raises(UpdateError, match="--from"):
        update("http://127.0.0.1:9/nothing", settings)


def test_too_much_and_too_slow_are_refused(
    site: tuple[str, type], settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as slow:
        slow.setattr(price_update, "MOST_SECONDS", -1.0)
        with pytest.raises(UpdateError, match="not complete"):
            update(site[0], settings)
    monkeypatch.setattr(price_update, "MOST_BYTES", 10)
    with pytest.raises(UpdateError, match="larger"):
        update(site[0], settings)


@pytest.mark.parametrize("name", ["nowhere.json", "a\0b", "."])
def test_a_file_that_cannot_be_read_is_told_of(name: str, settings: Settings):
    with pytest.raises(UpdateError, match="correct --from"):
        update(name, settings)


def test_a_directory_that_cannot_be_written_is_told_of(
    tmp_path: Path, settings: Settings
):
    (tmp_path / "data.json").write_bytes(DATA)
    (tmp_path / "data").write_text("a file")
    with pytest.raises(UpdateError, match="cannot write"):
        update(str(tmp_path / "data.json"), settings)


def test_an_egress_proxy_is_asked(site: tuple[str, type], tmp_path: Path):
    proxy = site[0].removesuffix("/data.json")
    settings = Settings(data_dir=str(tmp_path), egress_proxy=proxy)
    assert update("http://prices.invalid/data.json", settings).models == 1
