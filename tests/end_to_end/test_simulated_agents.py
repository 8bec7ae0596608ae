"""Agents that are plain loops around an official SDK, through the proxy, against the simulated provider.

What lives here: a task of several steps per family, streamed and not, and what the proxy recorded of it. What does not:
frameworks (`tests/agents/`), the provider's own answers (`tests/proxy/simulate/`).
"""

import asyncio

import pytest

from proxy.model import Outcome
from tests.helpers.loops import LOOPS, PLAN, SAID

# An SDK reads certificates and asks for the platform when it is made and first used, in whatever loop that is.
pytestmark = pytest.mark.blocking_allowed
BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
RETRYING = sorted(LOOPS.keys() - {"gemini"})
"""Google's SDK does not retry by itself."""


@BOTH
@pytest.mark.parametrize("name", LOOPS)
async def test_an_agent_does_its_task_and_every_step_is_recorded(
    name, stream, provider, simulated_proxy
):
    url = f"http://127.0.0.1:{simulated_proxy.port}"
    said = await asyncio.to_thread(LOOPS[name], url, PLAN, stream)
    assert said == SAID
    assert [seen.step for seen in provider.seen] == [0, 1, 2, 3]
    recorded = await simulated_proxy.ended(4)
    closes = [each.close for each in recorded]
    assert {close.outcome for close in closes} == {Outcome.COMPLETED}
    inputs = [close.usage.input + (close.usage.cache_read or 0) for close in closes]
    assert inputs == sorted(set(inputs))
    assert all(close.usage.output > 0 for close in closes)
    assert (closes[0].usage.reasoning or 0) == (0 if name == "anthropic" else 20)


@BOTH
@pytest.mark.parametrize("name", RETRYING)
async def test_a_provider_that_fails_once_is_asked_again(
    name, stream, provider, simulated_proxy
):
    url = f"http://127.0.0.1:{simulated_proxy.port}"
    plan = PLAN.replace("<<plan:", "<<plan: fail 503 retry-after 0 |")
    assert await asyncio.to_thread(LOOPS[name], url, plan, stream) == SAID
    assert [seen.status for seen in provider.seen] == [503, 200, 200, 200, 200]
    recorded = await simulated_proxy.ended(5)
    assert recorded[0].close.http_status == 503
