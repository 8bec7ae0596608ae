"""The asking side of the control socket: silence and nonsense are one error. Good answers: `test_control.py`."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.control import socket_path
from proxy.control_client import ControlClient, UnreachableError, real_path


@asynccontextmanager
async def peer(data_dir: Path, answer: bytes | None) -> AsyncIterator[ControlClient]:
    """Listen as a process would that says `answer`, or nothing at all."""
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await gone.wait()
        else:
            writer.write(b"HTTP/1.1 " + answer)
        writer.close()

    path = socket_path(data_dir, "w0")
    await asyncio.to_thread(os.makedirs, path.parent)
    listener = await asyncio.start_unix_server(serve, str(path))
    yield ControlClient(data_dir, "w0")
    gone.set()
    listener.close()
    await listener.wait_closed()


async def test_nobody_there(tmp_path: Path):
    with pytest.raises(UnreachableError, match=r"w0 does not answer on .*w0.sock"):
        await ControlClient(tmp_path, "w0").status(60.0)


async def test_no_answer_in_time(tmp_path: Path):
    async with peer(tmp_path, None) as client:
        with pytest.raises(UnreachableError):
            await client.healthy(0.05)


async def test_an_answer_that_is_not_json(tmp_path: Path):
    async with peer(tmp_path, b"200 OK\r\nContent-Length: 2\r\n\r\nno") as client:
        with pytest.raises(UnreachableError, match="no JSON object"):
            await client.status(60.0)


async def test_metrics_that_are_refused(tmp_path: Path):
    async with peer(tmp_path, b"404 Not Found\r\nContent-Length: 0\r\n\r\n") as client:
        with pytest.raises(
            UnreachableError, match="w0 answered 404 instead of its metrics"
        ):
            await client.metrics(60.0)


def test_a_long_path_without_a_pointer_stays_what_it_is(tmp_path: Path):
    path = tmp_path / ("d" * 120) / "w0.sock"
    assert real_path(path) == path
