"""Which processes make up each mode."""

import msgspec
import pytest

from proxy.config import ClickHouseSettings, ExporterSettings, Settings
from proxy.supervise.plan import Mode, children


@pytest.mark.parametrize(
    ("mode", "names"),
    [
        (Mode.UP, ["w0", "store", "exporter"]),
        (Mode.PROXY, ["w0"]),
        (Mode.EXPORT, ["exporter", "store"]),
    ],
)
def test_the_vital_child_comes_first(mode: Mode, names: list[str]):
    specs = children(mode, Settings(), "", 7)
    assert [spec.name for spec in specs] == names
    assert [spec.is_vital for spec in specs] == [True, *[False] * (len(names) - 1)]


def test_each_worker_gets_the_same_port_and_a_name_of_its_own():
    specs = children(Mode.PROXY, Settings(workers=3, state="redis://h"), "", 7)
    assert [spec.name for spec in specs] == ["w0", "w1", "w2"]
    assert [spec.argv[-3] for spec in specs] == ["w0", "w1", "w2"]
    assert {(spec.pass_fds, spec.is_vital) for spec in specs} == {((7,), True)}


@pytest.mark.parametrize("url", ["", "http://clickhouse:8123"])
def test_there_is_no_store_where_rows_go_elsewhere(url: str):
    settings = Settings(
        exporters=ExporterSettings(clickhouse=ClickHouseSettings(url=url))
    )
    assert [spec.name for spec in children(Mode.UP, settings, "", 7)] == [
        "w0",
        "exporter",
    ]


def test_the_worker_gets_the_port_the_settings_and_time_to_drain():
    settings = Settings()
    settings = msgspec.structs.replace(
        settings, timeouts=msgspec.structs.replace(settings.timeouts, drain_seconds=9.0)
    )
    worker = children(Mode.PROXY, settings, "/etc/t.yaml", 7)[0]
    assert worker.argv[1:] == (
        "-P",
        "-m",
        "proxy.worker",
        "--config",
        "/etc/t.yaml",
        "--name",
        "w0",
        "--fd",
        "7",
    )
    assert worker.pass_fds == (7,)
    assert worker.stop_within_seconds == 11.0
    assert worker.watch.silence_seconds == 30.0


def test_each_half_has_its_lock_and_socket():
    assert Mode.UP.halves == ("proxy", "export")
    assert (Mode.PROXY.halves, Mode.EXPORT.halves) == (("proxy",), ("export",))
    assert (Mode.PROXY.socket_name, Mode.EXPORT.socket_name) == (
        "tacho",
        "tacho-export",
    )
