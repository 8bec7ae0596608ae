"""Which store is asked; `test_sql.py` has the cases of a command."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.cli import store, store_alone
from proxy.cli.open_store import open_store
from proxy.cli.options import Loaded
from proxy.cli.store import Store
from proxy.config import (
    ClickHouseSettings,
    ExporterSettings,
    Settings,
    ensure_data_dir,
)
from proxy.errors import TachoError
from tests.helpers.control import answering_control


def loaded(data_dir: Path, url: str) -> Loaded:
    settings = Settings(
        data_dir=str(data_dir),
        exporters=ExporterSettings(clickhouse=ClickHouseSettings(url=url)),
    )
    ensure_data_dir(settings)
    return Loaded(settings, "", {})


def test_without_a_store_it_says_which_setting(tmp_path: Path):
    with (
        pytest.raises(TachoError, match=r"exporters\.clickhouse\.url"),
        open_store(loaded(tmp_path, "")),
    ):
        pass


def test_an_external_one_is_taken_as_it_is(tmp_path: Path):
    with open_store(loaded(tmp_path, "https://ch.test")) as opened:
        assert opened.url == "https://ch.test"


def test_the_running_one_is_found_by_its_control_socket(tmp_path: Path):
    with (
        answering_control(tmp_path, "store", {"address": "127.0.0.1:4143"}),
        open_store(loaded(tmp_path, "embedded")) as opened,
    ):
        assert opened.url == "http://127.0.0.1:4143"


def test_one_that_is_about_to_run_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async def address(_: Path) -> str:
        return "127.0.0.1:4143"

    monkeypatch.setattr(store, "running_store", address)
    with open_store(loaded(tmp_path, "embedded")) as opened:
        assert opened.url == "http://127.0.0.1:4143"


def test_a_stopped_one_is_started_for_the_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    @contextmanager
    def alone(_: object) -> Iterator[Store]:
        yield Store("http://alone", "default", "token", "tacho")

    monkeypatch.setattr(store_alone, "store_alone", alone)
    with open_store(loaded(tmp_path, "embedded")) as opened:
        assert opened.url == "http://alone"
