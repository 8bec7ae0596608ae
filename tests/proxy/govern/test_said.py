"""What a request brings that is new: calls, results and errors, masked and keyed; and what it asks."""

import json
from typing import Any

import pytest

from proxy.govern.said import NOTHING, Answered, Said, said
from proxy.identify.conversation import Conversations
from proxy.model import ToolCall
from tests.helpers.judging import NOW_US, SEED

READER = Conversations(SEED)
GO = {"role": "user", "content": "Go."}


def call(call_id: str, arguments: Any, name: str = "look") -> dict[str, Any]:
    asked = {"id": call_id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}  # fmt: skip
    return {"role": "assistant", "content": None, "tool_calls": [asked]}


def result(call_id: str, text: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": text}


def read(*messages: Any, answered: Answered | None = None, **more: Any) -> Said:
    body = json.dumps({"model": "m", "messages": messages, **more}).encode()
    conversation = READER.read(body)
    assert conversation is not None
    return said(SEED, "acme", conversation, body, answered or Answered(), NOW_US)


def test_the_same_call_with_the_same_arguments_is_the_same_whatever_its_id():
    one = read(GO, call("c1", {"at": 1, "request_id": "x"}), result("c1", "a"))
    two = read(GO, call("c2", {"request_id": "y", "at": 1}), result("c2", "b"))
    other = read(GO, call("c3", {"at": 2}), result("c3", "a"))
    assert one.calls == two.calls != other.calls
    assert one.results == other.results != two.results
    assert one.tools == ("look",)
    assert one.errors == ()


def test_only_what_is_new_counts_and_each_call_has_its_result():
    old = (call("c1", 1), result("c1", "a"))
    both = {"role": "assistant", "tool_calls": [*call("c2", 2)["tool_calls"], *call("c3", 3, "find")["tool_calls"]]}  # fmt: skip
    new = read(GO, *old, both, result("c3", "x"), result("c2", "y"))
    assert new.tools == ("find", "look")
    assert len(new.calls) == len(new.results) == 2
    assert read(GO, *old, {"role": "assistant", "content": "done"}, GO).calls == ()


@pytest.mark.parametrize("text", ["Error: no such file", "ValueError: x", "Traceback (most recent call last):\n x", '{"error": "x"}', "failed to open"])  # fmt: skip
def test_a_result_that_says_that_the_call_failed_is_an_error(text):
    found = read(GO, call("c1", 1), result("c1", text))
    assert found.errors == found.results


def test_a_family_with_a_flag_says_so_itself():
    used = {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "look", "input": {}}]}  # fmt: skip
    for is_error in (True, False):
        back = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "is_error": is_error, "content": "gone"}]}  # fmt: skip
        assert bool(read(GO, used, back).errors) is is_error


def test_a_conversation_that_the_provider_keeps_brings_results_of_calls_that_were_answered():
    answered = Answered(capacity=2)
    for number in range(3):
        answered.note(SEED, "acme", [ToolCall(f"c{number}", "look", b"{}"), ToolCall("", "x", b"")], NOW_US)  # fmt: skip
    shown = read(GO, call("c9", {}), result("c9", "x"))
    kept = read(answered=answered, input=[{"type": "function_call_output", "call_id": "c2", "output": "x"}], messages=[])  # fmt: skip
    assert (kept.calls, kept.tools) == (shown.calls, shown.tools)
    forgotten = read(answered=answered, input=[{"type": "function_call_output", "call_id": "c0", "output": "Error: x"}], messages=[])  # fmt: skip
    assert forgotten.calls == ()
    assert len(forgotten.errors) == 1


def test_the_same_question_is_one_whatever_the_time_and_a_longer_conversation_is_another():
    one = read({"role": "user", "content": "It is 10:00:01. Go."})
    assert one.body == read({"role": "user", "content": "It is 10:00:02. Go."}).body != 0  # fmt: skip
    assert one.body != read({"role": "user", "content": "Stop."}).body
    again = ({"role": "assistant", "content": "ok"}, GO)
    assert len({read(GO, *again * times).body for times in range(4)}) == 4


def test_a_body_that_is_no_conversation_is_hashed_as_it_is_and_none_is_nothing():
    empty = READER.read(b"{}")
    assert empty is not None
    bodies = [said(SEED, "t", empty, body, Answered(), NOW_US).body for body in (b'{"q": 1}', b'{"q": 2}')]  # fmt: skip
    assert bodies[0] != bodies[1] != 0
    assert said(SEED, "t", empty, None, Answered(), NOW_US) is NOTHING


def test_what_is_too_dense_to_be_identified_is_compared_whole():
    numbers = {"role": "tool", "tool_call_id": "c1", "content": list(range(300_000))}
    found = read(GO, call("c1", 1), numbers)
    assert (found.calls, found.results) == ((), ())
    assert found.body == read(GO, call("c1", 1), numbers).body != 0


def test_a_result_in_the_user_s_voice_is_what_is_asked():
    assistant = {"role": "assistant", "content": "Action: look"}
    found = read(GO, assistant, {"role": "user", "content": "Observation: nothing"})
    assert (found.calls, found.results) == ((), ())
    assert found.body
