"""One quick question on a control socket."""

import asyncio
from pathlib import Path

import pytest

from proxy.cli.quick_status import quick_status
from proxy.control import ControlServer, Probes, socket_path
from tests.helpers.control import answering_control

LONG = "d" * 90
"""With this a socket's path is longer than the operating system takes."""


def test_it_is_what_the_process_says(tmp_path: Path):
    with answering_control(tmp_path, "store", {"address": "here"}):
        assert quick_status(tmp_path, "store") == {"address": "here"}


def test_nobody_there_says_nothing(tmp_path: Path):
    assert quick_status(tmp_path, "store") == {}
    (tmp_path / "run").mkdir()
    socket_path(tmp_path, "store").touch()
    assert quick_status(tmp_path, "store") == {}


def test_an_error_is_no_answer(tmp_path: Path):
    with answering_control(tmp_path, "store", {"address": "here"}, 500):
        assert quick_status(tmp_path, "store") == {}


@pytest.mark.blocking_allowed  # looks at the file system
async def test_the_products_own_server_is_understood_however_long_the_path(
    tmp_path: Path,
):
    for data_dir in (tmp_path, tmp_path / LONG):
        (data_dir / "run").mkdir(parents=True)
        probes = Probes(lambda: (True, {}), lambda: True, lambda: b"", lambda: {"n": 1})
        server = ControlServer(socket_path(data_dir, "w0"), probes)
        await server.start()
        assert await asyncio.to_thread(quick_status, data_dir, "w0") == {"n": 1}
        await server.close()
