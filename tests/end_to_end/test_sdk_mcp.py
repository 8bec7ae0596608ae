"""The official MCP client with nothing changed but the URL, against the official server, over every transport.

What lives here: the same results as without the proxy, and rows that say what was called and whether it failed. What does not:
shapes of messages that this server does not send (`tests/proxy/meter/dialects/test_mcp.py`).
"""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from mcp.client.client import Client
from mcp.client.sse import sse_client
from mcp.shared.exceptions import MCPError

from exporters.enrich.rows import step_rows
from proxy.config import RouteSettings
from tests.helpers.mcp_process import Server, serving_mcp
from tests.helpers.origin import RawOrigin
from tests.helpers.proxy import Proxy, running, settings_for

pytestmark = [
    pytest.mark.big,
    pytest.mark.timeout(120),
    # Client and server of the SDK read files and the environment when they are made.
    pytest.mark.blocking_allowed,
]
MODERN = "2026-07-28"
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("add", {"a": 2, "b": 3}),
    ("fail", {}),
    ("refuse", {}),
    ("nobody_has_this", {}),
    ("work", {"steps": 3}),
]
Seen = list[Any]


def client_for(transport: str, mode: str, url: str) -> Client:
    """Make a client for a base URL: the server's, or the proxy's with run and route."""
    if transport == "sse":
        return Client(sse_client(f"{url}/sse"), mode=mode)
    return Client(f"{url}/mcp", mode=mode)


async def see(calling: Any) -> Any:
    try:
        return (await calling).model_dump()
    except MCPError as error:
        return error.error.model_dump()


async def session(client: Client) -> Seen:
    """Use everything once; give all that the user of the client sees."""
    seen: Seen = []

    async def noted(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total, message))

    async with client:
        seen.append(client.protocol_version)
        seen.append(await see(client.list_tools()))
        for name, arguments in CALLS:
            calling = client.call_tool(name, arguments, progress_callback=noted)
            seen.append(await see(calling))
        seen.append(await see(client.read_resource("ticket://7")))
        seen.append(await see(client.read_resource("ticket://8")))
        seen.append(await see(client.get_prompt("triage", {"text": "fire"})))
    return seen


def settings(data_dir: Path, origin: RawOrigin, server: Server) -> Any:
    routes = {"tickets": RouteSettings(url=server.url, kind="mcp")}
    return settings_for(data_dir, origin, routes=routes)


def behind(proxy: Proxy) -> str:
    return f"http://127.0.0.1:{proxy.port}/agent/a/run/r1/tickets"


async def rows_of(proxy: Proxy) -> list[Any]:
    recorded = await proxy.all_ended()
    return [row for each in recorded for row in step_rows(each.open, each.close, each.end)]  # fmt: skip


OUTCOMES = {
    "add": ("completed", ""),
    "fail": ("completed", "tool_error"),
    "refuse": ("upstream_error", "server_error"),
    "nobody_has_this": ("completed", "tool_error"),
    "work": ("completed", ""),
}
TOOLS = Counter((name, *outcome) for name, outcome in OUTCOMES.items())
ELSEWHERE = Counter((name, "completed", "") for name in OUTCOMES)
READ = Counter(
    {
        ("resources/read", "completed", ""): 1,
        ("resources/read", "rejected", "invalid_request"): 1,
        ("prompts/get", "completed", ""): 1,
    }
)
READ_ELSEWHERE = Counter(
    {("resources/read", "completed", ""): 2, ("prompts/get", "completed", ""): 1}
)
SESSION = {"initialize", "notification", "tools/list"}
STREAMED = SESSION | {"sse_stream"}
SCENES = [
    pytest.param("stateful", "legacy", TOOLS + READ, STREAMED | {"session_end"}, id="sessions"),
    pytest.param("stateful", "auto", TOOLS + READ, {"server/discover", "tools/list"}, id="negotiated"),
    pytest.param("stateful", MODERN, TOOLS + READ, {"tools/list"}, id="2026"),
    pytest.param("json", "legacy", TOOLS + READ, SESSION, id="stateless JSON"),
    pytest.param("json", MODERN, TOOLS + READ, {"tools/list"}, id="2026 JSON"),
    pytest.param("sse", "legacy", ELSEWHERE + READ_ELSEWHERE, STREAMED, id="old SSE"),
]  # fmt: skip


@pytest.mark.parametrize(("transport", "mode", "steps", "others"), SCENES)
async def test_the_client_sees_what_it_would_see_without_the_proxy(
    transport: str,
    mode: str,
    steps: Counter[tuple[str, str, str]],
    others: set[str],
    origin: RawOrigin,
    data_dir: Path,
):
    async with serving_mcp(transport) as server:
        direct = await session(client_for(transport, mode, server.url))
        async with running(settings(data_dir, origin, server)) as proxy:
            proxied = await session(client_for(transport, mode, behind(proxy)))
            rows = await rows_of(proxy)
    assert proxied == direct
    work = [row for row in rows if row.is_step]
    assert Counter((row.step_name, row.outcome, row.error_type) for row in work) == steps  # fmt: skip
    assert {row.operation for row in rows} - {row.operation for row in work} == others
    for row in rows:
        tool_call = row.operation == "tools/call"
        source = "tool" if tool_call else "operation"
        assert (row.kind, row.run_id, row.step_name_source) == ("mcp", "r1", source)
        assert (row.usage_source, row.cost_usd) == ("none", None)
        endpoint = transport == "sse" and row.operation == "sse_stream"
        assert ("sse_endpoint" in row.altered) == endpoint


@pytest.mark.parametrize("mode", ["legacy", MODERN])
async def test_a_server_that_starts_again_is_seen_as_without_the_proxy(
    mode: str, origin: RawOrigin, data_dir: Path
):
    async def over_a_restart(url: str, server: Server) -> Seen:
        seen: Seen = []
        async with client_for("stateful", mode, url) as client:
            seen.append(await see(client.call_tool(*CALLS[0])))
            await server.stop()
            await server.start()
            seen.append(await see(client.call_tool(*CALLS[0])))
        async with client_for("stateful", mode, url) as client:
            seen.append(await see(client.call_tool(*CALLS[0])))
        return seen

    async with serving_mcp("stateful") as server:
        direct = await over_a_restart(server.url, server)
        async with running(settings(data_dir, origin, server)) as proxy:
            proxied = await over_a_restart(behind(proxy), server)
            rows = await rows_of(proxy)
    assert proxied == direct
    outcomes = [(row.outcome, row.error_type) for row in rows if row.is_step]
    lost = ("rejected", "not_found") if mode == "legacy" else ("completed", "")
    assert sorted(outcomes) == sorted([("completed", ""), lost, ("completed", "")])
