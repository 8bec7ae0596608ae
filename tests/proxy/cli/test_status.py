"""`tacho status` shows one supervisor, or two halves as one."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from proxy.cli.main import main
from proxy.cli.status import joined, readable_bytes, troubles
from tests.helpers.processes import wait_for
from tests.helpers.product import Product


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def start(stack: ExitStack, place: Path, mode: str, *children: str) -> Product:
    product = Product(place, mode, *children, variables={})
    stack.callback(product.end)
    product.banner()
    return product


def test_not_running_is_1_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["status", "--data-dir", str(tmp_path)]) == 1
    assert (
        capsys.readouterr().err
        == f"tacho: not running on the data directory {tmp_path}; start it with: tacho up --data-dir {tmp_path}\n"
    )


def test_a_running_product_is_a_table(
    stack: ExitStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    product = start(stack, tmp_path, "up", "exporter=--crash")
    product.running("w0", "store")
    wait_for(lambda: product.child("exporter")["restarts"] > 0, "a crash")

    def shown() -> list[str]:
        """Ask again where a process was too late with its part, as it may be on a busy machine."""
        assert main(["status", "--data-dir", str(product.data_dir)]) == 0
        lines = capsys.readouterr().out.splitlines()
        return lines if "in flight 4" in lines[-1] else []

    lines = wait_for(shown, "what worker and store say")
    assert lines[0].split(" · ")[:2] in (
        ["tachograph 0.test", "degraded"],
        ["tachograph 0.test", "ok"],  # between two crashes
    )
    assert any(line.startswith("w0") and "running" in line for line in lines)
    assert any(
        line.startswith("exporter") and "killed by SIGABRT" in line for line in lines
    )
    assert lines[-1] == "in flight 4 · spool 0 B · export lag unknown · nothing dropped"


def test_two_halves_are_one_answer(
    stack: ExitStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    first, second = start(stack, tmp_path, "proxy"), start(stack, tmp_path, "export")
    first.running("w0")
    second.running("store", "exporter")
    assert main(["status", "--json", "--data-dir", str(first.data_dir)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert sorted(said["processes"]) == ["exporter", "store", "w0"]
    assert said["mode"] == "proxy+export"
    assert said["listen"].startswith("http://127.0.0.1:")


def test_a_killed_supervisor_is_not_running(stack: ExitStack, tmp_path: Path):
    product = start(stack, tmp_path, "proxy")
    os.kill(product.process.pid, 9)
    product.process.wait()
    assert main(["status", "--data-dir", str(product.data_dir)]) == 1


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "2 kB"), (48e6, "48 MB"), (5e9, "5.0 GB")],
)
def test_bytes_are_readable(count: float, text: str):
    assert readable_bytes(count) == text


def test_what_fails_while_its_process_runs_is_said():
    fares = {"clickhouse": {"last_error": ""}, "jsonl": {"last_error": "no room"}}
    processes = {
        "w0": {"says": {"spool_trouble": "size_cap", "state_trouble": "redis is away"}},
        "w1": {"says": {"spool_trouble": "", "state_trouble": "redis is away"}},
        "store": {"says": None},
        "exporter": {"says": {"error": "bad log", "destinations": fares}},
    }
    assert list(troubles({"processes": processes})) == [
        "w0 drops records: size_cap",
        "exporter makes no rows: bad log",
        "exporter to jsonl: no room",
        "w0, w1: redis is away; calls that it cannot place are in no run unless they name one, and pass or not as policies.on_error says",
    ]


@pytest.mark.parametrize(
    ("halves", "whole"),
    [
        (("ok", "ok"), "ok"),
        (("ok", "degraded"), "degraded"),
        (("degraded", "unhealthy"), "unhealthy"),
    ],
)
def test_the_worse_half_is_the_status_of_both(halves: tuple[str, str], whole: str):
    assert joined([{"status": each} for each in halves])["status"] == whole
