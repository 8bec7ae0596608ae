"""Calls that say little of themselves (tools, embeddings) meet the limits of the agent and of the turn that their rows show."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.test_governors import CHAT, JSON, answer, governed
from tests.helpers.origin import RawOrigin, always
from tests.helpers.proxy import Proxy, running
from tests.helpers.wire import request

SYSTEM = {"role": "system", "content": "You find prices."}


async def say(proxy: Proxy, *texts: str) -> int:
    """Ask the model; what was said before is answered by `Hi.`."""
    messages: list[dict[str, Any]] = [SYSTEM]
    for text in texts:
        messages += [{"role": "user", "content": text}, {"role": "assistant", "content": "Hi."}]  # fmt: skip
    body = json.dumps({"model": "gpt-4o", "messages": messages[:-1]}).encode()
    sent = request(b"/run/r1" + CHAT, JSON, method=b"POST", body=body)
    return (await proxy.call(sent)).status


async def use(proxy: Proxy, number: int) -> int:
    body = json.dumps({"query": number}).encode()
    sent = request(b"/run/r1/t/search", JSON, method=b"POST", body=body)
    return (await proxy.call(sent)).status


OFF = {"mode": "off"}
OTHERS = ("backstop", "spend_rate", "repeat", "cycle", "same_error", "no_progress", "breaker", "rate_gate", "quota_gate", "tool_calls")  # fmt: skip


@pytest.mark.parametrize("others", [{}, dict.fromkeys(OTHERS, OFF)], ids=["among others", "alone"])  # fmt: skip
async def test_a_tool_s_call_meets_the_limits_of_its_run_s_agent(
    origin: RawOrigin, data_dir: Path, others: dict[str, Any]
):
    origin.handler = always(answer())
    none = {"agent": "find-prices", "mode": "enforce", "tool_calls": 0}
    caps = {"mode": "off" if others else "observe", "when": [none]}
    async with running(governed(data_dir, origin, caps=caps, **others)) as proxy:
        assert (await say(proxy, "Go."), await use(proxy, 1)) == (200, 400)
        _, tool = await proxy.ended(2)
    assert (tool.open.agent, tool.open.agent_source) == ("find-prices", "run")
    assert (tool.close.verdict_policy, tool.close.verdict_action) == ("caps", "block")


async def test_a_tool_s_call_counts_for_its_run_s_turn(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = always(answer())
    caps = {"mode": "enforce", "turn": {"tool_calls": 1}}
    texts = ["Find apples.", "And pears.", "And plums."]
    async with running(governed(data_dir, origin, caps=caps)) as proxy:
        for turn in range(3):
            assert await say(proxy, *texts[: turn + 1]) == 200
            assert await use(proxy, turn) == 200
        assert await use(proxy, 3) == 400
        rows = await proxy.ended(7)
    tools = [each for each in rows if each.open.kind == "tool"]
    assert [each.open.turn_seq for each in tools] == [1, 2, 3, 3]
