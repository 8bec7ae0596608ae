"""The tool calls of agents that are plain loops around an official SDK, as the worker recorded them.

What lives here: which calls a step asked for, and what is wrong with them. What does not: runs and steps (`test_runs_of_loops.py`), every way in which
a call can be wrong (`tests/proxy/judge/test_call_checks.py`).
"""

import asyncio

import pytest

from tests.helpers import loops
from tests.helpers.loops import LOOPS, PLAN, SAID
from tests.helpers.proxy import Proxy

# An SDK reads certificates and asks for the platform when it is made and first used, in whatever loop that is.
pytestmark = pytest.mark.blocking_allowed
BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
UNFIT = """Find it.
<<plan: call search {"q": 3} | call search {"q": "x"} & call search {"query": "x"} | say done.>>"""


@BOTH
@pytest.mark.parametrize("name", LOOPS)
async def test_each_step_says_what_it_asked_for(
    name: str, stream: bool, simulated_proxy: Proxy
):
    url = f"http://127.0.0.1:{simulated_proxy.port}"
    assert await asyncio.to_thread(LOOPS[name], url, PLAN, stream) == SAID
    steps = sorted(await simulated_proxy.ended(4), key=lambda each: each.open.ts_us)
    asked = [[(call.tool, call.problem) for call in each.close.calls] for each in steps]
    search = ("search", "")
    assert asked == [[search], [search, search], [search], []]
    ids = [call.id for each in steps for call in each.close.calls]
    assert len(set(ids)) == 4
    assert len({call.args_hash for each in steps for call in each.close.calls}) == 4


@BOTH
@pytest.mark.parametrize("name", LOOPS)
async def test_a_step_that_asks_for_what_does_not_fit_says_so(
    name: str, stream: bool, simulated_proxy: Proxy, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(loops, "search", lambda **_: "found")
    url = f"http://127.0.0.1:{simulated_proxy.port}"
    assert await asyncio.to_thread(LOOPS[name], url, UNFIT, stream) == "done."
    steps = sorted(await simulated_proxy.ended(3), key=lambda each: each.open.ts_us)
    asked = [[call.problem for call in each.close.calls] for each in steps]
    assert asked == [["bad_arguments"], ["", "bad_arguments"], []]
