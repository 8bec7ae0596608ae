"""Caps and budgets through the whole proxy: how many calls pass, what they may spend, and what an agent sees."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.config import RouteSettings, Settings
from proxy.judge.bench import Bench
from proxy.judge.settings import PolicySettings
from tests.helpers import sse
from tests.helpers.counted import counted, dropped
from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.records import read_spool
from tests.helpers.wire import STREAM_HEAD, Message, chunk, request, response

JSON = (b"Content-Type", b"application/json")
CHAT = b"/openai/v1/chat/completions"


def answer(prompt: int = 1000, completion: int = 1000) -> bytes:
    """Give a chat answer; of gpt-4o a thousand tokens each cost 0.0125 dollars."""
    body = {
        "id": "c1",
        "object": "chat.completion",
        "model": "gpt-4o",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi."}}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
    }  # fmt: skip
    return response(json.dumps(body).encode(), JSON)


def ask(run: str, number: int, max_tokens: int = 1000) -> bytes:
    body = {
        "model": "gpt-4o",
        "max_tokens": max_tokens,
        "messages": [{"role": "user", "content": f"{number}: " + "word " * 700}],
    }
    path = b"/run/%b" % run.encode() + CHAT
    return request(path, JSON, method=b"POST", body=json.dumps(body).encode())


def governed(data_dir: Path, origin: RawOrigin, **policies: Any) -> Settings:
    """Give settings with these policies."""
    made = msgspec.convert(policies, PolicySettings)
    return settings_for(data_dir, origin, policies=made)


async def all_at_once(proxy: Proxy, sent: list[bytes]) -> list[Message]:
    return await asyncio.gather(*(proxy.call(each) for each in sent))


def verdicts_of(proxy: Proxy) -> dict[tuple[str, ...], float]:
    """Give how many verdicts there were by policy and action."""
    assert proxy.worker is not None
    found = counted(proxy.worker.telemetry, "tacho_verdicts_total")
    return {labels[2:]: count for labels, count in found.items()}


def statuses(answers: list[Message]) -> dict[int, int]:
    found: dict[int, int] = {}
    for each in answers:
        found[each.status] = found.get(each.status, 0) + 1
    return found


async def test_c01_and_c03_a_hundred_calls_at_once_of_a_new_run_against_ten_steps_are_ten(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = always(answer())
    settings = governed(data_dir, origin, caps={"mode": "enforce", "steps": 10})
    async with running(settings) as proxy:
        answers = await all_at_once(proxy, [ask("r1", n) for n in range(100)])
        assert statuses(answers) == {200: 10, 400: 90}
        assert len(origin.requests) == 10
        rows = await proxy.ended(100)
        verdicts = verdicts_of(proxy)
    told = json.loads(next(each.body for each in answers if each.status == 400))
    assert (
        "run exceeded its step limit (10 of 10); to let it go on: `tacho allow r1`"
        in told["error"]["message"]
    )
    blocked = [each for each in rows if each.close.verdict_action == "block"]
    assert len(blocked) == 90
    first = blocked[0]
    assert (first.open.run_id, first.open.step_seq) == ("r1", None)
    assert (first.end.outcome, first.close.verdict_policy) == ("blocked", "caps")
    assert (first.close.verdict_reason, first.close.http_status) == ("step_limit", 400)
    assert first.close.cost.total() is None
    passed = [each for each in rows if each.end.outcome == "completed"]
    assert sorted(each.open.step_seq or 0 for each in passed) == list(range(1, 11))
    assert verdicts[("caps", "block")] == 90
    _, events = await asyncio.to_thread(read_spool, data_dir)
    told_of = [each for each in events if each.action == "block"]
    assert len(told_of) == 20  # a run and minute; the others are counted
    assert {(each.type, each.policy, each.run_id, each.value, each.threshold) for each in told_of} == {("cap", "caps", "r1", "10", "10")}  # fmt: skip


COST_NANO = 12_500_000
"""Of one of these answers."""


async def test_c03_a_hundred_calls_at_once_of_no_known_run_meet_the_budget_of_all(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = always(answer())
    budget = {"name": "all", "per": "caller", "period": "day", "mode": "enforce", "steps": 10}  # fmt: skip
    async with running(governed(data_dir, origin, budgets=[budget])) as proxy:
        sent = [ask("x", n).replace(b"/run/x", b"") for n in range(100)]
        assert statuses(await all_at_once(proxy, sent)) == {200: 10, 400: 90}
        assert len(origin.requests) == 10
        assert proxy.worker is not None
        assert len(list(proxy.worker._runs.runs())) == 10


async def test_c01_a_dollar_cap_worth_ten_holds_within_its_bound(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = always(answer())
    settings = governed(data_dir, origin, caps={"mode": "enforce", "cost_usd": 0.125})
    async with running(settings) as proxy:
        answers = await all_at_once(proxy, [ask("r1", n) for n in range(100)])
        spent = statuses(answers)[200] * COST_NANO
        # What is reserved for one of these is a little less than it costs: together less than one of them.
        assert 5 * COST_NANO <= spent <= 125_000_000 + COST_NANO
        assert set(statuses(answers)) <= {200, 400, 503}
        busy = [each for each in answers if each.status == 503]
        assert all(each.get(b"retry-after") == b"2" for each in busy)
        one_by_one = [await proxy.call(ask("r1", n)) for n in range(100, 120)]
        final = [each for each in one_by_one if each.status == 400]
        assert final
        assert final[0].get(b"x-should-retry") == b"false"
        total = statuses(answers)[200] + statuses(one_by_one).get(200, 0)
        # Alone, a call passes as long as anything is left.
        assert total * COST_NANO <= 125_000_000 + COST_NANO
        assert total >= 10


@pytest.mark.parametrize("count", [1000, pytest.param(10_000, marks=[pytest.mark.big, pytest.mark.timeout(300)])])  # fmt: skip
async def test_c05_calls_at_99_percent_of_every_cap_are_never_refused(
    count: int, origin: RawOrigin, data_dir: Path
):
    origin.handler = always(answer())
    most = -(-count * 100 // 99)
    spent = {"cost_usd": most * COST_NANO / 1e9, "tokens": most * 2000}
    caps = {"mode": "enforce", "steps": most, "attempts": most, **spent, "turn": {}}
    settings = governed(data_dir, origin, caps=caps, backstop={"mode": "off"})
    async with running(settings) as proxy:
        found: dict[int, int] = {}
        for begin in range(0, count, 20):
            sent = [ask("r1", n) for n in range(begin, begin + 20)]
            for status, times in statuses(await all_at_once(proxy, sent)).items():
                found[status] = found.get(status, 0) + times
        assert found == {200: count}


async def test_c18_what_observes_changes_no_byte_and_says_what_it_would_have_done(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = always(answer())
    policies: dict[str, Any] = {"caps": {"steps": 1, "cost_usd": 0.001, "wall_seconds": 0.000001}, "repeat": {"warn": 2, "block": 2}}  # fmt: skip
    async with running(governed(data_dir, origin, **policies)) as proxy:
        observed = [await proxy.call(ask("r1", 0)) for _ in range(4)]
        rows = await proxy.ended(4)
    sent = [bytes(each.body) for each in origin.requests]
    async with running(governed(data_dir.parent / "off", origin, **OFF)) as proxy:
        plain = [await proxy.call(ask("r1", 0)) for _ in range(4)]
    assert [(each.status, each.headers, each.body) for each in observed] == [(each.status, each.headers, each.body) for each in plain]  # fmt: skip
    assert sent == [bytes(each.body) for each in origin.requests[4:]]
    assert [each.close.verdict_action for each in rows] == ["warn", *["would_block"] * 3]  # fmt: skip
    assert {each.end.outcome for each in rows} == {"completed"}


OFF: dict[str, Any] = {
    name: {"mode": "off"}
    for name in ("backstop", "caps", "spend_rate", "repeat", "cycle", "same_error", "no_progress", "breaker", "rate_gate", "quota_gate")
}  # fmt: skip


@pytest.mark.blocking_allowed  # a reload reads the file
async def test_c20_new_caps_hold_at_once_and_what_was_counted_stands(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = always(answer())
    path = data_dir.parent / "settings.yaml"
    settings = governed(data_dir, origin, caps={"mode": "enforce", "steps": 3})

    def write(steps: int) -> None:
        made = msgspec.structs.replace(settings, policies=msgspec.convert({"caps": {"mode": "enforce", "steps": steps}}, PolicySettings))  # fmt: skip
        path.write_text(json.dumps(msgspec.to_builtins(made)))

    async with running(settings) as proxy:
        assert proxy.worker is not None
        assert [(await proxy.call(ask("r1", n))).status for n in range(4)] == [200, 200, 200, 400]  # fmt: skip
        for steps, expected in ((5, [200, 200, 400]), (2, [400]), (6, [200, 400])):
            await asyncio.to_thread(write, steps)
            proxy.worker.reload(str(path))
            answers = [await proxy.call(ask("r1", 9)) for _ in expected]
            assert [each.status for each in answers] == expected


@pytest.mark.parametrize(("on_error", "status"), [("allow", 200), ("block", 503)])
@pytest.mark.parametrize("fault", ["claims", "verdict"])
async def test_c21_a_policy_that_raises_is_counted_and_the_settings_say_what_follows(
    on_error: str,
    status: int,
    fault: str,
    origin: RawOrigin,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    def raising(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    origin.handler = always(answer())
    async with running(governed(data_dir, origin, on_error=on_error)) as proxy:
        monkeypatch.setattr(Bench, fault, raising)
        assert (await proxy.call(ask("r1", 0))).status == status
        assert dropped(proxy.worker)["fault_judge"] == 1
        monkeypatch.undo()
        assert (await proxy.call(ask("r1", 1))).status == 200


async def test_a_budget_is_shared_by_runs_and_outlives_the_worker(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = always(answer())
    budget = {"name": "team", "per": "tenant", "period": "month", "mode": "enforce", "steps": 3}  # fmt: skip
    settings = governed(data_dir, origin, budgets=[budget])
    async with running(settings) as proxy:
        assert [(await proxy.call(ask(f"r{n}", n))).status for n in range(2)] == [200, 200]  # fmt: skip
    async with running(settings) as proxy:
        answers = [await proxy.call(ask(f"s{n}", n)) for n in range(2)]
        assert [each.status for each in answers] == [200, 400]
        rows = await proxy.ended(4)
    assert rows[-1].close.verdict_policy == "budgets:team"
    assert rows[-1].open.run_id == "s1"


async def test_c19_a_loop_is_refused_though_its_steps_were_within_all_caps(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = always(answer())
    settings = governed(data_dir, origin, repeat={"mode": "enforce", "warn": 2, "block": 3})  # fmt: skip
    async with running(settings) as proxy:
        messages: list[dict[str, Any]] = [{"role": "user", "content": "Go."}]
        found = []
        for number in range(5):
            body = json.dumps({"model": "gpt-4o", "messages": messages}).encode()
            sent = request(b"/run/r1" + CHAT, JSON, method=b"POST", body=body)
            found.append((await proxy.call(sent)).status)
            call = {"id": f"call_{number}abcdefgh", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}  # fmt: skip
            messages += [
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": call["id"], "content": f"{number}"},
            ]
        rows = await proxy.ended(5)
    assert found == [200, 200, 200, 400, 400]
    assert [each.close.verdict_reason for each in rows] == ["", "", "repeated_call", "repeated_call", "repeated_call"]  # fmt: skip
    assert [each.open.step_seq for each in rows] == [1, 2, 3, None, None]


async def test_a_refused_call_begins_no_run(origin: RawOrigin, data_dir: Path):
    origin.handler = always(answer())
    budget = {"name": "all", "per": "caller", "period": "day", "mode": "enforce", "steps": 1}  # fmt: skip
    async with running(governed(data_dir, origin, budgets=[budget])) as proxy:
        sent = [ask("x", n).replace(b"/run/x", b"") for n in range(4)]
        found = [(await proxy.call(each)).status for each in sent]
        rows = await proxy.ended(4)
        assert proxy.worker is not None
        (run,) = proxy.worker._runs.runs()
    assert found == [200, 400, 400, 400]
    assert [each.open.run_id for each in rows] == [run.run_id, "", "", ""]
    assert {each.open.run_source for each in rows[1:]} == {"none"}
    assert run.step_seq == 1


async def test_a_refused_tool_call_of_mcp_is_a_result_that_says_so(
    origin: RawOrigin, data_dir: Path
):
    settings = governed(data_dir, origin, caps={"mode": "enforce", "tool_calls": 0})
    routes = {**settings.routes, "tools": RouteSettings(url=origin.url, kind="mcp")}
    message = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "f", "arguments": {}}}  # fmt: skip
    accept = (b"Accept", b"application/json, text/event-stream")
    sent = request(b"/run/r1/tools/mcp", JSON, accept, method=b"POST", body=json.dumps(message).encode())  # fmt: skip
    async with running(msgspec.structs.replace(settings, routes=routes)) as proxy:
        answered = await proxy.call(sent)
        row = await proxy.only()
    said = json.loads(answered.body)
    assert (answered.status, said["id"], said["result"]["isError"]) == (200, 7, True)
    assert "limit of tool calls" in said["result"]["content"][0]["text"]
    assert (row.end.outcome, row.close.http_status) == ("blocked", 200)
    assert not origin.requests


async def test_c02_what_was_not_billed_takes_nothing_of_a_cap(
    origin: RawOrigin, data_dir: Path
):
    """Of a cap worth ten calls, ten are left after any number that the provider refuses or breaks off before it answers."""
    settings = governed(data_dir, origin, caps={"mode": "enforce", "cost_usd": 0.125})
    no = response(b'{"error":{"message":"no"}}', JSON, status=b"400 Bad Request")

    async def unbilled(exchange: Exchange) -> None:
        if len(origin.requests) % 2:
            await exchange.send(no)
        else:
            exchange.reset()

    origin.handler = unbilled
    async with running(settings) as proxy:
        found = [(await proxy.call(ask("r1", n))).status for n in range(30)]
        assert found == [400, 502] * 15
        origin.handler = always(answer())
        found = [(await proxy.call(ask("r1", n))).status for n in range(12)]
        assert found == [200] * 10 + [400] * 2


async def test_c08_attempts_with_one_key_are_one_step_and_another_key_is_another(
    origin: RawOrigin, data_dir: Path
):
    fail = response(b'{"error":{"message":"x"}}', JSON, status=b"500 Internal Server Error")  # fmt: skip
    caps = {"mode": "enforce", "steps": 2, "attempts": 5}

    def keyed(key: bytes, number: int) -> bytes:
        again = b"x-stainless-retry-count: %d" % number
        given = b"Idempotency-Key: stainless-python-retry-%b\r\n%b\r\n" % (key, again)
        return ask("r1", 1).replace(b"Content-Type", given + b"Content-Type", 1)

    async with running(governed(data_dir, origin, caps=caps)) as proxy:
        for key in (b"one", b"two"):
            for number in range(3):
                origin.handler = always(fail if number < 2 else answer())
                await proxy.call(keyed(key, number))
        rows = await proxy.ended(6)
    placed = [(each.open.step_seq, each.open.attempt) for each in rows]
    assert placed == [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (None, 0)]
    assert [len({each.open.step_id for each in part}) for part in (rows[:3], rows[3:5])] == [1, 1]  # fmt: skip
    last = rows[-1].close
    assert (last.verdict_action, last.verdict_reason) == ("block", "attempt_limit")
    assert len(origin.requests) == 5


async def test_c02_aborting_streams_is_no_way_around_a_cap(
    origin: RawOrigin, data_dir: Path
):
    go = asyncio.Event()

    async def endless(exchange: Exchange) -> None:
        await exchange.send(STREAM_HEAD, chunk(sse.openai_text("word " * 400)))
        await go.wait()

    origin.handler = endless
    settings = governed(data_dir, origin, caps={"mode": "enforce", "cost_usd": 0.01})
    async with running(settings) as proxy:
        for number in range(3):
            async with await proxy.connect() as client:
                await client.send(
                    sse.openai_ask().replace(b"/openai", b"/run/r1/openai", 1)
                )
                await client.final_head()
                await client.chunk()
            await proxy.ended(number + 1)
        refused = await proxy.call(ask("r1", 1))
        go.set()
    assert refused.status == 400
    assert b"cost limit" in refused.body
