"""A call's place where several workers share what is known: two recognizers on one Redis of Python.

What a memory of one's own gives is in `test_recognition.py`, what Redis keeps in `tests/proxy/state`.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from typing import Any

import pytest

from proxy.identify.lookup import Hints
from proxy.model import ErrorType, Kind, Outcome, Reading, RunSource
from proxy.recognised import Recognised
from proxy.recognition import NO_CONVERSATION, Incoming, Recognizer
from proxy.state.redis_place import place_of
from proxy.state.redis_state import RedisState, redis_state
from tests.helpers.redis import Ends, fake_redis, joined
from tests.helpers.runs.tracking import DAY_US

pytestmark = pytest.mark.blocking_allowed  # the server of Python shares this process
HELLO = {"role": "user", "content": "Hello."}
REPLY = {"role": "assistant", "content": "Good day."}
ON = {"role": "user", "content": "Go on."}
SEEDS = count(1)


class Replica:
    def __init__(self, name: str, state: RedisState) -> None:
        self._ids = count(1)
        self.name, self.state = name, state
        self.recognizer = Recognizer(7, state, lambda _: f"{name}{next(self._ids)}")
        self.asked = 0
        self.after: Callable[[], Awaitable[None]] | None = None
        """What happens once the next question is answered."""
        ask = state.line.ask

        async def counted(*question: Any, **more: Any) -> Any:
            self.asked += 1
            reply = await ask(*question, **more)
            if self.after is not None:
                after, self.after = self.after, None
                await after()
            return reply

        state.line.ask = counted  # type: ignore[method-assign]

    async def call(self, *messages: Any, now_us: int = 10, kind: Kind = Kind.LLM, said: dict[str, Any] | None = None,
                   **hints: Any) -> Recognised:  # fmt: skip
        document = {"messages": messages, **(said or {})}
        body = json.dumps(document).encode() if messages else b""
        read = await self.recognizer.read(body) if body else None
        incoming = Incoming(Hints("t", "c", kind, **hints), f"{self.name}-{now_us}", True, read or NO_CONVERSATION, body)  # fmt: skip
        return await self.recognizer.recognise(incoming, now_us)

    def answered(self, call: Recognised, response_id: str = "") -> tuple[bytes, ...]:
        assert call.trail is not None
        reading = Reading(output_text="Good day.", response_id=response_id)
        return call.trail.answered(Outcome.COMPLETED, ErrorType.NONE, reading, 15)


@pytest.fixture(scope="module")
def server():
    with fake_redis() as url:
        yield url


@pytest.fixture
async def replicas(server: str) -> AsyncIterator[tuple[Replica, Replica]]:
    async with joined(server) as one, joined(server) as two:
        seed = next(SEEDS)  # keys of its own for each test
        one, two = (RedisState(seed, each.line, 100, DAY_US) for each in (one, two))
        yield Replica("a", one), Replica("b", two)


async def test_a_conversation_goes_on_through_another_worker_in_two_questions_a_call(replicas):  # fmt: skip
    one, two = replicas
    first = await one.call(HELLO)
    assert one.answered(first) == ()
    assert first.trail
    assert first.trail.begun == ()  # nobody writes down what outlives the worker
    assert await one.state.drained(5)
    assert one.asked == 3  # two for the call, one to wait for what was told
    second = await two.call(HELLO, REPLY, ON, now_us=20)
    assert second.run
    assert second.run == (await one.state.admit(second.run, [], is_step=False))
    assert (first.source, second.source) == (RunSource.NEW, RunSource.CONTINUATION)
    assert (second.run.run_id, second.run.step_seq) == ("a1", 2)
    assert second.session_id == first.session_id
    assert two.asked == 2


async def test_of_two_that_go_on_at_the_same_time_one_is_a_branch(replicas):
    one, two = replicas
    one.answered(await one.call(HELLO))
    assert await one.state.drained(5)
    both = await asyncio.gather(
        one.call(HELLO, REPLY, ON, now_us=20),
        two.call(HELLO, REPLY, {**ON, "content": "Or not."}, now_us=20),
    )
    runs = [each.run for each in both if each.run]
    assert sorted(run.root_run_id for run in runs) == ["a1", "a1"]
    assert sorted(run.parent_run_id for run in runs) == ["", "a1"]


async def test_who_always_comes_second_is_taken_as_it_is(replicas):
    one, _ = replicas
    one.answered(await one.call(HELLO))
    assert await one.state.drained(5)
    admit, tries = one.state.admit, []

    async def lost(*run: Any, is_step: bool, step_id: str, plea: Any) -> Any:
        tries.append(step_id)
        return None if step_id else await admit(*run, is_step=is_step)

    one.state.admit = lost
    found = await one.call(HELLO, REPLY, ON, now_us=20)
    assert tries == ["a-20", "a-20", ""]
    assert found.run
    assert found.run.step_seq == 2


@pytest.mark.parametrize("said", [{}, {"previous_response_id": "resp_1"}], ids=["by its words", "by its id"])  # fmt: skip
async def test_an_answer_that_another_worker_tells_of_late_is_waited_for_a_little(replicas, said):  # fmt: skip
    one, two = replicas
    first = await one.call(HELLO)

    async def tell_late() -> None:
        one.answered(first, "resp_1")
        assert await one.state.drained(5)

    two.after = tell_late
    second = await two.call(HELLO, REPLY, ON, now_us=20, said=said)
    assert second.run
    assert second.run.run_id == "a1"
    assert two.asked == 3


async def test_who_goes_on_from_nobody_is_looked_for_twice_and_begins_a_run(replicas):
    one, _ = replicas
    found = await one.call(HELLO, REPLY, ON)
    assert (found.source, one.asked) == (RunSource.UNMATCHED, 3)
    assert found.run
    assert found.run.step_seq == 1


async def test_where_nobody_can_be_asked_a_call_is_what_it_says_itself():
    state = redis_state(1, place_of("redis://nowhere"), 10, DAY_US, Ends())
    alone = Replica("a", state)
    for messages in ([HELLO], [HELLO, REPLY, ON]):
        found = await alone.call(*messages)
        assert (found.source, found.run, found.asked) == (RunSource.UNMATCHED, None, None)  # fmt: skip
    tool = await alone.call(kind=Kind.TOOL)
    assert (tool.source, tool.run) == (RunSource.NONE, None)
    named = await alone.call(HELLO, run="mine", session="s")
    assert named.run
    assert (named.source, named.run.run_id, named.session_id) == (RunSource.EXPLICIT, "mine", "s")  # fmt: skip
    assert named.asked is None
    answer = await alone.call(HELLO, said={"previous_response_id": "resp_1"})
    assert answer.source is RunSource.RESPONSE_ID
    assert state.losses()["state_unknown"] == 5
