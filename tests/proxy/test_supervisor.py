"""The supervisor as a process over fake children: order, ports, locks, signals."""

import json
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.processes import notes, wait_for
from tests.helpers.product import Product

Start = Callable[..., Product]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    products: list[Product] = []

    def run(mode: str = "up", *children: str, **variables: str) -> Product:
        products.append(Product(tmp_path, mode, *children, variables=variables))
        return products[-1]

    yield run
    for product in products:
        product.end()


def test_the_worker_serves_before_store_and_exporter_start(start: Start):
    product = start()
    product.running("w0", "store", "exporter")
    words = [
        line.rsplit(" ", 1)[0] if "started" in line else line
        for line in notes(product.data_dir)
    ]
    assert words[:3] == ["w0 started", "w0 ready", "store started"] or words[:3] == [
        "w0 started",
        "w0 ready",
        "exporter started",
    ]


def test_the_banner_names_base_urls_and_no_secret(start: Start):
    product = start(
        "up", TACHO_SECRET="keep-this-to-yourself", TACHO_ADMIN_TOKEN="and-this-one"
    )
    text = product.banner()
    port = product.address()[1]
    assert f"ANTHROPIC_BASE_URL=http://127.0.0.1:{port}/anthropic\n" in text
    assert str(product.data_dir) in text
    assert "keep-this" not in text
    assert "and-this" not in text
    assert "\x1b" not in text


def test_a_killed_worker_refuses_nobody(start: Start):
    product = start()
    first = product.ask_worker()
    os.kill(first, signal.SIGSTOP)
    with socket.create_connection(product.address(), timeout=60) as waiting:
        os.kill(first, signal.SIGKILL)
        second = int(waiting.makefile().readline())
    assert second != first
    assert product.ask_worker() == second
    product.running("w0")
    assert product.child("w0")["restarts"] == 1
    assert product.child("w0")["last_exit"] == "killed by SIGKILL"


TWO = {"TACHO_WORKERS": "2", "TACHO_STATE": "redis://nowhere:1"}


def test_several_workers_serve_one_port_and_each_is_replaced_alone(start: Start):
    product = start("up", **TWO)
    product.running("w0", "w1", "store", "exporter")
    order = [line.split()[0] for line in notes(product.data_dir) if "started" in line]
    assert set(order[:2]) == {"w0", "w1"}
    pids = {name: product.child(name)["pid"] for name in ("w0", "w1")}
    wait_for(lambda: product.ask_worker() == pids["w0"], "an answer of w0")
    wait_for(lambda: product.ask_worker() == pids["w1"], "an answer of w1")
    os.kill(pids["w0"], signal.SIGSTOP)  # it holds the socket, too, and takes nothing
    assert {product.ask_worker() for _ in range(20)} == {pids["w1"]}
    os.kill(pids["w0"], signal.SIGKILL)
    wait_for(lambda: product.child("w0")["restarts"] == 1, "a restart")
    product.running("w0", "w1")
    assert product.child("w1")["pid"] == pids["w1"]
    assert product.child("w1")["restarts"] == 0


def test_the_counters_of_several_workers_are_added_up(start: Start):
    product = start("up", **TWO)
    product.running("w0", "w1", "store", "exporter")
    page = page_with(product, 'tacho_inflight{route="t"} 8.0\n')
    assert 'tacho_attempts_total{route="t"} 20.0\n' in page
    for name in ("w0", "w1"):
        assert f'tacho_process_up{{process="{name}"}} 1.0\n' in page


def test_all_workers_drain_at_once_before_the_rest_stops(start: Start):
    product = start("up", "w0=--busy-seconds 0.5", "w1=--busy-seconds 0.5", **TWO)
    product.running("w0", "w1", "store", "exporter")
    product.process.send_signal(signal.SIGTERM)
    assert product.ended() == 0
    words = [line for line in notes(product.data_dir) if "stop" in line]
    assert {line.split()[0] for line in words[:2]} == {"w0", "w1"}
    assert [line.split()[1] for line in words[:2]] == ["stopping", "stopping"]


def test_a_worker_of_several_that_cannot_start_ends_the_whole_with_its_own_words(start: Start):  # fmt: skip
    product = start("up", "w1=--refuse", **TWO)
    assert product.ended() == 3
    assert "tacho w1: the fake cannot start" in product.said()


@pytest.mark.parametrize(
    "number",
    [signal.SIGKILL, signal.SIGABRT, signal.SIGSTOP],
    ids=lambda number: number.name,
)
def test_D12_a_store_that_dies_or_hangs_is_replaced_and_the_worker_is_not(
    start: Start, number: signal.Signals
):
    product = start("up", "store=--hasty")
    product.running("w0", "store", "exporter")
    worker, store = product.ask_worker(), product.child("store")["pid"]
    os.kill(store, number)
    wait_for(lambda: product.child("store")["restarts"] > 0, "a restart")
    product.running("store")
    assert product.child("store")["pid"] != store
    assert product.ask_worker() == worker


def test_health_names_a_dead_exporter_and_stays_good(start: Start):
    product = start("up", "exporter=--crash")
    wait_for(lambda: product.child("exporter")["restarts"] > 0, "a crash")
    status, body = product.admin("/healthz")
    assert status == 200
    assert json.loads(body) == {"status": "degraded", "degraded": ["exporter"]}


def page_with(product: Product, line: str) -> str:
    """Wait for metrics with this line: on a busy machine a process may be too late for one page."""

    def page() -> str:
        text = product.admin("/metrics")[1]
        return text if line in text else ""

    return wait_for(page, line)


def test_metrics_of_all_processes_are_one_page_and_counters_outlive_their_process(
    start: Start,
):
    product = start("up", "exporter=--unhealthy")
    product.running("w0", "store", "exporter")
    page = page_with(product, 'tacho_inflight{route="t"} 6.0\n')
    assert 'tacho_attempts_total{route="t"} 15.0\n' in page
    assert 'tacho_process_up{process="w0"} 1.0\n' in page
    os.kill(product.child("store")["pid"], signal.SIGSTOP)
    page = page_with(product, 'tacho_inflight{route="t"} 4.0\n')
    assert 'tacho_attempts_total{route="t"} 15.0\n' in page


def test_D10_sigterm_drains_the_worker_before_exporter_and_store(start: Start):
    product = start("up", "w0=--busy-seconds 0.5")
    product.running("w0", "store", "exporter")
    product.process.terminate()
    assert product.ended() == 0
    order = [
        line for line in notes(product.data_dir) if line.endswith(("stopping", "ended"))
    ]
    names = ("w0", "exporter", "store")
    assert order == [
        f"{name} {word}" for name in names for word in ("stopping", "ended")
    ]


def test_the_data_port_is_closed_while_the_worker_drains(start: Start):
    product = start("up", "w0=--busy-seconds 60")
    product.running("w0")
    address = product.address()
    product.process.terminate()
    wait_for(lambda: "w0 stopping" in notes(product.data_dir), "the drain")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=60)
    status, body = product.admin("/readyz")
    assert (status, json.loads(body)["ready"]) == (503, False)
    assert product.admin("/healthz")[0] == 200


def test_D10_a_second_sigterm_ends_it_at_once(start: Start):
    product = start("up", "w0=--busy-seconds 3600", TACHO_DRAIN_SECONDS="3600")
    product.running("w0", "store", "exporter")
    product.process.terminate()
    wait_for(lambda: "w0 stopping" in notes(product.data_dir), "the drain")
    product.process.send_signal(signal.SIGINT)
    assert product.ended() == 1
    assert "w0 cut short" in notes(product.data_dir)


def test_a_stop_says_what_it_waits_for_and_when_it_is_over(start: Start):
    product = start("up", "w0=--busy-seconds 0.5")
    product.running("w0", "store", "exporter")
    product.process.terminate()
    assert product.ended() == 0
    stopping, stopped = product.stdout.read_text().splitlines()[-2:]
    assert re.fullmatch(r"  stopping: \d+ calls have up to 30 s to end; Ctrl-C .+", stopping)  # fmt: skip
    assert stopped == "  stopped"


def test_D10_a_worker_that_does_not_drain_is_killed_after_its_time(start: Start):
    product = start("proxy", "w0=--stubborn", TACHO_DRAIN_SECONDS="0.1")
    product.running("w0")
    product.process.terminate()
    assert product.ended() == 0
    assert '"event": "killed"' in product.said()


def test_children_end_when_their_supervisor_is_killed_and_a_new_one_takes_over(
    start: Start,
):
    product = start("up", "w0=--busy-seconds 0.2")
    product.running("w0", "store", "exporter")
    port = product.address()[1]
    product.process.kill()
    product.process.wait()
    successor = start("up", TACHO_LISTEN=f"127.0.0.1:{port}")
    successor.running("w0", "store", "exporter")
    wait_for(
        lambda: (
            [n for n in notes(product.data_dir) if n.endswith("ended")].__len__() == 3
        ),
        "the orphans' end",
    )
    assert successor.ask_worker() == successor.child("w0")["pid"]


def test_D11_a_second_instance_on_one_data_directory_is_refused_in_one_line(
    start: Start,
):
    first = start()
    first.banner()
    second = start("proxy")
    assert second.ended() == 3
    assert second.said() == (
        f"tacho: another instance (process {first.process.pid}) uses the data directory {first.data_dir}; "
        "stop it or choose another one with data_dir\n"
    )


def test_the_two_halves_share_a_data_directory(start: Start):
    proxy, export = start("proxy"), start("export")
    proxy.running("w0")
    export.running("store", "exporter")
    assert list(proxy.status()["processes"]) == ["w0"]
    assert sorted(export.status()["processes"]) == ["exporter", "store"]


@pytest.mark.parametrize(
    ("variable", "key"),
    [("TACHO_LISTEN", "listen"), ("TACHO_ADMIN_LISTEN", "admin.listen")],
)
def test_a_port_in_use_is_one_line_that_says_what_to_do(
    start: Start, variable: str, key: str
):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        product = start("up", **{variable: f"127.0.0.1:{port}"})
        assert product.ended() == 3
    said = product.said()
    assert said.startswith(
        f"tacho: cannot listen on 127.0.0.1:{port}: the port is in use; "
        f"stop what uses it or choose another port with {key} ("
    )
    assert said.endswith(f"{variable})\n")
    assert notes(product.data_dir) == []


def test_a_data_directory_that_cannot_be_is_one_line(start: Start, tmp_path: Path):
    (tmp_path / "data").write_text("a file")
    product = start()
    assert product.ended() == 3
    assert re.fullmatch(r"tacho: data_dir .*/data cannot be used: .*\n", product.said())


def test_bad_settings_are_one_line_and_status_2(start: Start):
    product = start("up", TACHO_WORKERS="many")
    assert product.ended() == 2
    assert re.fullmatch(r"tacho: TACHO_WORKERS: .*\n", product.said())


def test_a_worker_that_refuses_to_start_ends_all_with_its_own_line(start: Start):
    product = start("up", "w0=--refuse")
    assert product.ended() == 3
    assert "tacho w0: the fake cannot start; give it no --refuse\n" in product.said()
    assert not any(
        line.startswith(("store", "exporter")) for line in notes(product.data_dir)
    )


def test_a_worker_that_crashes_at_the_first_start_ends_all(start: Start):
    product = start("up", "w0=--crash")
    assert product.ended() == 3
    assert (
        "tacho: w0 did not start (killed by SIGABRT); see what it says above\n"
        in product.said()
    )


def test_sighup_with_good_settings_reaches_worker_and_exporter(
    start: Start, tmp_path: Path
):
    config = tmp_path / "tachograph.yaml"
    config.write_text("routes: {search: {url: 'http://127.0.0.1:9', kind: tool}}\n")
    product = start()
    product.running("w0", "store", "exporter")
    config.write_text("limits: {max_inflight: 5}\n")
    product.process.send_signal(signal.SIGHUP)
    wait_for(
        lambda: {"w0 reloaded", "exporter reloaded"} <= set(notes(product.data_dir)),
        "the reload",
    )
    assert "store reloaded" not in notes(product.data_dir)
    assert "limits.max_inflight" in product.said()
    assert "tacho_config_reload_success 1.0\n" in product.admin("/metrics")[1]


def test_sighup_with_bad_settings_keeps_the_old_ones_and_says_so(
    start: Start, tmp_path: Path
):
    config = tmp_path / "tachograph.yaml"
    config.write_text("tenant: a\n")
    product = start()
    product.running("w0")
    config.write_text("tenannt: a\n")
    product.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "reload_failed" in product.said(), "the complaint")
    assert "tacho_config_reload_success 0.0\n" in product.admin("/metrics")[1]
    assert "w0 reloaded" not in notes(product.data_dir)
