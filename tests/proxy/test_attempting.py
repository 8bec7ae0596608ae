"""Attempts that the proxy makes for one request: their rows, their judgement, and the one answer that the agent sees."""

import asyncio
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.attempting import Step, Way
from proxy.forward.http1 import AnswerHead
from proxy.forward.watch import Ending
from proxy.judge.settings import PolicySettings
from tests.helpers import sse
from tests.helpers.counted import counted, dropped
from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.proxy import Proxy, running, settings_for
from tests.helpers.records import read_spool, until
from tests.helpers.wire import CutError, Message, request, response

JSON = (b"Content-Type", b"application/json")
BUSY = response(b'{"error":{"message":"busy","type":"server_error"}}', JSON, (b"X-Which", b"first"), status=b"503 Service Unavailable")  # fmt: skip


def answered(text: str = "Hi.") -> bytes:
    body = {
        "id": "c1", "object": "chat.completion", "model": "gpt-4o",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000},
    }  # fmt: skip
    return response(json.dumps(body).encode(), JSON)


class Again:
    """Makes another attempt of the same request while `times` last; keeps answers of 500 and above, or all."""

    def __init__(self, times: int = 1, **way: Any) -> None:
        self.times = times
        self.way = way
        self.wanted: bytes | None = None
        self.room = 1 << 16

    def began(self, step: Step) -> None:
        """See `Finder`."""

    def keeps(self, step: Step, head: AnswerHead) -> int:
        if self.wanted is not None:
            step.ledger.wanted, self.wanted = self.wanted, None
            return self.room
        return self.room if head.status >= 500 else 0

    def find(self, step: Step, ending: Ending) -> Way | None:
        self.times -= 1
        is_over = self.times < 0 or step.refused
        return None if is_over else Way(step.accepted, **self.way)


def going_on(proxy: Proxy, again: Again) -> Again:
    assert proxy.worker is not None
    proxy.worker.pipeline.attempting.finders = (again,)
    return again


def in_turn(*answers: bytes) -> Callable[[Exchange], Any]:
    left = list(answers)

    async def answer(exchange: Exchange) -> None:
        await exchange.send(left.pop(0) if len(left) > 1 else left[0])

    return answer


def ask(*headers: tuple[bytes, bytes], text: str = "Say hello.", **more: Any) -> bytes:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **more}
    return request(b"/run/r1/openai/v1/chat/completions", JSON, *headers, method=b"POST", body=json.dumps(body).encode())  # fmt: skip


def place(rows: list[Any]) -> list[tuple[Any, ...]]:
    return [(each.open.attempt, each.open.step_seq, each.open.retry_layer, each.end.outcome) for each in rows]  # fmt: skip


async def test_the_agent_sees_one_answer_and_each_attempt_has_a_row(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = in_turn(BUSY, answered())
    settings = settings_for(data_dir, origin, response_headers=True)
    async with running(settings) as proxy:
        going_on(proxy, Again())
        answer = await proxy.call(ask())
        rows = await proxy.ended(2)
        assert proxy.worker is not None
        retries = counted(proxy.worker.telemetry, "tacho_retries_total")
        steps = counted(proxy.worker.telemetry, "tacho_steps_total")
        inflight = counted(proxy.worker.telemetry, "tacho_inflight")
    assert (answer.status, answer.get(b"x-which")) == (200, None)
    assert (answer.get(b"x-tacho-attempt"), answer.get(b"x-tacho-run")) == (b"1", b"r1")
    assert place(rows) == [(0, 1, "", "upstream_error"), (1, 1, "proxy", "completed")]
    first, second = rows
    assert first.open.step_id == second.open.step_id == first.attempt_id
    assert (first.close.http_status, second.close.http_status) == (503, 200)
    assert first.close.cost.total() is None or first.close.cost.total() == 0
    assert second.close.cost.total()
    assert second.open.ts_us >= first.open.ts_us
    assert first.open.span_id != second.open.span_id
    assert [labels[-1] for labels in retries] == ["proxy"]
    assert sum(steps.values()) == 1
    assert not any(inflight.values())
    assert [each.body for each in origin.requests] == [origin.requests[0].body] * 2


async def test_an_answer_that_no_attempt_replaces_is_given_byte_for_byte(
    origin: RawOrigin, proxy: Proxy
):
    origin.handler = always(BUSY)
    plain = await proxy.call(ask())
    going_on(proxy, Again(0))
    kept = await proxy.call(ask(text="Again."))
    going_on(proxy, Again(0)).room = 3
    too_long = await proxy.call(ask(text="Too long."))
    for each in (kept, too_long):
        assert (each.start, each.headers, each.body) == (plain.start, plain.headers, plain.body)  # fmt: skip
    rows = await proxy.ended(3)
    assert [each.end.outcome for each in rows] == ["upstream_error"] * 3
    assert [each.end.response_bytes for each in rows] == [len(plain.body)] * 3


async def test_an_answer_that_breaks_off_reaches_the_agent_broken_off(
    origin: RawOrigin, proxy: Proxy
):
    async def cut(exchange: Exchange) -> None:
        await exchange.send(BUSY[:-10])
        exchange.close()

    origin.handler = cut
    going_on(proxy, Again(0))
    async with await proxy.connect() as client:
        await client.send(ask())
        head = await client.final_head()
    assert head.status == 503
    (row,) = await proxy.ended(1)
    assert (row.end.outcome, row.close.http_status) == ("upstream_abort", 503)


@pytest.mark.parametrize("what", ["began", "keeps", "find"])
async def test_a_fault_in_finding_another_attempt_costs_only_that(
    what: str, origin: RawOrigin, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
):
    def broken(*_: object) -> None:
        raise RuntimeError

    origin.handler = always(BUSY)
    monkeypatch.setattr(going_on(proxy, Again(0)), what, broken)
    answer = await proxy.call(ask())
    (row,) = await proxy.ended(1)
    assert (answer.status, answer.get(b"x-which")) == (503, b"first")
    assert row.end.outcome == "upstream_error"
    assert dropped(proxy.worker)["fault_judge"] == 1


async def test_a_retry_of_the_agent_counts_on_from_the_proxys(
    origin: RawOrigin, proxy: Proxy
):
    origin.handler = always(BUSY)
    going_on(proxy, Again(2))
    assert (await proxy.call(ask())).status == 503
    origin.handler = always(answered())
    again = (b"x-stainless-retry-count", b"1")
    assert (await proxy.call(ask(again))).status == 200
    rows = await proxy.ended(4)
    assert place(rows) == [
        (0, 1, "", "upstream_error"), (1, 1, "proxy", "upstream_error"), (2, 1, "proxy", "upstream_error"),
        (3, 1, "sdk", "completed"),
    ]  # fmt: skip
    assert len({each.open.step_id for each in rows}) == 1


async def test_the_run_goes_on_from_the_attempt_that_the_agent_saw(
    origin: RawOrigin, proxy: Proxy
):
    origin.handler = in_turn(BUSY, answered("A word that nobody else says."))
    going_on(proxy, Again())
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Begin."}]}
    await proxy.call(sse.post(b"/openai/v1/chat/completions", json.dumps(body).encode()))  # fmt: skip
    body["messages"] += [  # type: ignore[operator]
        {"role": "assistant", "content": "A word that nobody else says."},
        {"role": "user", "content": "Go on."},
    ]
    await proxy.call(sse.post(b"/openai/v1/chat/completions", json.dumps(body).encode()))  # fmt: skip
    rows = await proxy.ended(3)
    assert len({each.open.run_id for each in rows}) == 1
    assert [(each.open.step_seq, each.open.attempt) for each in rows] == [(1, 0), (1, 1), (2, 0)]  # fmt: skip


async def test_each_attempt_is_judged_in_its_own_right(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = always(BUSY)
    made = msgspec.convert({"caps": {"mode": "enforce", "attempts": 2}}, PolicySettings)
    async with running(settings_for(data_dir, origin, policies=made)) as proxy:
        going_on(proxy, Again(9))
        answer = await proxy.call(ask())
        rows = await proxy.ended(2)
    assert (answer.status, answer.get(b"x-which")) == (503, b"first")
    assert len(origin.requests) == 2
    assert place(rows) == [(0, 1, "", "upstream_error"), (1, 1, "proxy", "upstream_error")]  # fmt: skip
    _, events = await asyncio.to_thread(read_spool, data_dir)
    assert [(each.policy, each.action) for each in events if each.type == "cap"] == [("caps", "warn"), ("caps", "block")]  # fmt: skip


async def test_an_agent_that_leaves_while_the_proxy_waits_ends_that(
    origin: RawOrigin, proxy: Proxy
):
    waiting = asyncio.Event()

    async def wait(_: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    origin.handler = always(BUSY)
    going_on(proxy, Again(wait_seconds=5.0))
    assert proxy.worker is not None
    proxy.worker.pipeline.attempting.sleep = wait
    async with await proxy.connect() as client:
        await client.send(ask())
        await waiting.wait()
    (row,) = await proxy.ended(1)
    assert (row.end.outcome, row.close.outcome) == ("client_abort", "upstream_error")
    assert proxy.worker.pipeline.under_way() == []
    assert len(origin.requests) == 1


# Another body, because of what the answer says.


async def asked_again(proxy: Proxy, origin: RawOrigin, **more: Any) -> Message:
    again = going_on(proxy, Again(0))
    again.wanted = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "Once more, please."}], **more}).encode()  # fmt: skip
    return await proxy.call(ask(**more))


async def test_an_answer_may_be_replaced_by_one_to_another_body(
    origin: RawOrigin, proxy: Proxy
):
    origin.handler = in_turn(answered("Bad."), answered("Good."))
    answer = await asked_again(proxy, origin)
    assert json.loads(answer.body)["choices"][0]["message"]["content"] == "Good."
    rows = await proxy.ended(2)
    assert place(rows) == [(0, 1, "", "completed"), (1, 1, "proxy", "completed")]
    assert all(each.close.cost.total() for each in rows)
    second = origin.requests[1]
    assert second.get(b"content-length") == b"%d" % len(second.body)
    assert b"Once more, please." in second.body


async def test_a_stream_may_go_on_with_another_attempts_events(
    origin: RawOrigin, proxy: Proxy
):
    parts = [sse.openai_text("one"), sse.openai_text("two", "stop"), sse.OPENAI_DONE]
    origin.handler = in_turn(sse.streamed(*parts), sse.streamed(*parts[1:]))
    again = going_on(proxy, Again())
    again.room = 0
    again.wanted = json.dumps({"model": "gpt-4o", "messages": [], "stream": True}).encode()  # fmt: skip
    answer = await proxy.call(ask(stream=True, stream_options={"include_usage": True}))
    assert b"".join(answer.chunks) == b"".join(parts + parts[1:])
    rows = await proxy.ended(2)
    assert [each.open.attempt for each in rows] == [0, 1]


@pytest.mark.parametrize("failure", ["refused", "cut", "blocked"])
async def test_the_answer_before_is_given_where_the_other_comes_to_nothing(
    failure: str, origin: RawOrigin, data_dir: Path
):
    async def handler(exchange: Exchange) -> None:
        if len(origin.requests) == 1:
            await exchange.send(answered("Once."))
        elif failure == "refused":
            await exchange.send(BUSY)
        else:
            exchange.reset()

    origin.handler = handler
    caps = {"mode": "enforce", "attempts": 1 if failure == "blocked" else 9}
    made = msgspec.convert({"caps": caps}, PolicySettings)
    async with running(settings_for(data_dir, origin, policies=made)) as proxy:
        answer = await asked_again(proxy, origin)
        await until(lambda: not proxy.worker.pipeline.under_way(), "all is written")  # type: ignore[union-attr]
        going_on(proxy, Again(0))
        origin.handler = always(answered())
        body = {"model": "gpt-4o", "messages": [
            {"role": "user", "content": "Say hello."}, {"role": "assistant", "content": "Once."}, {"role": "user", "content": "And now?"},
        ]}  # fmt: skip
        await proxy.call(request(b"/openai/v1/chat/completions", JSON, method=b"POST", body=json.dumps(body).encode()))  # fmt: skip
        rows = await proxy.ended(2 if failure == "blocked" else 3)
    assert json.loads(answer.body)["choices"][0]["message"]["content"] == "Once."
    # What the agent got is what the run goes on from.
    assert {each.open.run_id for each in rows} == {"r1"}


async def test_another_body_goes_without_the_content_coding_of_the_agents(
    origin: RawOrigin, proxy: Proxy
):
    origin.handler = in_turn(answered("Bad."), answered("Good."))
    again = going_on(proxy, Again(0))
    again.wanted = b'{"model":"gpt-4o","messages":[]}'
    coded = gzip.compress(
        b'{"model":"gpt-4o","messages":[{"role":"user","content":"x"}]}'
    )
    sent = request(b"/openai/v1/chat/completions", JSON, (b"Content-Encoding", b"gzip"), method=b"POST", body=coded)  # fmt: skip
    assert (await proxy.call(sent)).status == 200
    first, second = origin.requests
    assert (first.body, first.get(b"content-encoding")) == (coded, b"gzip")
    assert (second.body, second.get(b"content-encoding")) == (b'{"model":"gpt-4o","messages":[]}', None)  # fmt: skip


@pytest.mark.parametrize("failure", ["busy", "too long", "reset", "cut"])
async def test_a_stream_ends_as_it_was_where_no_other_events_come(
    failure: str, origin: RawOrigin, proxy: Proxy
):
    parts = [sse.openai_text("one"), sse.openai_text("two", "stop"), sse.OPENAI_DONE]

    async def handler(exchange: Exchange) -> None:
        if len(origin.requests) == 1:
            await exchange.send(sse.streamed(*parts))
        elif failure == "busy":
            await exchange.send(BUSY)
        elif failure == "too long":
            await exchange.send(response(b"x" * (2 << 20), JSON, status=b"500 No"))
        elif failure == "reset":
            exchange.reset()
        else:
            await exchange.send(BUSY[:-5])
            exchange.close()

    origin.handler = handler
    again = going_on(proxy, Again())
    again.room = 0
    again.wanted = b'{"model":"gpt-4o","messages":[],"stream":true}'
    answer = await proxy.call(ask(stream=True, stream_options={"include_usage": True}))
    assert b"".join(answer.chunks) == b"".join(parts)
    rows = await proxy.ended(2)
    assert [(each.open.attempt, each.end.outcome == "completed") for each in rows] == [(0, True), (1, False)]  # fmt: skip


async def test_a_stream_that_goes_on_and_breaks_off_reaches_the_agent_broken_off(
    origin: RawOrigin, proxy: Proxy
):
    parts = [sse.openai_text("one"), sse.openai_text("two", "stop"), sse.OPENAI_DONE]

    async def handler(exchange: Exchange) -> None:
        whole = sse.streamed(*parts)
        await exchange.send(whole if len(origin.requests) == 1 else whole[:-40])
        if len(origin.requests) > 1:
            exchange.reset()

    origin.handler = handler
    again = going_on(proxy, Again())
    again.room = 0
    again.wanted = b'{"model":"gpt-4o","messages":[],"stream":true}'
    with pytest.raises(CutError):
        await proxy.call(ask(stream=True, stream_options={"include_usage": True}))
    rows = await proxy.ended(2)
    assert [each.end.outcome for each in rows] == ["completed", "upstream_abort"]
