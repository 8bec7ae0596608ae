"""Agents that are plain loops around an official SDK, with nothing changed but the base URL: what the proxy makes of their calls.

What lives here: runs, steps, turns and attempts as the worker recorded them. What does not: the rungs (`tests/proxy/identify`), rows
in the store (`test_rows_of_runs.py`).
"""

import asyncio
from collections import defaultdict

import pytest

from proxy.model import RunSource
from proxy.record.codec import Open
from tests.helpers.loops import LOOPS, PLAN, SAID
from tests.helpers.proxy import Proxy
from tests.helpers.records import Recorded

# An SDK reads certificates and asks for the platform when it is made and first used, in whatever loop that is.
pytestmark = pytest.mark.blocking_allowed
BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
STEPS = 4


def runs(recorded: list[Recorded]) -> dict[str, list[Open]]:
    found: dict[str, list[Open]] = defaultdict(list)
    for each in sorted(recorded, key=lambda each: each.open.ts_us):
        found[each.open.run_id].append(each.open)
    return found


async def work(proxy: Proxy, name: str, plan: str, stream: bool) -> None:
    url = f"http://127.0.0.1:{proxy.port}"
    assert await asyncio.to_thread(LOOPS[name], url, plan, stream) == SAID


@BOTH
@pytest.mark.parametrize("name", LOOPS)
async def test_a_loop_is_one_run_and_each_call_a_step_of_it(
    name, stream, simulated_proxy
):
    await work(simulated_proxy, name, PLAN, stream)
    found = runs(await simulated_proxy.ended(STEPS))
    ((run_id, calls),) = found.items()
    assert run_id
    assert [call.step_seq for call in calls] == [1, 2, 3, 4]
    assert {(call.turn_seq, call.attempt, call.retry_layer) for call in calls} == {(1, 0, "")}  # fmt: skip
    later = RunSource.RESPONSE_ID if name == "responses" else RunSource.CONTINUATION
    assert [call.run_source for call in calls] == [RunSource.NEW, *[later] * 3]
    assert len({call.session_id for call in calls} - {""}) == 1
    assert {call.agent for call in calls} == {"search"}
    assert [call.step_name for call in calls[1:]] == ["after search"] * 3


@BOTH
@pytest.mark.parametrize("name", [each for each in LOOPS if each != "gemini"])
async def test_what_an_sdk_tries_again_is_one_step(name, stream, simulated_proxy):
    fail = "<<plan: fail 503 retry-after 0 | fail 429 retry-after 0 |"
    await work(simulated_proxy, name, PLAN.replace("<<plan:", fail), stream)
    ((_, calls),) = runs(await simulated_proxy.ended(STEPS + 2)).items()
    assert [(call.step_seq, call.attempt) for call in calls] == [
        (1, 0), (1, 1), (1, 2), (2, 0), (3, 0), (4, 0)
    ]  # fmt: skip
    assert [call.retry_layer for call in calls[:4]] == ["", "sdk", "sdk", ""]
    assert {call.step_id for call in calls[:3]} == {calls[0].attempt_id}


@pytest.mark.parametrize("name", LOOPS)
async def test_equal_loops_at_the_same_time_are_not_merged(name, simulated_proxy):
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(work(simulated_proxy, name, PLAN, stream=True))
    found = runs(await simulated_proxy.ended(3 * STEPS))
    assert [[call.step_seq for call in calls] for calls in found.values()] == [
        [1, 2, 3, 4]
    ] * 3
