"""What the official MCP client sees of our refusals: a result that the model reads, and a session that lives on.

What lives here: the answers of `proxy/judge/refusals.py` to a real client over every transport. What does not: the SDKs of models
(`test_refusals_in_sdks.py`).
"""

import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from mcp.client.client import Client
from mcp.client.sse import sse_client
from mcp.shared.exceptions import MCPError
from msgspec.structs import replace

from proxy.config import RouteSettings
from proxy.judge.caps import CapSettings
from proxy.judge.refusals import Asker, OwnAnswer, refuse
from proxy.judge.settings import PolicySettings
from proxy.judge.verdict import Action, Reason, Verdict
from tests.helpers.origin import Exchange, RawOrigin
from tests.helpers.proxy import running, settings_for
from tests.helpers.wire import STREAM_HEAD, Message, chunk, response

pytestmark = [
    pytest.mark.timeout(60),
    # The SDK reads files and the environment when a client is made.
    pytest.mark.blocking_allowed,
]
STORY = (
    "run r1 exceeded its limit of tool calls (50 of 50); raise policies.caps.tool_calls"
)
CAPPED = Verdict(Action.BLOCK, "caps", Reason.TOOL_CALLS, STORY, "run", "50", "50")
BUSY = replace(CAPPED, policy="breaker", reason=Reason.UPSTREAM_FAILING, is_final=False, wait_seconds=4)  # fmt: skip
JSON = (b"content-type", b"application/json")
MODERN = "2026-07-28"
TOOLS = [{"name": "add", "inputSchema": {"type": "object"}}]
SERVER = {"name": "tickets", "version": "1"}


def result_of(asked: dict[str, Any]) -> dict[str, Any]:
    """Give what a small server says to what is not refused."""
    match asked["method"]:
        case "initialize":
            version = asked["params"]["protocolVersion"]
            said = {"protocolVersion": version, "serverInfo": SERVER}
        case "server/discover":
            said = {"supportedVersions": [MODERN], "serverInfo": SERVER}
        case _:
            said = {"tools": TOOLS}
    said |= {"capabilities": {"tools": {}}, "resultType": "complete", "ttlMs": 0, "cacheScope": "private"}  # fmt: skip
    return {"jsonrpc": "2.0", "id": asked["id"], "result": said}


def written(answer: OwnAnswer) -> bytes:
    status = b"%d %b" % (answer.status, HTTPStatus(answer.status).phrase.encode())
    return response(answer.body, *answer.headers, status=status)


class Tickets:
    """A server whose tools and resources are all refused."""

    def __init__(self, verdict: Verdict, accept: bytes | None = None) -> None:
        self.verdict = verdict
        self.accept = accept
        """What to take for the client's `Accept`; `None`: its own."""
        self.refused: list[Message] = []
        self.answers: list[bytes] = []
        self.stream: Exchange | None = None
        """Of the old transport: where answers go."""

    async def __call__(self, exchange: Exchange) -> None:
        request = exchange.request
        if request.method == b"GET":
            return await self._get(exchange)
        asked = json.loads(request.body) if request.body else {}
        if asked.get("method") in ("tools/call", "resources/read"):
            return await exchange.send(self._refusal(request))
        if "id" not in asked:
            return await exchange.send(response(b"", status=b"202 Accepted"))
        answer = json.dumps(result_of(asked)).encode()
        if self.stream is None:
            return await exchange.send(response(answer, JSON))
        await exchange.send(response(b"", status=b"202 Accepted"))
        await self.stream.send(chunk(b"event: message\ndata: " + answer + b"\n\n"))
        return None

    def _refusal(self, request: Message) -> bytes:
        self.refused.append(request)
        accept = request.get(b"accept") or b"" if self.accept is None else self.accept
        asker = Asker("mcp", "mcp", accept=accept, body=request.body)
        self.answers.append(written(refuse(self.verdict, asker)))
        return self.answers[-1]

    async def _get(self, exchange: Exchange) -> None:
        if not exchange.request.start.startswith(b"GET /sse"):
            return await exchange.send(response(b"", status=b"405 Method Not Allowed"))
        self.stream = exchange
        endpoint = b"event: endpoint\ndata: /messages?session_id=7\n\n"
        await exchange.send(STREAM_HEAD, chunk(endpoint))
        await exchange.gone()
        return None


@pytest.mark.parametrize("mode", ["legacy", MODERN])
@pytest.mark.parametrize("verdict", [CAPPED, BUSY], ids=["final", "later"])
@pytest.mark.parametrize("accept", [None, b"text/event-stream"], ids=["JSON", "events"])
async def test_C07_a_refused_tool_call_is_a_result_with_the_whole_story_and_the_session_lives(
    mode: str, verdict: Verdict, accept: bytes | None, origin: RawOrigin
):
    tickets = origin.handler = Tickets(verdict, accept)
    async with Client(f"{origin.url}/mcp", mode=mode) as client:
        result = await client.call_tool("add", {"a": 1})
        assert result.is_error
        (content,) = result.content
        assert getattr(content, "text", "") == f"tachograph: {STORY}"
        assert [tool.name for tool in (await client.list_tools()).tools] == ["add"]
    assert len(tickets.refused) == 1


@pytest.mark.parametrize("mode", ["legacy", MODERN])
async def test_C07_a_worker_refuses_a_tool_call_and_the_server_hears_nothing(
    mode: str, origin: RawOrigin, data_dir: Path
):
    tickets = origin.handler = Tickets(CAPPED)
    routes = {"tickets": RouteSettings(url=origin.url, kind="mcp")}
    policies = PolicySettings(caps=CapSettings("enforce", tool_calls=0))
    async with running(settings_for(data_dir, origin, routes=routes, policies=policies)) as proxy:  # fmt: skip
        url = f"http://127.0.0.1:{proxy.port}/run/r1/tickets/mcp"
        async with Client(url, mode=mode) as client:
            result = await client.call_tool("add", {"a": 1})
            assert [tool.name for tool in (await client.list_tools()).tools] == ["add"]
        recorded = await proxy.all_ended()
    assert result.is_error
    (content,) = result.content
    assert "run exceeded its limit of tool calls (0 of 0); to change it: policies.caps.tool_calls" in getattr(content, "text", "")  # fmt: skip
    assert tickets.refused == []
    (refused,) = [each for each in recorded if each.end.outcome == "blocked"]
    assert refused.close.verdict_reason == "tool_call_limit"


@pytest.mark.parametrize("mode", ["legacy", MODERN])
async def test_another_refused_request_raises_with_the_whole_story(
    mode: str, origin: RawOrigin
):
    tickets = origin.handler = Tickets(CAPPED)
    async with Client(f"{origin.url}/mcp", mode=mode) as client:
        with pytest.raises(MCPError, match="limit of tool calls") as raised:
            await client.read_resource("ticket://7")
    assert STORY in str(raised.value)
    assert raised.value.error.data == {"reason": "tool_call_limit"}
    assert len(tickets.refused) == 1


async def test_a_client_of_the_first_transport_gets_an_error_status_and_ends_by_its_own_limit(
    origin: RawOrigin,
):
    """Its answers come in another stream, which a refusal cannot reach; this client only logs the status of its POST."""
    tickets = origin.handler = Tickets(CAPPED)
    async with Client(sse_client(f"{origin.url}/sse"), mode="legacy") as client:
        with pytest.raises(MCPError, match=r"(?i)timed out"):
            await client.call_tool("add", {"a": 1}, read_timeout_seconds=0.5)
    (refused,) = tickets.refused
    assert refused.get(b"accept") == b"*/*"
    assert tickets.answers[-1].startswith(b"HTTP/1.1 400 ")
