"""A call's place among the others, as the rungs, the state and the worker's own rules give it."""

import asyncio
import json
from itertools import count
from typing import Any

import pytest

from proxy.identify.lookup import Hints
from proxy.model import ErrorType, Kind, Outcome, Reading, RunSource, ToolCall
from proxy.recognised import Recognised
from proxy.recognition import NO_CONVERSATION, Incoming, Recognizer
from proxy.state.memory import MemoryState
from tests.helpers.runs.tracking import DAY_US, drive

HELLO = {"role": "user", "content": "Hello."}
REPLY = {"role": "assistant", "content": "Good day."}
ON = {"role": "user", "content": "Go on."}


class Bench:
    def __init__(self) -> None:
        self._ids = count(1)
        self.state = MemoryState(100, DAY_US)
        self.recognizer = Recognizer(7, self.state, lambda _: f"id-{next(self._ids)}")

    def call(self, *messages: Any, is_step: bool = True, now_us: int = 10, kind: Kind = Kind.LLM,
             **hints: Any) -> Recognised:  # fmt: skip
        body = json.dumps({"messages": messages}).encode() if messages else b""
        said = drive(self.recognizer.read(body)) if body else None
        known = Hints("t", "c", kind, **hints)
        conversation = said or NO_CONVERSATION
        incoming = Incoming(known, f"a{now_us}", is_step, conversation, body)
        return drive(self.recognizer.recognise(incoming, now_us))

    def answered(self, call: Recognised, text: str = "Good day.") -> None:
        assert call.trail is not None
        said = Reading(output_text=text)
        call.trail.answered(Outcome.COMPLETED, ErrorType.NONE, said, 15)


def test_a_conversation_goes_on_in_its_run():
    bench = Bench()
    first = bench.call(HELLO)
    bench.answered(first)
    second = bench.call(HELLO, REPLY, ON, now_us=20)
    assert first.run
    assert second.run
    assert second.asked
    assert (first.source, second.source) == (RunSource.NEW, RunSource.CONTINUATION)
    assert first.run.run_id == second.run.run_id
    assert (second.run.step_seq, second.asked.step_seq, second.turn_seq) == (2, 2, 2)
    assert first.session_id == second.session_id != ""


def test_a_branch_has_its_parents_root():
    bench = Bench()
    first = bench.call(HELLO)
    bench.answered(first)
    bench.call(HELLO, REPLY, ON, now_us=20)
    branch = bench.call(HELLO, REPLY, {**ON, "content": "Or not."}, now_us=30)
    assert branch.run
    assert first.run
    assert branch.run.run_id != first.run.run_id
    assert branch.run.parent_run_id == branch.run.root_run_id == first.run.run_id


@pytest.mark.parametrize(
    ("is_retry", "layer"), [(True, "sdk"), (False, "app")], ids=["sdk", "app"]
)
def test_an_attempt_has_the_first_ones_step(is_retry, layer):
    bench = Bench()
    first = bench.call(HELLO, body_hash=5)
    assert first.trail
    first.trail.answered(Outcome.UPSTREAM_ERROR, ErrorType.NONE, Reading(), 15)
    again = bench.call(HELLO, body_hash=5, is_retry=is_retry, now_us=20)
    assert again.asked
    assert (again.asked.step_id, again.asked.step_seq, again.asked.attempt) == ("a10", 1, 1)  # fmt: skip
    assert again.retry_layer == layer
    assert [run.step_seq for run in bench.state.runs()] == [1]


def test_what_is_no_step_is_found_and_leaves_nothing():
    bench = Bench()
    first = bench.call(HELLO)
    bench.answered(first)
    counted = bench.call(HELLO, REPLY, ON, is_step=False, now_us=20)
    assert counted.run
    assert first.run
    assert (counted.run.run_id, counted.asked) == (first.run.run_id, None)
    second = bench.call(HELLO, REPLY, ON, now_us=30)
    assert second.run
    assert (second.run.run_id, second.run.step_seq) == (first.run.run_id, 2)
    again = bench.call(HELLO, REPLY, ON, is_step=False, now_us=40)
    assert again.run
    assert again.run.run_id == first.run.run_id


def test_a_tool_that_is_called_belongs_to_the_run_that_waits_for_it_and_to_its_turn():
    bench = Bench()
    bench.answered(bench.call(HELLO))
    second = bench.call(HELLO, REPLY, ON, now_us=20)
    assert second.trail
    asked = Reading(tool_calls=(ToolCall("call_a1B2c3D4", "search", b"{}"),))
    second.trail.answered(Outcome.COMPLETED, ErrorType.NONE, asked, 25)
    tool = bench.call(kind=Kind.TOOL, tool="search", now_us=30)
    assert tool.run
    assert second.run
    assert (tool.source, tool.run.run_id) == (RunSource.WINDOW, second.run.run_id)
    assert (tool.turn_seq, tool.run.step_seq) == (2, 3)


def test_what_is_no_step_begins_no_run():
    bench = Bench()
    found = bench.call(HELLO, is_step=False)
    assert (found.source, found.run, len(bench.state)) == (RunSource.NONE, None, 0)


def test_a_call_to_a_model_that_shows_no_conversation_is_unmatched():
    bench = Bench()
    found = bench.call()
    assert (found.source, found.run, len(bench.state)) == (RunSource.UNMATCHED, None, 0)
    named = bench.call(run="r1")
    assert named.run
    assert (named.source, named.run.step_seq) == (RunSource.EXPLICIT, 1)


def test_a_tool_call_without_a_run_belongs_to_the_session_of_its_caller():
    bench = Bench()
    assert bench.call(kind=Kind.TOOL).session_id == ""
    first = bench.call(HELLO, now_us=20)
    found = bench.call(kind=Kind.TOOL, now_us=30)
    assert (found.source, found.run) == (RunSource.NONE, None)
    assert found.session_id == first.session_id


@pytest.mark.parametrize(
    ("hints", "source", "run_id"),
    [
        ({"run": "r1"}, RunSource.EXPLICIT, "r1"),
        ({"harness_run": "h1"}, RunSource.HARNESS, "h1"),
        ({}, RunSource.UNMATCHED, ""),
        ({"trace_id": "f" * 32}, RunSource.UNMATCHED, ""),
        ({"kind": Kind.TOOL}, RunSource.NONE, ""),
    ],
    ids=["explicit", "harness", "model", "trace", "tool"],
)
def test_headers_alone_name_a_run_or_none(hints: dict[str, Any], source, run_id):
    bench = Bench()
    found = bench.recognizer.by_headers(Hints(**{"tenant": "t", "caller": "c", "kind": Kind.LLM} | hints))  # fmt: skip
    assert (found.source, found.run.run_id if found.run else "") == (source, run_id)
    assert (found.trail, len(bench.state)) == (None, 0)


async def test_a_large_request_is_read_in_slices():
    bench = Bench()
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with asyncio.TaskGroup() as group:
        counting = group.create_task(count_turns())
        messages = [{"role": "user", "content": "x" * 400_000}] * 12
        said = await bench.recognizer.read(json.dumps({"messages": messages}).encode())
        counting.cancel()
    assert said
    assert len(said.items) == 12
    assert turns >= 2
