"""What `tacho check` looks at, one by one."""

import socket
from pathlib import Path

import msgspec
import pytest

from proxy.cli.checks import Result, bare_url, plan, run_all
from proxy.config import (
    AdminSettings,
    ClickHouseSettings,
    ClientSettings,
    ExporterSettings,
    JsonlSettings,
    PriceRule,
    RouteSettings,
    Settings,
    StoreSettings,
    TlsListener,
)
from proxy.control import socket_path
from proxy.pricing import table_path
from proxy.supervise.listeners import DataDirLock
from tests.helpers.redis import fake_redis


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        listen="127.0.0.1:0",
        admin=AdminSettings(listen="127.0.0.1:0"),
        store=StoreSettings(listen="127.0.0.1:0"),
        data_dir=str(tmp_path / "new" / "data"),
    )


def result(settings: Settings, name: str) -> Result:
    return next(result for result in run_all(settings) if result.name == name)


def test_good_settings_pass_everything(settings: Settings):
    results = run_all(settings)
    assert all(result.ok for result in results)
    assert [result.name for result in results] == [
        "data directory",
        "data port",
        "admin port",
        "store port",
        "HTTP parser",
        "open files",
    ]


def test_a_directory_that_is_not_there_will_be_made(settings: Settings, tmp_path: Path):
    assert result(settings, "data directory").detail.endswith("will be made")
    (tmp_path / "new" / "data").mkdir(parents=True)
    assert result(settings, "data directory").detail.endswith("is writable")


def test_a_port_in_use_fails_unless_it_is_ours(settings: Settings):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = msgspec.structs.replace(
            settings, listen=f"127.0.0.1:{taken.getsockname()[1]}"
        )
        assert not result(settings, "data port").ok
        data_dir = Path(settings.data_dir)
        run = socket_path(data_dir, "tacho")
        run.parent.mkdir(parents=True)
        run.touch()
        assert not result(settings, "data port").ok
        held = DataDirLock(data_dir, ("proxy",))
        assert (
            "an instance is running on this data directory"
            in result(settings, "data port").detail
        )
        held.close()


def test_certificates_and_authorities_must_load(settings: Settings, tmp_path: Path):
    (tmp_path / "bad.pem").write_text("-----BEGIN NOTHING-----\n")
    bad = str(tmp_path / "bad.pem")
    settings = msgspec.structs.replace(
        settings,
        listen_tls=TlsListener(cert_file=bad, key_file=bad),
        ca_file=bad,
        routes={"internal": RouteSettings(url="https://internal", ca_file=bad)},
    )
    failed = {result.name for result in run_all(settings) if not result.ok}
    assert failed == {"listener TLS", "ca_file", "routes.internal.ca_file"}


def test_the_plan_holds_no_secret():
    settings = Settings(
        secret="keep-this-secret",
        routes={
            "search": RouteSettings(
                url="https://user:pw-of-user@host/api?key=in-query", kind="tool"
            )
        },
        exporters=ExporterSettings(
            ClickHouseSettings(url="https://me:pw-of-me@ch:8443", password="pw-of-ch"),
            JsonlSettings(directory="rows"),
        ),
    )
    found = plan(settings)
    assert found["routes"] == [
        {"name": "search", "kind": "tool", "url": "https://host/api"}
    ]
    assert found["exporters"] == ["clickhouse (https://ch:8443)", "jsonl (rows)"]
    assert found["store"] is None
    assert not any(
        secret in str(found) for secret in ("keep-this", "pw-of", "in-query")
    )


def test_a_bare_url_keeps_what_routes():
    assert bare_url("http://h:1/p/q") == "http://h:1/p/q"


def test_keys_must_be_set(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    settings = msgspec.structs.replace(
        settings, clients={"ci": ClientSettings(key_env="CI_KEY")}
    )
    monkeypatch.delenv("CI_KEY", raising=False)
    assert not result(settings, "keys").ok
    assert "CI_KEY is not set" in result(settings, "keys").detail
    monkeypatch.setenv("CI_KEY", "hidden")
    assert result(settings, "keys").ok
    assert "hidden" not in result(settings, "keys").detail


def test_redis_must_answer(settings: Settings):
    with fake_redis() as url:
        there = msgspec.structs.replace(settings, state=url)
        assert result(there, "redis").ok
    away = msgspec.structs.replace(
        settings, state=url.replace("//", "//user:s3cret@"), workers=2
    )
    found = result(away, "redis")
    assert not found.ok
    assert "does not answer (ConnectionError)" in found.detail
    assert "s3cret" not in found.detail
    assert (plan(away)["workers"], plan(away)["state"]) == (2, url)


def test_a_url_that_redis_client_does_not_take_is_said(settings: Settings):
    wrong = msgspec.structs.replace(settings, state="redis://h?db=x")
    assert result(wrong, "redis").detail.startswith("state must be a URL")


def test_rules_about_prices_must_not_give_tokens_away(settings: Settings):
    good = PriceRule(provider="openai", model="gpt-4o*", rates={"cache_read": 1.0})
    bad = PriceRule(model="my-model", rates={"cache_read": 1.0})
    checked = [
        result(msgspec.structs.replace(settings, prices=rules), "prices")
        for rules in ([good], [good, good], [good, bad])
    ]
    assert [each.ok for each in checked] == [True, True, False]
    assert checked[0].detail.startswith("1 rule changes genai-prices-")
    assert checked[1].detail.startswith("2 rules change genai-prices-")
    assert checked[2].detail.startswith("prices[1].rates: names cache_read alone")


def test_a_price_table_that_cannot_be_used_is_told_of(settings: Settings):
    path = table_path(settings.data_dir)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no table")
    rules = [PriceRule(multiply=0.9)]
    checked = result(msgspec.structs.replace(settings, prices=rules), "prices")
    assert checked.ok
    assert "is no price table" in checked.detail


def test_the_directory_of_rows_must_be_writable(settings: Settings, tmp_path: Path):
    (tmp_path / "file").touch()
    for place, ok in (("new", True), ("file", False)):
        rows = JsonlSettings(directory=str(tmp_path / place))
        settings = msgspec.structs.replace(
            settings, exporters=ExporterSettings(jsonl=rows)
        )
        found = result(settings, "exporters.jsonl.directory")
        assert (found.ok, "correct its permissions" in found.detail) == (ok, not ok)
