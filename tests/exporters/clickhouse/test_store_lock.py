"""One store per path, and the file that names its address."""

import asyncio
from pathlib import Path

import pytest

from exporters.clickhouse.store_lock import address_file, hold, write_address
from proxy.errors import StartError


async def test_the_lock_is_got_when_free_and_again_after_it_was_left(
    tmp_path: Path,
) -> None:
    for _ in range(2):
        async with hold(tmp_path, asyncio.Event()) as held:
            assert held


async def test_a_lock_that_stays_held_is_given_up_with_one_line(tmp_path: Path) -> None:
    async with hold(tmp_path, asyncio.Event()):
        with pytest.raises(StartError, match="is held by another store"):
            async with hold(tmp_path, asyncio.Event(), wait_seconds=0.0):
                pass


async def test_a_stop_ends_the_wait(tmp_path: Path) -> None:
    stopping = asyncio.Event()
    stopping.set()
    async with hold(tmp_path, asyncio.Event()), hold(tmp_path, stopping) as held:
        assert not held


async def test_a_waiting_one_gets_the_lock_once_it_is_left(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as tasks:

        async def wait() -> bool:
            async with hold(tmp_path, asyncio.Event()) as held:
                return held

        async with hold(tmp_path, asyncio.Event()):
            waiting = tasks.create_task(wait())
            await asyncio.sleep(0)
            assert not waiting.done()
    assert waiting.result()


def test_the_address_is_replaced_whole(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for address in ("127.0.0.1:1", "127.0.0.1:22222"):
        write_address(tmp_path, address)
        assert address_file(tmp_path).read_text() == address
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["store.address"]
