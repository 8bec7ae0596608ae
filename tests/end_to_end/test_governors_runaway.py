"""Agents that run away against the simulated provider: each would spend 100 dollars, and is stopped within one step of its cap.

What lives here: every family, streamed and not, as one conversation that grows and as calls that have nothing to do with each other.
What does not: rows in the store and what `tacho show` makes of them (`test_rows_of_runaways.py`), frameworks (`tests/agents/`).

Prices are a thousandfold: what takes an agent of today a night takes it twenty steps here.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import anthropic
import msgspec
import openai
import pytest
from google.genai import errors

from proxy.config import PriceRule, Settings
from proxy.judge.settings import PolicySettings
from proxy.simulate.server import Provider
from tests.helpers.loops import DEAR, ENDLESS, LOOPS, MAX_STEPS
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.records import Recorded
from tests.helpers.simulated import MODELS, Raw, asking, call, path_of

# An SDK reads certificates and asks for the platform when it is made and first used, in whatever loop that is.
pytestmark = [
    pytest.mark.blocking_allowed,
    pytest.mark.usefixtures("clock"),  # no minute ends meanwhile
]
BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
WOULD_SPEND, CAP = 100, 45
PICO = 10**12
ERRORS = {
    "chat": openai.BadRequestError,
    "responses": openai.BadRequestError,
    "responses_replayed": openai.BadRequestError,
    "anthropic": anthropic.BadRequestError,
    "gemini": errors.ClientError,
}
ROUTES = {"anthropic_messages": "anthropic", "gemini": "gemini"}
"""Of the others it is `openai`."""


def settings(data_dir: Path, provider: Provider, **policies: Any) -> Settings:
    made = msgspec.convert(policies, PolicySettings)
    return settings_for(data_dir, provider, policies=made, prices=msgspec.convert(DEAR, tuple[PriceRule, ...]))  # fmt: skip


def assert_stopped_within_a_step(recorded: list[Recorded], provider: Provider) -> None:
    """All calls but the last went out, and the last but one used up what was left."""
    *went, refused = recorded
    assert {each.end.outcome for each in went} == {"completed"}
    assert refused.end.outcome == "blocked"
    assert len(provider.seen) == len(went)
    costs = [(each.close.cost.total() or 0) / PICO for each in went]
    assert min(costs) * MAX_STEPS >= WOULD_SPEND
    assert sum(costs[:-1]) < CAP <= sum(costs)


@BOTH
@pytest.mark.parametrize("name", LOOPS)
async def test_c01_a_conversation_that_grows_is_stopped_within_a_step_of_its_cap(
    name: str, stream: bool, provider: Provider, data_dir: Path
):
    made = settings(data_dir, provider, caps={"mode": "enforce", "cost_usd": CAP})
    async with running(made) as proxy:
        root = f"http://127.0.0.1:{proxy.port}"
        with pytest.raises(ERRORS[name]) as raised:
            await asyncio.to_thread(LOOPS[name], root, ENDLESS, stream)
        recorded = await proxy.ended(len(provider.seen) + 1)
    assert_stopped_within_a_step(recorded, provider)
    # The run, too, unless its id has a figure in it that clients take for another error.
    assert "`tacho allow " in str(raised.value)
    assert len({each.open.run_id for each in recorded}) == 1
    assert "run exceeded its cost limit ($" in str(raised.value)
    assert f" of ${CAP}.00); to let " in str(raised.value)
    last = recorded[-1].close
    assert (last.verdict_policy, last.verdict_reason) == ("caps", "cost_limit")


async def test_the_backstop_stops_at_100_dollars_who_set_nothing(
    provider: Provider, data_dir: Path
):
    async with running(settings(data_dir, provider)) as proxy:
        root = f"http://127.0.0.1:{proxy.port}"
        with pytest.raises(openai.BadRequestError, match="exceeded its cost limit"):
            await asyncio.to_thread(LOOPS["chat"], root, ENDLESS, False)
        *went, refused = await proxy.ended(len(provider.seen) + 1)
    costs = [(each.close.cost.total() or 0) / PICO for each in went]
    assert sum(costs[:-1]) < 100 <= sum(costs)
    assert refused.close.verdict_policy == "backstop"


@BOTH
@pytest.mark.parametrize("family", MODELS)
async def test_calls_that_have_nothing_to_do_with_each_other_are_stopped_by_their_speed(
    family: str, stream: bool, provider: Provider, data_dir: Path
):
    speed = {"mode": "enforce", "cost_usd_per_minute": CAP, "cost_usd_per_hour": None}
    async with running(settings(data_dir, provider, spend_rate=speed)) as proxy:
        texts = [f"Tell me of tea {n}. <<plan: pad 1700>>" for n in range(MAX_STEPS)]
        last = await _one_by_one(proxy, family, texts, stream)
        recorded = await proxy.ended(len(provider.seen) + 1)
    assert_stopped_within_a_step(recorded, provider)
    assert last.status == 400
    assert last.headers["x-should-retry"] == "false"
    assert last.headers["x-tacho-verdict"] == "block;policy=spend_rate;reason=spends_too_fast"  # fmt: skip
    *went, refused = recorded
    assert len({each.open.run_id for each in went}) == len(went)  # a run each
    assert refused.open.run_id == ""
    assert json.loads(last.body)  # an error in the family's shape, not in a stream


@BOTH
@pytest.mark.parametrize("family", MODELS)
async def test_c19_the_same_question_again_and_again_is_stopped_at_n_exactly(
    family: str, stream: bool, provider: Provider, data_dir: Path
):
    same = {"mode": "enforce", "same_requests": 7, "cost_usd_per_minute": None, "cost_usd_per_hour": None}  # fmt: skip
    async with running(settings(data_dir, provider, spend_rate=same, backstop={"mode": "off"})) as proxy:  # fmt: skip
        texts = ["What is tea? <<plan: pad 10>>"] * MAX_STEPS
        last = await _one_by_one(proxy, family, texts, stream)
        recorded = await proxy.ended(len(provider.seen) + 1)
    assert [each.end.outcome for each in recorded] == ["completed"] * 7 + ["blocked"]
    assert len(provider.seen) == 7
    assert last.headers["x-tacho-verdict"] == "block;policy=spend_rate;reason=same_request"  # fmt: skip


async def _one_by_one(proxy: Proxy, family: str, texts: list[str], stream: bool) -> Raw:
    """Ask until a call is refused, and give the refusal."""
    path = f"/{ROUTES.get(family, 'openai')}{path_of(family, stream=stream)}"
    root = f"http://127.0.0.1:{proxy.port}"
    for text in texts:
        body = asking(family, text, stream=stream, tools=False)
        answered = await asyncio.to_thread(call, root, path, body)
        if answered.status != 200:
            return answered
    raise AssertionError("nothing was refused")
