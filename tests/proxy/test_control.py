"""The control socket answers its owner only, and survives restarts and long paths."""

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from proxy.control import (
    ControlServer,
    Probes,
    json_response,
    pointer_path,
    socket_path,
)
from proxy.control_client import ControlClient, UnreachableError
from proxy.errors import StartError


def probes(ok: bool = True, **status: Any) -> Probes:
    return Probes(
        lambda: (ok, {"why": "asked"}),
        lambda: ok,
        lambda: msgspec.msgpack.encode([]),
        lambda: status,
    )


def server(data_dir: Path, **status: Any) -> ControlServer:
    return ControlServer(socket_path(data_dir, "w0"), probes(**status))


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[ControlServer]:
    one = server(tmp_path, generation=1)
    await one.start()
    yield one
    await one.close()


@pytest.mark.usefixtures("running")
async def test_it_answers_status_and_metrics(tmp_path: Path):
    client = ControlClient(tmp_path, "w0")
    assert await client.status(60.0) == {"generation": 1}
    assert await client.metrics(60.0) == b"\x90"
    assert await client.healthy(60.0)


@pytest.mark.parametrize(
    ("said", "degraded"),
    [
        ({"degraded": ["spool: disk_full"]}, ("spool: disk_full",)),
        ({"why": "asked"}, ()),
        ({"degraded": "all"}, ()),
    ],
)
async def test_health_names_what_is_degraded(
    tmp_path: Path, said: dict[str, Any], degraded: tuple[str, ...]
):
    one = ControlServer(
        socket_path(tmp_path, "w0"),
        Probes(lambda: (True, said), lambda: True, lambda: b"", dict),
    )
    await one.start()
    assert await ControlClient(tmp_path, "w0").health(60.0) == (True, degraded)
    await one.close()


async def test_an_unhealthy_process_answers_503(tmp_path: Path):
    ill = ControlServer(socket_path(tmp_path, "w0"), probes(ok=False))
    await ill.start()
    client = ControlClient(tmp_path, "w0")
    assert not await client.healthy(60.0)
    with pytest.raises(UnreachableError, match="w0 answered 503 to GET /readyz"):
        await client.call("GET", "/readyz", 60.0)
    await ill.close()


async def test_a_status_that_must_be_awaited_is_awaited(tmp_path: Path):
    async def status() -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"slow": True}

    one = ControlServer(
        socket_path(tmp_path, "w0"),
        Probes(lambda: (True, {}), lambda: True, bytes, status),
    )
    await one.start()
    assert await ControlClient(tmp_path, "w0").status(60.0) == {"slow": True}
    await one.close()


async def test_more_routes_can_be_served(tmp_path: Path):
    async def allow(request: web.Request) -> web.Response:
        return json_response({"allowed": (await request.json())["run"]})

    one = ControlServer(
        socket_path(tmp_path, "w0"), probes(), [web.post("/allow", allow)]
    )
    await one.start()
    assert await ControlClient(tmp_path, "w0").call(
        "POST", "/allow", 60.0, {"run": "r1"}
    ) == {"allowed": "r1"}
    await one.close()


@pytest.mark.usefixtures("running")
@pytest.mark.blocking_allowed  # looks at the file system
async def test_the_socket_is_for_its_owner_only(tmp_path: Path):
    path = socket_path(tmp_path, "w0")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.blocking_allowed  # looks at the file system
async def test_a_stale_socket_is_replaced_and_its_late_owner_leaves_the_new_one(
    tmp_path: Path,
):
    old, new = server(tmp_path, generation=1), server(tmp_path, generation=2)
    await old.start()
    await new.start()
    await old.close()
    assert await ControlClient(tmp_path, "w0").status(60.0) == {"generation": 2}
    await new.close()
    assert not socket_path(tmp_path, "w0").exists()


@pytest.mark.blocking_allowed  # looks at the file system
async def test_a_path_that_is_too_long_leads_to_a_private_directory_elsewhere(
    tmp_path: Path,
):
    deep = tmp_path / ("d" * 120)
    old, new = server(deep, generation=1), server(deep, generation=2)
    await old.start()
    first = Path(pointer_path(socket_path(deep, "w0")).read_text())
    await new.start()
    real = Path(pointer_path(socket_path(deep, "w0")).read_text())
    assert not first.parent.exists()
    assert stat.S_IMODE(real.parent.stat().st_mode) == 0o700
    await old.close()
    assert await ControlClient(deep, "w0").status(60.0) == {"generation": 2}
    await new.close()
    assert not real.parent.exists()
    assert not pointer_path(socket_path(deep, "w0")).exists()


@pytest.mark.blocking_allowed  # makes a file
async def test_a_socket_that_cannot_be_made_is_a_start_error(tmp_path: Path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(StartError, match="cannot make the control socket"):
        await server(tmp_path).start()
    await server(tmp_path).close()
