from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.identify.messages import (
    MAX_PARTS,
    canonical,
    items_of,
    system_text,
    texts_of,
)

SEED = 3
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "text", "parts", "tool_calls", "function", "functionCall",
                             "toolUse", "toolResult", "input", "id", "name", "arguments", "call", "outputs",
                             "function_call", "tool_results", "output", "call_id", "thoughtSignature"]),
            inner | st.sampled_from(["user", "assistant", "tool", "system", "tool_use", "tool_result", "function_call"]),
            max_size=5,
        )
    ),
    max_leaves=20,
)  # fmt: skip


def items(*messages: Any) -> list[Any]:
    return [item for message in messages for item in items_of(message, SEED)[0]]


ANSWERS: dict[str, list[Any]] = {
    "chat": [{"role": "assistant", "content": "Hi", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": '{"x": 1, "y": 2}'}}]}],
    "chat, as parts": [{"role": "assistant", "content": [{"type": "text", "text": "Hi"}], "tool_calls": [{"id": "b", "custom": {"name": "f", "input": {"y": 2, "x": 1}}}]}],
    "chat, function": [{"role": "assistant", "content": "Hi", "function_call": {"name": "f", "arguments": '{"y":2,"x":1}'}}],
    "anthropic": [{"role": "assistant", "content": [{"type": "thinking", "thinking": "?"}, {"type": "text", "text": "Hi"}, {"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1, "y": 2}, "cache_control": {}}]}],
    "gemini": [{"role": "model", "parts": [{"text": "?", "thought": True}, {"text": "Hi"}, {"functionCall": {"name": "f", "args": {"x": 1, "y": 2}}}]}],
    "converse": [{"role": "assistant", "content": [{"reasoningContent": {}}, {"text": "Hi"}, {"toolUse": {"toolUseId": "t", "name": "f", "input": {"x": 1, "y": 2}}}, {"cachePoint": {}}]}],
    "cohere": [{"role": "CHATBOT", "message": "Hi", "tool_calls": [{"name": "f", "parameters": {"x": 1, "y": 2}}]}],
}  # fmt: skip


@pytest.mark.parametrize("family", ANSWERS)
def test_an_answer_is_the_same_item_in_all_families(family):
    expected = items(*ANSWERS["chat"])[0]
    found = items(*ANSWERS[family])
    assert [(each.full, each.names) for each in found] == [(expected.full, ("f",))]


RESULTS: dict[str, Any] = {
    "chat": {"role": "tool", "tool_call_id": "a", "content": "18 C"},
    "responses": {"type": "function_call_output", "call_id": "a", "output": "18 C"},
    "anthropic": {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "18 C"}]}]},
    "converse": {"role": "user", "content": [{"toolResult": {"toolUseId": "a", "content": [{"text": "18 C"}]}}]},
    "gemini": {"role": "user", "parts": [{"functionResponse": {"id": "a", "name": "f", "response": "18 C"}}]},
    "ollama": {"role": "tool", "tool_name": "f", "content": "18 C"},
    "in words": {"role": "user", "content": "Observation: 18 C"},
}  # fmt: skip


@pytest.mark.parametrize("family", RESULTS)
def test_a_result_is_one_in_all_families(family):
    (found,) = items(RESULTS[family])
    assert found.role == "tool"
    if family != "in words":
        assert found.full == items(RESULTS["chat"])[0].full


def test_other_results_and_other_media_are_others():
    cohere = {"tool_results": [{"call": {"name": "f"}, "outputs": [{"x": 1}]}, {"outputs": []}]}  # fmt: skip
    (found,) = items({"role": "TOOL", **cohere})
    assert (found.role, found.names) == ("tool", ("f",))
    assert items({"call": {"name": "f"}, "outputs": [{"x": 1}]}) == [found]
    image = {"role": "user", "content": [{"type": "image", "source": "a", "cache_control": 1}]}  # fmt: skip
    other = {"role": "user", "content": [{"type": "image", "source": "b"}, "text", 3]}
    assert items(image)[0].full != items(other)[0].full
    assert items({"role": "user", "content": [{"id": "only"}]}) == []


def test_what_the_provider_did_itself_is_left_out():
    blocks = [{"type": "server_tool_use"}, {"type": "web_search_tool_result"}, {"type": "text", "text": "Hi"},
              {"type": "refusal", "refusal": "No"}]  # fmt: skip
    assert items({"role": "assistant", "content": blocks}) == items({"role": "assistant", "content": "Hi\nNo"})  # fmt: skip
    assert items({"type": "reasoning", "id": "rs_1"}) == []


def test_signatures_are_ids_however_they_are_written():
    one = {"role": "model", "parts": [{"text": "Hi", "thoughtSignature": "a-b_"}]}
    two = {"role": "model", "parts": [{"text": "Hi", "thought_signature": "a+b/"}]}
    assert items(one)[0].ids == items(two)[0].ids != ()


def test_responses_calls_are_answers():
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    shell = {"type": "local_shell_call", "id": "s", "action": {"command": ["ls"]}}
    assert [(each.role, each.ids, each.names) for each in items(call, shell)] == [
        ("assistant", ("c",), ("f",)), ("assistant", ("s",), ("local_shell_call",)),
    ]  # fmt: skip
    assert items({"role": "assistant", "tool_calls": ["?"], "content": None}) == []


def test_arguments_are_compared_by_value():
    assert canonical('{"b": 1, "a": 2}') == canonical(b'{"a":2,"b":1}') == canonical({"a": 2, "b": 1})  # fmt: skip
    assert canonical(" {broken") == b"{broken"
    assert canonical(None) == b"{}"
    assert canonical({1: object()}) == b"?"


def test_prompts_are_texts():
    assert items_of({"role": "developer", "content": ["a", "b"]}, SEED) == ((), "a\nb")
    assert items_of(3, SEED) == ((), "")
    assert items("Hi") == items({"role": "user", "content": "Hi"}) == items({"parts": [{"text": "Hi"}]})  # fmt: skip
    assert system_text({"parts": [{"text": "a"}]}) == system_text([{"text": "a"}]) == "a"  # fmt: skip
    assert system_text("a") == "a"


def test_texts_are_those_of_others_than_the_model():
    assert texts_of("Hi") == ["Hi"]
    assert texts_of({"role": "assistant", "content": "Hi"}) == texts_of(None) == []
    assert texts_of(RESULTS["anthropic"]) == texts_of(RESULTS["chat"]) == ["18 C"]


@given(JSON)
def test_nothing_that_json_can_say_raises(message):
    items_of(message, SEED)
    texts_of(message)
    system_text(message)


ARGUMENTS = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=4)  # fmt: skip


@given(ARGUMENTS, st.randoms())
def test_order_of_arguments_ids_and_cache_marks_do_not_count(arguments, dice):
    shuffled = list(arguments.items())
    dice.shuffle(shuffled)
    one = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": arguments}
    two = {"type": "tool_use", "id": "other", "name": "f", "input": dict(shuffled), "cache_control": {}}  # fmt: skip
    first, second = (items({"role": "assistant", "content": [each]})[0] for each in (one, two))  # fmt: skip
    assert first.full == second.full


def test_blanks_cost_no_more_than_their_number():
    """Else this test would take hours."""
    made, _ = items_of({"role": "user", "content": " " * 1_000_000 + "a"}, SEED)
    assert made == items_of("a", SEED)[0]


@pytest.mark.parametrize(("member", "each"), [("tool_calls", {"function": {"name": "f", "arguments": "{}"}}), ("tool_results", {"call": {"name": "f"}, "outputs": []})])  # fmt: skip
def test_of_very_many_calls_and_results_in_one_message_the_first_count(member, each):
    many, most = ({"role": "assistant", member: [each] * count} for count in (3 * MAX_PARTS, MAX_PARTS))  # fmt: skip
    assert items_of(many, SEED) == items_of(most, SEED)
    assert items_of({**most, member: [each]}, SEED) != items_of(most, SEED)
