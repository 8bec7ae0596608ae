"""What the official MCP client does when a server fails: it tries nothing again, so each call of a tool is a step of its own.

What lives here: tools called while the server says no or cuts the connection, and called again by their user. What does not: what works
(`test_sdk_mcp.py`).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError

from exporters.enrich.rows import step_rows
from proxy.config import RouteSettings
from tests.helpers.failing import CUT, Failing
from tests.helpers.mcp_process import serving_mcp
from tests.helpers.origin import Exchange, RawOrigin
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.wire import response

pytestmark = [
    pytest.mark.big,
    pytest.mark.timeout(120),
    # The client reads files and the environment when it is made.
    pytest.mark.blocking_allowed,
]


class Tools:
    """A server whose tool `add` fails as told; everything else is the official server's."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._failing = Failing(self._pass)
        self.faults = self._failing.faults

    async def __call__(self, exchange: Exchange) -> None:
        if b'"tools/call"' in exchange.request.body:
            await self._failing(exchange)
        else:
            for piece in await self._pass(exchange):
                await exchange.send(piece)

    async def _pass(self, exchange: Exchange) -> list[bytes]:
        asked = exchange.request
        kept = {k.decode(): v.decode() for k, v in asked.headers if k.lower() not in (b"host", b"content-length")}  # fmt: skip
        async with httpx2.AsyncClient() as client:
            said = await client.request(
                asked.method.decode(), self._url + asked.target.decode(), headers=kept, content=asked.body
            )  # fmt: skip
        names = ("content-type", "mcp-session-id", "mcp-protocol-version")
        headers = [(name.encode(), said.headers[name].encode()) for name in names if name in said.headers]  # fmt: skip
        return [response(said.content, *headers, status=b"%d Passed" % said.status_code)]  # fmt: skip


@asynccontextmanager
async def failing_tools(data_dir: Path) -> AsyncIterator[tuple[Proxy, Tools]]:
    async with serving_mcp("json") as server:
        tools = Tools(server.url)
        async with RawOrigin(tools) as origin:
            routes = {"tickets": RouteSettings(url=origin.url, kind="mcp")}
            async with running(settings_for(data_dir, origin, routes=routes)) as proxy:
                yield proxy, tools


@pytest.mark.parametrize("fault", [429, 503, CUT])
@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_a_tool_that_failed_and_is_called_again_is_two_steps(
    mode: str, fault: int | str, data_dir: Path
):
    asked: Any = ("add", {"a": 2, "b": 3})
    async with failing_tools(data_dir) as (proxy, tools):
        url = f"http://127.0.0.1:{proxy.port}/run/r1/tickets/mcp"
        async with Client(url, mode=mode) as client:
            tools.faults.append(fault)
            with pytest.raises(MCPError):
                await client.call_tool(*asked)
            assert not (await client.call_tool(*asked)).is_error
        recorded = await proxy.all_ended()
    rows = [row for each in recorded for row in step_rows(each.open, each.close, each.end)]  # fmt: skip
    calls = [row for row in rows if row.operation == "tools/call"]
    assert [(row.step_seq, row.attempt, row.retry_layer) for row in calls] == [(1, 0, ""), (2, 0, "")]  # fmt: skip
    assert calls[0].outcome != "completed"
    assert calls[1].outcome == "completed"
    assert {(row.run_id, row.step_name) for row in calls} == {("r1", "add")}
