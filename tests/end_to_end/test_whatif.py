"""A replay of what a worker recorded says what the worker itself said, or says under other settings.

The same agents call through a worker that observes, and through one that enforces. Its rows are made by the product, without a store between.
"""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.judge.settings import PolicySettings
from proxy.replay.policies import Reading
from proxy.replay.replayer import Replayer
from proxy.replay.rows import Call
from tests.helpers.origin import Exchange, RawOrigin
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.records import Recorded, read_spool
from tests.helpers.replayed import calls_of, replayed, rows_of, steps_of, stops
from tests.helpers.wire import request, response

JSON = (b"Content-Type", b"application/json")
STEPS = 14
RUNS = ("each", "same", "round", "dear", "torn", "chat")
"""How each run's agent calls its tool: always otherwise, always alike, in turn; with long answers, failing first; not at all."""
OFF = ("same_error", "no_progress", "breaker", "rate_gate", "quota_gate", "spend_rate")


def arguments(run: str, step: int) -> str:
    return json.dumps({"at": {"same": 0, "round": step % 2}.get(run, step)})


def answer(run: str, step: int) -> bytes:
    """Give the answer of a step; of gpt-4o a thousand tokens cost 0.0025 dollars in, 0.01 out."""
    call = {"id": f"call_{run}_{step}_abcdef", "type": "function", "function": {"name": "look", "arguments": arguments(run, step)}}  # fmt: skip
    said: dict[str, Any] = {"role": "assistant", "content": f"Step {step}."}
    if run != "chat":
        said["tool_calls"] = [call]
    output = 5000 if run == "dear" else 100 + 10 * step
    usage = {"prompt_tokens": 1000, "completion_tokens": output, "total_tokens": 1000 + output}  # fmt: skip
    choice = {"index": 0, "finish_reason": "stop" if run == "chat" else "tool_calls", "message": said}  # fmt: skip
    body = {"id": f"c-{run}-{step}", "object": "chat.completion", "model": "gpt-4o", "choices": [choice], "usage": usage}  # fmt: skip
    return response(json.dumps(body).encode(), JSON)


@dataclass
class Provider:
    """Answers by what is asked; the third step of one run fails once."""

    failed: set[str] = field(default_factory=set)

    async def __call__(self, exchange: Exchange) -> None:
        asked = json.loads(await exchange.read_body())
        run = asked["messages"][0]["content"]
        step = sum(each["role"] == "assistant" for each in asked["messages"])
        if run == "torn" and step == 3 and run not in self.failed:
            self.failed.add(run)
            await exchange.send(response(b'{"error": {"message": "Oops."}}', JSON, status=b"500 Oops"))  # fmt: skip
            return
        await exchange.send(answer(run, step))


@dataclass
class Agent:
    """Goes on until it is refused or has made its steps."""

    run: str
    messages: list[dict[str, Any]]
    made: int = 0
    is_over: bool = False

    async def step(self, proxy: Proxy) -> None:
        """Ask, a second time where that fails, and call the tool that the answer names."""
        if self.is_over or self.made == STEPS:
            return
        body = json.dumps({"model": "gpt-4o", "messages": self.messages}).encode()
        path = b"/agent/%b/run/%b/openai/v1/chat/completions" % (self.run.encode(), self.run.encode())  # fmt: skip
        sent = request(path, JSON, method=b"POST", body=body)
        answered = await proxy.call(sent)
        if answered.status == 500:
            answered = await proxy.call(sent)
        if answered.status != 200:
            self.is_over = True
            return
        self.made += 1
        said = json.loads(answered.body)["choices"][0]["message"]
        self.messages.append(said)
        for each in said.get("tool_calls", ()):
            self.messages.append({"role": "tool", "tool_call_id": each["id"], "content": f"found {self.made}"})  # fmt: skip
        if not said.get("tool_calls"):
            self.messages.append({"role": "user", "content": f"And {self.made}?"})


async def played(origin: RawOrigin, data_dir: Path, policies: PolicySettings) -> list[Recorded]:  # fmt: skip
    """Have all agents call in turn; give what was recorded."""
    origin.handler = Provider()
    agents = [Agent(run, [{"role": "user", "content": run}]) for run in RUNS]
    settings = settings_for(data_dir, origin, policies=policies)
    async with running(settings) as proxy:
        for _ in range(STEPS):
            for agent in agents:
                await agent.step(proxy)
    # A refusal is answered before its records are written: they are once the worker has stopped.
    recorded, _ = await asyncio.to_thread(read_spool, data_dir)
    return recorded


def policies_of(mode: str, **changes: Any) -> dict[str, Any]:
    off = {name: {"mode": "off"} for name in OFF}
    named = {name: {"mode": mode, **each} for name, each in changes.items() if name != "budgets"}  # fmt: skip
    budgets = [{"mode": mode, **each} for each in changes.get("budgets", ())]
    return {
        **off,
        "backstop": {"mode": "off"},
        "tool_calls": {"mode": "off"},
        **named,
        "budgets": budgets,
    }


def recorded_calls(recorded: list[Recorded]) -> list[Call]:
    return calls_of(rows_of(steps_of(recorded)))


def first_verdicts(recorded: list[Recorded], action: str) -> dict[str, tuple[str, str, str]]:  # fmt: skip
    """Give of each run the first call of which the worker said this: its id, the policy and the reason."""
    found: dict[str, tuple[str, str, str]] = {}
    for each in sorted(recorded, key=lambda one: one.open.ts_us):
        if each.close.verdict_action == action:
            said = (each.open.attempt_id, each.close.verdict_policy, each.close.verdict_reason)  # fmt: skip
            found.setdefault(each.open.run_id, said)
    return found


def stopped_calls(replayer: Replayer) -> dict[str, tuple[str, str, str]]:
    return {
        each.run: (each.stop.call.row.attempt_id, each.stop.verdict.policy, str(each.stop.verdict.reason))
        for each in replayer.tallies.values()
        if each.stop is not None
    }  # fmt: skip


CAPS: dict[str, Any] = {"steps": 11, "cost_usd": 0.2, "attempts": 9, "turn": {"tokens": 9000}}  # fmt: skip
SETTINGS: dict[str, dict[str, Any]] = {
    "steps": {"caps": {"steps": 6, "turn": {}}},
    "dollars": {"caps": {"cost_usd": 0.06, "turn": {}}},
    "attempts": {"caps": {"attempts": 9, "turn": {}}},
    "tokens of a turn": {"caps": {"turn": {"tokens": 9000}}},
    "loops": {"caps": {"turn": {}}, "repeat": {"warn": 2, "block": 4}, "cycle": {"warn": 2, "block": 3}},
    "by agent": {"caps": {"turn": {}, "when": [{"agent": "d*", "steps": 2}, {"agent": "chat", "mode": "off"}], "steps": 9}},
    "many": {"caps": CAPS, "repeat": {"warn": 2, "block": 5}, "cycle": {"warn": 2, "block": 4}},
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
async def test_the_same_settings_stop_each_run_where_the_observing_worker_said_so(
    name: str, origin: RawOrigin, data_dir: Path
):
    policies = policies_of("observe", **SETTINGS[name])
    recorded = await played(origin, data_dir, msgspec.convert(policies, PolicySettings))
    replay = replayed(recorded_calls(recorded), **policies)
    said = first_verdicts(recorded, "would_block")
    assert said
    assert stopped_calls(replay) == said


BUDGET = {"name": "team", "per": "tenant", "period": "month"}
SHARED: dict[str, dict[str, Any]] = {
    **SETTINGS,
    "a budget of dollars": {"budgets": [{**BUDGET, "cost_usd": 0.5}], "caps": {"steps": 9, "turn": {}}},
    "a budget of steps": {"budgets": [{**BUDGET, "steps": 40}], "repeat": {"warn": 2, "block": 4}},
}  # fmt: skip


@pytest.mark.parametrize("name", SHARED)
async def test_other_settings_stop_each_run_where_a_worker_that_enforces_them_does(
    name: str, origin: RawOrigin, data_dir: Path
):
    plain = msgspec.convert(policies_of("off"), PolicySettings)
    recorded = await played(origin, data_dir / "plain", plain)
    policies = policies_of("enforce", **SHARED[name])
    enforced = await played(origin, data_dir / "enforced", msgspec.convert(policies, PolicySettings))  # fmt: skip
    replay = replayed(recorded_calls(recorded), reading="enforced", **policies)
    blocked = first_verdicts(enforced, "block")
    assert blocked
    assert {run: each[1:] for run, each in stops(replay).items()} == {run: each[1:] for run, each in blocked.items()}  # fmt: skip
    spent = spent_of(enforced)
    assert {each.run: (each.made.calls, each.made.pico) for each in replay.tallies.values()} == spent  # fmt: skip
    whole = spent_of(recorded)
    assert {each.run: each.made.pico + each.saved.pico for each in replay.tallies.values()} == {run: pico for run, (_, pico) in whole.items()}  # fmt: skip


@pytest.mark.parametrize("reading", ["all", "enforced"])
async def test_what_a_worker_refused_is_refused_again_at_the_same_call(
    reading: Reading, origin: RawOrigin, data_dir: Path
):
    policies = policies_of("enforce", **SHARED["many"])
    enforced = await played(origin, data_dir, msgspec.convert(policies, PolicySettings))
    replay = replayed(recorded_calls(enforced), reading=reading, **policies)
    assert len(stopped_calls(replay)) > 1
    assert stopped_calls(replay) == first_verdicts(enforced, "block")
    assert sum(each.saved.pico for each in replay.tallies.values()) == 0


async def test_of_calls_at_once_as_many_are_made_as_a_worker_lets_through(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = Provider()
    policies = policies_of("observe", caps={"steps": 10, "turn": {}})
    settings = settings_for(data_dir, origin, policies=msgspec.convert(policies, PolicySettings))  # fmt: skip
    agents = [Agent("r1", [{"role": "user", "content": f"chat {n}"}]) for n in range(30)]  # fmt: skip
    async with running(settings) as proxy:
        await asyncio.gather(*(agent.step(proxy) for agent in agents))
    recorded, _ = await asyncio.to_thread(read_spool, data_dir)
    would_block = [each for each in recorded if each.close.verdict_action == "would_block"]  # fmt: skip
    assert len(would_block) == 20
    (tally,) = replayed(recorded_calls(recorded), **policies).tallies.values()
    assert (tally.made.calls, tally.saved.calls) == (10, 20)


def spent_of(recorded: list[Recorded]) -> dict[str, tuple[int, int]]:
    """Give calls that were made and pico-dollars, by run."""
    calls: Counter[str] = Counter()
    spent: Counter[str] = Counter()
    for each in steps_of(recorded):
        calls[each.run_id] += each.outcome != "blocked"
        spent[each.run_id] += int(Decimal(each.cost_usd or 0) * 10**12)
    return {run: (calls[run], spent[run]) for run in calls}
