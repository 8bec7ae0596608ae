"""What an answer shows is remembered before the agent knows its end, and a fault in that never reaches the agent."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

from proxy.identify.facts import Fact
from proxy.state.memory import MemoryState
from proxy.trail import Trail
from tests.helpers import sse
from tests.helpers.origin import Exchange, RawOrigin, always
from tests.helpers.pipelines import Piped, piped
from tests.helpers.proxy import Proxy, settings_for
from tests.helpers.wire import (
    LAST_CHUNK,
    STREAM_HEAD,
    Message,
    chunk,
    request,
    response,
)

JSON = (b"Content-Type", b"application/json")
pytestmark = pytest.mark.blocking_allowed  # wiring a pipeline reads the price table
HELLO = {"role": "user", "content": "Hello."}
REPLY = {"role": "assistant", "content": "Good day."}
ON = {"role": "user", "content": "Go on."}
ANSWER = json.dumps({"id": "c1", "choices": [{"message": REPLY, "finish_reason": "stop"}]}).encode()  # fmt: skip


def asking(*messages: Any, headers: Sequence[tuple[bytes, bytes]] = (), **more: Any) -> bytes:  # fmt: skip
    body = json.dumps({"model": "gpt-4o", "messages": messages, **more}).encode()
    return request(
        b"/openai/v1/chat/completions", JSON, *headers, method=b"POST", body=body
    )


async def called(made: Piped, sent: bytes) -> Message:
    async with await made.port.connect() as client:
        return await client.call(sent)


async def test_the_next_request_finds_its_run_while_the_stream_is_still_open(
    origin: RawOrigin, proxy: Proxy
):
    over = asyncio.Event()

    async def handler(exchange: Exchange) -> None:
        if b"Go on." in exchange.request.body:
            await exchange.send(response(ANSWER, JSON))
            over.set()
            return
        said = sse.openai_text("Good day.", "stop")
        await exchange.send(STREAM_HEAD, chunk(said), chunk(sse.OPENAI_DONE))
        await over.wait()
        await exchange.send(LAST_CHUNK)

    origin.handler = handler
    async with await proxy.connect() as client:
        await client.send(asking(HELLO, stream=True))
        await client.final_head()
        body = b""
        while not body.endswith(sse.OPENAI_DONE):
            body += await client.chunk()
        await proxy.call(asking(HELLO, REPLY, ON))
        assert await client.chunk() == b""
    first, second = [each.open for each in await proxy.ended(2)]
    assert first.run_id == second.run_id != ""
    assert (first.step_seq, second.step_seq, second.turn_seq) == (1, 2, 2)


async def test_an_answer_that_comes_whole_is_remembered_before_its_last_byte(
    origin: RawOrigin, proxy: Proxy
):
    origin.handler = always(response(ANSWER, JSON))
    await proxy.call(asking(HELLO))
    await proxy.call(asking(HELLO, REPLY, ON))
    seen = [each.open for each in await proxy.ended(2)]
    assert len({each.run_id for each in seen}) == 1
    assert [each.step_seq for each in seen] == [1, 2]


async def test_a_call_that_its_agent_left_may_be_tried_again(
    origin: RawOrigin, proxy: Proxy
):
    async def handler(exchange: Exchange) -> None:
        await exchange.send(STREAM_HEAD, chunk(sse.openai_text("Go", None)))
        await asyncio.Event().wait()

    origin.handler = handler
    async with await proxy.connect() as client:
        await client.send(asking(HELLO, stream=True))
        await client.final_head()
    await proxy.ended(1)
    origin.handler = always(response(ANSWER, JSON))
    await proxy.call(asking(HELLO, stream=True))
    first, again = [each.open for each in await proxy.ended(2)]
    assert (again.step_id, again.attempt, again.retry_layer) == (first.step_id, 1, "app")  # fmt: skip


async def test_a_prompt_that_changed_is_an_event(origin: RawOrigin, data_dir: Path):
    origin.handler = always(response(ANSWER, JSON))
    named = ((b"x-tacho-agent", b"bot"),)
    async with piped(settings_for(data_dir, origin)) as made:
        for prompt in ("You are a tax adviser.", "You are a pirate."):
            system = {"role": "system", "content": prompt}
            await called(made, asking(system, HELLO, headers=named))
        changes = [note for note in made.told.notes if note.type == "prompt_change"]
    assert [(note.agent, sorted(json.loads(note.detail))) for note in changes] == [("bot", ["after", "before"])]  # fmt: skip


async def test_a_fault_of_what_follows_the_call_is_counted_and_not_seen(
    origin: RawOrigin, data_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object) -> NoReturn:
        raise ValueError

    monkeypatch.setattr(Trail, "answered", fail)
    origin.handler = always(response(ANSWER, JSON))
    async with piped(settings_for(data_dir, origin)) as made:
        assert (await called(made, asking(HELLO))).body == ANSWER
    assert made.told.faults["identify"] >= 1
    ((opened, closed, _),) = made.told.applied
    assert (opened.step_seq, closed.outcome) == (1, "completed")


async def test_a_state_that_is_down_costs_the_place_in_the_run_and_nothing_else(
    origin: RawOrigin, data_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    async def down(self: MemoryState, keys: Sequence[int]) -> Mapping[int, Fact]:
        raise ConnectionError("gone")

    monkeypatch.setattr(MemoryState, "look", down)
    origin.handler = always(response(ANSWER, JSON))
    async with piped(settings_for(data_dir, origin)) as made:
        assert (await called(made, asking(HELLO))).body == ANSWER
    assert made.told.faults == {"identify": 1}
    ((opened, _, _),) = made.told.applied
    assert (opened.run_id, opened.run_source) == ("", "unmatched")


async def test_what_an_answer_says_of_itself_are_its_steps_and_attempts(
    origin: RawOrigin, data_dir: Path
):
    origin.handler = always(response(b"{}", JSON, status=b"503 Service Unavailable"))
    async with piped(settings_for(data_dir, origin), response_headers=True) as made:
        heads = []
        for _ in range(2):
            heads.append((await called(made, asking(HELLO))).headers)
    named = [{name.lower(): value for name, value in head if name.lower().startswith(b"x-tacho-")} for head in heads]  # fmt: skip
    assert named[0][b"x-tacho-run"] == named[1][b"x-tacho-run"]
    assert named[0][b"x-tacho-step"] == named[1][b"x-tacho-step"]
    assert [each[b"x-tacho-attempt"] for each in named] == [b"0", b"1"]
