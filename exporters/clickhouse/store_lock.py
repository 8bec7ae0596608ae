"""The lock on the embedded store's path, and the file that says where the store listens.

What lives here: `hold`, which waits a bounded time for another owner to leave, and the address file. What does not: opening the
path (`engine.py`). chDB itself fails at once, and unreadably, when a second process opens a path.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from proxy.errors import StartError

logger = logging.getLogger("tacho.store")

WAIT_SECONDS: Final = 60.0
PAUSE_SECONDS: Final = 0.1


@contextlib.asynccontextmanager
async def hold(
    data_dir: Path, stopping: asyncio.Event, wait_seconds: float = WAIT_SECONDS
) -> AsyncIterator[bool]:
    """Hold the lock inside the block; give whether it was got (not when `stopping` came first).

    The kernel gives the lock back when its holder dies, however it dies.
    """
    path = data_dir / "store.lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield await _wait(handle, path, stopping, wait_seconds)
    finally:
        os.close(handle)


async def _wait(
    handle: int, path: Path, stopping: asyncio.Event, wait_seconds: float
) -> bool:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_seconds
    told = False
    while not stopping.is_set():
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if loop.time() >= deadline:
                raise StartError(
                    f"{path} is held by another store (tacho up, export or sql); stop that one, or set another TACHO_DATA_DIR"
                ) from None
            if not told:
                logger.warning(
                    "waiting_for_lock", extra={"detail": {"path": str(path)}}
                )
                told = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), PAUSE_SECONDS)
        else:
            return True
    return False


def address_file(data_dir: Path) -> Path:
    """Give the file that names HOST:PORT of the running store, for those that cannot ask its control socket."""
    return data_dir / "run" / "store.address"


def write_address(data_dir: Path, address: str) -> None:
    """Say where the store listens; readers see the old text or the new one, never half of it."""
    path = address_file(data_dir)
    fresh = path.with_suffix(".new")
    fresh.write_text(address, encoding="ascii")
    fresh.rename(path)
