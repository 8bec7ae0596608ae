"""Ports and data directories are taken by one instance only, and what is in the way is named."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.config import Address
from proxy.errors import StartError
from proxy.supervise.listeners import DataDirLock, bind, bound_address, reachable
from tests.helpers.processes import environ

LOOPBACK = Address("127.0.0.1", 0)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with bind(LOOPBACK, "listen") as bound:
        yield bound


def test_the_port_is_exclusive(listener: socket.socket):
    address = bound_address(listener, LOOPBACK)
    assert address.port
    assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
    assert not listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
    with pytest.raises(
        StartError,
        match=rf"cannot listen on {address}: the port is in use; .* with listen",
    ):
        bind(address, "listen")


def test_ipv6_is_an_address_too():
    with bind(Address("::1", 0), "listen") as bound:
        assert str(bound_address(bound, Address("::1", 0))).startswith("[::1]:")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (
            Address("192.0.2.1", 0),
            "this machine has no such address; correct admin.listen",
        ),
        (
            Address("no.such.host.invalid", 1),
            "there is no such address; correct admin.listen",
        ),
    ],
    ids=["foreign", "unknown name"],
)
def test_a_bad_address_is_named(address: Address, words: str):
    with pytest.raises(StartError, match=words):
        bind(address, "admin.listen")


def test_a_port_that_needs_privileges_is_named(monkeypatch: pytest.MonkeyPatch):
    class Unprivileged(socket.socket):
        def bind(self, _: object) -> None:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket, "socket", Unprivileged)
    with pytest.raises(
        StartError, match="not permitted; choose a port above 1023 with listen"
    ):
        bind(Address("127.0.0.1", 80), "listen")


def test_a_wildcard_is_reached_over_loopback():
    assert reachable(Address("0.0.0.0", 1)) == "127.0.0.1:1"
    assert reachable(Address("::", 1)) == "[::1]:1"
    assert reachable(Address("10.0.0.1", 1)) == "10.0.0.1:1"


def test_D11_a_held_lock_is_refused_and_names_its_holder(tmp_path: Path):
    held = DataDirLock(tmp_path, ("proxy", "export"))
    with pytest.raises(
        StartError,
        match=rf"another instance \(process {os.getpid()}\) uses the data directory",
    ):
        DataDirLock(tmp_path, ("export",))
    held.close()
    DataDirLock(tmp_path, ("export",)).close()


def test_D11_what_was_got_is_let_go_when_the_rest_is_held(tmp_path: Path):
    held = DataDirLock(tmp_path, ("export",))
    with pytest.raises(StartError):
        DataDirLock(tmp_path, ("proxy", "export"))
    DataDirLock(tmp_path, ("proxy",)).close()
    held.close()


def test_D11_the_lock_of_a_killed_process_is_no_lock(tmp_path: Path):
    script = (
        "import os, pathlib, sys; from proxy.supervise.listeners import DataDirLock\n"
        "held = DataDirLock(pathlib.Path(sys.argv[1]), ('proxy',)); os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run(
        [sys.executable, "-P", "-c", script, str(tmp_path)], env=environ(), timeout=60
    )
    assert ended.returncode == -9
    assert (tmp_path / "lock.proxy").exists()
    DataDirLock(tmp_path, ("proxy",)).close()


def test_a_lock_that_cannot_be_made_is_one_sentence(tmp_path: Path):
    with pytest.raises(
        StartError,
        match=r"cannot write to the data directory, .*lock.proxy: No such file",
    ):
        DataDirLock(tmp_path / "gone", ("proxy",))


def test_a_file_system_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StartError, match="choose a data_dir on a local file system"):
        DataDirLock(tmp_path, ("proxy",))
