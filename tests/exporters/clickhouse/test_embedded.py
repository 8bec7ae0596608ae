"""The life of the store process: start, second start, stop, death."""

import signal
import socket
from pathlib import Path

from proxy.control_client import ControlClient
from tests.helpers.processes import PATIENCE_SECONDS, wait_for
from tests.helpers.store import StoreProcess, open_store


async def test_status_names_the_real_address_and_health_is_good(
    store: StoreProcess,
) -> None:
    client = ControlClient(store.data_dir, "store")
    assert await client.healthy(PATIENCE_SECONDS)
    status = await client.status(PATIENCE_SECONDS)
    assert status["address"].startswith("127.0.0.1:")
    assert int(status["address"].partition(":")[2]) > 0
    assert await client.metrics(PATIENCE_SECONDS) == b"\x90"


def test_a_second_store_on_the_same_path_says_why_it_does_not_start(
    store: StoreProcess,
) -> None:
    second = StoreProcess(store.data_dir).launch("--wait", "0.1")
    second.process.wait(PATIENCE_SECONDS)
    status, said = second.end()
    assert status == 3
    assert said.splitlines()[-1].startswith("tacho store: ")
    assert "is held by another store" in said
    assert store.ask("SELECT 1").text == "1\n"


def test_a_store_that_waits_takes_over_with_all_rows(tmp_path: Path) -> None:
    first = open_store(tmp_path)
    first.write("INSERT INTO prices (model) SELECT 'kept'")
    second = StoreProcess(tmp_path).launch()
    assert first.end()[0] == 0
    assert second.process.stdout is not None
    assert second.process.stdout.readline() == b"ready\n"
    try:
        assert second.ask("SELECT model FROM prices").text == "kept\n"
    finally:
        status, _ = second.end()
    assert status == 0
    assert not (tmp_path / "run" / "store.address").exists()


def test_a_store_whose_parent_is_gone_ends(tmp_path: Path) -> None:
    running = open_store(tmp_path)
    assert running.process.stdin is not None
    running.process.stdin.close()
    assert running.process.wait(PATIENCE_SECONDS) == 0
    running.process.stdin = None
    running.end()


def test_a_stop_cancels_queries_that_would_take_for_ever(tmp_path: Path) -> None:
    running = open_store(tmp_path)
    host, port = running.address
    with socket.create_connection((host, port)) as asker:
        statement = b"SELECT sum(cityHash64(number)) FROM numbers(1000000000000)"
        head = f"POST / HTTP/1.1\r\nHost: {host}\r\nX-ClickHouse-Key: {running.read_token}\r\nContent-Length: {len(statement)}\r\n\r\n"
        asker.sendall(head.encode() + statement)
        wait_for(
            lambda: "cityHash64" in running.ask("SHOW PROCESSLIST").text,
            "the query to run",
        )
        status, said = running.end()
    assert status == 0, said


def test_a_port_in_use_is_one_line(store: StoreProcess, tmp_path: Path) -> None:
    host, port = store.address
    other = StoreProcess(tmp_path).launch("--listen", f"{host}:{port}")
    other.process.wait(PATIENCE_SECONDS)
    status, said = other.end()
    assert status == 3
    assert "cannot listen on" in said


def test_killed_in_the_middle_it_opens_again(tmp_path: Path) -> None:
    running = open_store(tmp_path)
    running.write("INSERT INTO prices (model) SELECT 'kept'")
    running.end(signal.SIGKILL)
    again = open_store(tmp_path)
    try:
        assert again.ask("SELECT model FROM prices").text == "kept\n"
    finally:
        again.end()
