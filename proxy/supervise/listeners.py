"""Listening sockets and locks that keep a second instance away.

What lives here: taking a port for this process alone, taking a data directory for this process alone, and the one line that
says what is in the way. What does not: who accepts on the socket (`worker.py`, `admin.py`).
"""

import errno
import fcntl
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from proxy.config import Address
from proxy.errors import StartError

BACKLOG = 4096
_WAYS = {
    "listen": "listen (--listen, TACHO_LISTEN)",
    "admin.listen": "admin.listen (--admin-listen, TACHO_ADMIN_LISTEN)",
    "store.listen": "store.listen (TACHO_STORE_LISTEN)",
}
"""Where else than in the file a port can be chosen."""


def reachable(address: Address) -> str:
    """Give an address that a client on this machine can use: a wildcard is none."""
    wildcard = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    return str(Address(wildcard.get(address.host, address.host), address.port))


def bind(address: Address, key: str) -> socket.socket:
    """Listen on `address`, exclusively; `key` is the setting to name when that fails (`StartError`).

    SO_REUSEADDR takes the port of a predecessor whose connections are in TIME_WAIT. SO_REUSEPORT is never set: with it a
    second instance would start silently and get half of the connections.
    """
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise StartError(
            f"cannot listen on {address}: there is no such address; correct {key}"
        ) from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(
                socket.IPPROTO_IPV6,
                socket.IPV6_V6ONLY,
                1 if address.host != "::" else 0,
            )
        listener.bind(where)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise StartError(_refusal(address, key, error)) from error
    return listener


def bound_address(listener: socket.socket, address: Address) -> Address:
    """Give the address as it came to be: the host as it was written, the port that the system chose."""
    return Address(address.host, listener.getsockname()[1])


def _refusal(address: Address, key: str, error: OSError) -> str:
    reason = error.errno
    if reason == errno.EADDRINUSE:
        return f"cannot listen on {address}: the port is in use; stop what uses it or choose another port with {_WAYS.get(key, key)}"
    if reason in (errno.EACCES, errno.EPERM):
        return f"cannot listen on {address}: not permitted; choose a port above 1023 with {key}"
    if reason == errno.EADDRNOTAVAIL:
        return f"cannot listen on {address}: this machine has no such address; correct {key}"
    return f"cannot listen on {address}: {error}; correct {key}"


class DataDirLock:
    """Holds `lock.<half>` files of a data directory until closed or dead: a lock of a killed process is no lock."""

    def __init__(self, data_dir: Path, halves: Sequence[str]) -> None:
        self._held: list[int] = []
        try:
            for half in halves:
                self._held.append(_lock(data_dir, half))
        except StartError:
            self.close()
            raise

    def close(self) -> None:
        """Let go."""
        while self._held:
            os.close(self._held.pop())


def _lock(data_dir: Path, half: str) -> int:
    path = data_dir / f"lock.{half}"
    held = _attempt(
        path, lambda: os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    )
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.pread(held, 32, 0).decode("ascii", "replace").strip()
        os.close(held)
        raise StartError(
            f"another instance{f' (process {owner})' if owner else ''} uses the data directory {data_dir}; "
            "stop it or choose another one with data_dir"
        ) from error
    except OSError as error:
        os.close(held)
        raise StartError(
            f"cannot lock {path}: {error.strerror}; choose a data_dir on a local file system"
        ) from error
    os.ftruncate(held, 0)
    os.pwrite(held, f"{os.getpid()}\n".encode(), 0)
    return held


def _attempt(path: Path, act: Callable[[], int]) -> int:
    try:
        return act()
    except OSError as error:
        raise StartError(
            f"cannot write to the data directory, {path}: {error.strerror}; make it writable or choose another one with data_dir"
        ) from error
