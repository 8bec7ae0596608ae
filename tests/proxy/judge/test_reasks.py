"""The request that asks again is the agent's own, with the answer and its errors behind it."""

import json
from typing import Any

import pytest

from proxy.judge.call_checks import Checked, Problem
from proxy.judge.reasks import Answered, reask
from proxy.model import Reading, ToolCall
from tests.helpers.asking import FAMILIES, sse

MADE_UP, UNFIT = Checked(Problem.UNKNOWN_TOOL), Checked(Problem.BAD_ARGUMENTS, "properties/x/type")  # fmt: skip
SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}}


def answered(name: str, calls: list[tuple[str, str]], *checked: Checked, **more: Any) -> Answered:  # fmt: skip
    """Give an answer of a family as it is asked again after."""
    family = FAMILIES[name]
    said = family.answer(calls)
    reading = family.read(family.body([]), said)
    streamed = "streamed" in name
    parts = [each + b"\n\n" for each in said.split(b"\n\n") if each]
    return Answered(reading, checked or (MADE_UP,) * len(calls), ("f",), **({"events": parts} if streamed else {"whole": said}), **more)  # fmt: skip


def asked_again(dialect: str, body: Any, said: Answered) -> Any:
    written = body if isinstance(body, bytes) else json.dumps(body).encode()
    made = reask(dialect, written, said)
    return None if made is None else json.loads(made)


@pytest.mark.parametrize("name", ["openai_chat", "openai_chat streamed"])
def test_a_chat_goes_on_with_its_calls_and_their_errors(name: str):
    body = FAMILIES[name].body([("f", SCHEMA)])
    calls = [("h", '{"x": 1}'), ("f", '{"x": "1"}'), ("f", "{"), ("f", '{"x": 1}')]
    said = answered(name, calls, MADE_UP, UNFIT, Checked(Problem.BAD_JSON), Checked())
    made = reask("openai_chat", body, said)
    assert made is not None
    place = body.rindex(b"}]", 0, body.index(b'"tools"')) + 1
    assert made.startswith(body[:place])
    assert made.endswith(body[place:])
    _, turn, *results = json.loads(made)["messages"]
    assert turn["content"] is None
    assert [(each["function"]["name"], each["function"]["arguments"]) for each in turn["tool_calls"]] == calls  # fmt: skip
    assert [each["tool_call_id"] for each in results] == [each["id"] for each in turn["tool_calls"]]  # fmt: skip
    assert [each["content"] for each in results] == [
        "Error: there is no tool of this name. The tools are: f.",
        "Error: the arguments do not fit the tool's schema (at properties/x/type). Call it again with arguments that fit.",
        "Error: the arguments are no valid JSON. Call the tool again with a JSON object.",
        "Not run: another call of the same turn cannot work. Make this one again if it is still needed.",
    ]


def test_what_has_no_name_or_id_gets_one():
    reading = Reading(output_text="Hm.", tool_calls=(ToolCall("", "h", b"{}"),))
    made = asked_again("openai_chat", {"messages": []}, Answered(reading, (Checked(Problem.BAD_ARGUMENTS),)))  # fmt: skip
    turn, result = made["messages"]
    assert (turn["content"], turn["tool_calls"][0]["id"], result["tool_call_id"]) == ("Hm.", "call_0", "call_0")  # fmt: skip
    assert "at its top" in result["content"]
    nothing = asked_again("openai_chat", {"messages": []}, Answered(reading, (MADE_UP,)))  # fmt: skip
    assert nothing["messages"][1]["content"].endswith("The tools are: none.")


NOT_ASKED = {
    "two answers": {"messages": [], "n": 2},
    "functions": {"messages": [], "functions": []},
    "custom tools": {"messages": [], "tools": [{"type": "custom", "custom": {"name": "f"}}]},
    "no messages": {"model": "m"},
    "odd messages": {"messages": "hi"},
    "no object": [],
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_ASKED)
def test_some_chats_are_not_asked_again(case: str):
    said = answered("openai_chat", [("h", "{}")])
    assert asked_again("openai_chat", NOT_ASKED[case], said) is None


def test_a_text_that_was_not_kept_whole_is_not_said_again():
    reading = Reading(output_text="x" * (1 << 15), tool_calls=(ToolCall("a", "h", b"{}"),))  # fmt: skip
    assert asked_again("openai_chat", {"messages": []}, Answered(reading, (MADE_UP,))) is None  # fmt: skip


def test_other_families_are_not_asked_again():
    assert asked_again("cohere_v2", {"messages": []}, answered("cohere_v2", [("h", "{}")])) is None  # fmt: skip


THOUGHT = {"type": "thinking", "thinking": "Hm, so.", "signature": "sig"}
USE = {"type": "tool_use", "id": "toolu_1", "name": "h", "input": {"x": 1}}
CITED = {"type": "text", "text": "See.", "citations": [{"n": 1}, {"n": 2}]}


def parts(at: int, block: dict[str, Any], *deltas: Any) -> list[dict[str, Any]]:
    start = {"type": "content_block_start", "index": at, "content_block": block}
    return [start, *({"type": "content_block_delta", "index": at, "delta": each} for each in deltas), {"type": "content_block_stop", "index": at}]  # fmt: skip


STREAM = [
    {"type": "message_start", "message": {"content": []}},
    *parts(0, {"type": "thinking", "thinking": "", "signature": ""}, {"type": "thinking_delta", "thinking": "Hm, "}, {"type": "thinking_delta", "thinking": "so."}, {"type": "signature_delta", "signature": "sig"}),
    *parts(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": "See."}, {"type": "citations_delta", "citation": {"n": 1}}, {"type": "citations_delta", "citation": {"n": 2}}),
    *parts(2, {"type": "tool_use", "id": "toolu_1", "name": "h", "input": {}}, {"type": "input_json_delta", "partial_json": '{"x":'}, {"type": "input_json_delta", "partial_json": " 1}"}),
    *parts(3, {"type": "text", "text": ""}),
    {"type": "content_block_delta", "index": 9, "delta": {"type": "text_delta", "text": "of nothing"}},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
]  # fmt: skip
TURN = {"role": "user", "content": "hi"}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_message_goes_on_with_its_blocks_and_results(streamed: bool):
    whole = json.dumps({"content": [THOUGHT, CITED, USE]}).encode()
    said = Answered(Reading(), (MADE_UP,), ("f",), **({"events": [sse(each) for each in STREAM]} if streamed else {"whole": whole}))  # fmt: skip
    made = asked_again("anthropic_messages", {"messages": [TURN]}, said)
    before, turn, results = made["messages"]
    assert before == TURN
    assert turn == {"role": "assistant", "content": [THOUGHT, CITED, USE]}
    (result,) = results["content"]
    assert (result["tool_use_id"], result["is_error"], results["role"]) == ("toolu_1", True, "user")  # fmt: skip


@pytest.mark.parametrize(("sent", "kept"), [('{"x": ', {"INVALID_JSON": '{"x": '}), ("", {})])  # fmt: skip
def test_arguments_that_are_no_object_are_said_as_text(sent: str, kept: Any):
    stream = parts(0, {"type": "tool_use", "id": "t", "name": "f", "input": {}}, {"type": "input_json_delta", "partial_json": sent})  # fmt: skip
    said = Answered(Reading(), (Checked(Problem.BAD_JSON),), (), [sse(each) for each in stream])  # fmt: skip
    made = asked_again("anthropic_messages", {"messages": [TURN]}, said)
    assert made["messages"][1]["content"][0]["input"] == kept


@pytest.mark.parametrize("messages", [[], [TURN, {"role": "assistant", "content": "{"}], ["odd"]], ids=["none", "begun", "odd"])  # fmt: skip
def test_some_messages_are_not_asked_again(messages: Any):
    said = answered("anthropic_messages", [("h", "{}")])
    assert asked_again("anthropic_messages", {"messages": messages}, said) is None


def test_a_message_without_a_body_is_not_asked_again():
    said = Answered(Reading(), (MADE_UP,), (), (), b"[]")
    assert asked_again("anthropic_messages", {"messages": [TURN]}, said) is None


@pytest.mark.parametrize("name", ["openai_responses", "openai_responses streamed"])
@pytest.mark.parametrize("given", ["hi", [], [TURN]], ids=["text", "nothing", "items"])
def test_a_response_goes_on_with_its_items(name: str, given: Any):
    said = answered(name, [("h", '{"x": 1}')])
    made = asked_again("openai_responses", {"model": "m", "input": given}, said)
    *before, thought, call, result = made["input"]
    assert before == ([TURN] if given else [])
    assert (thought["type"], call["type"], call["id"]) == ("reasoning", "function_call", "fc_0")  # fmt: skip
    assert (result["type"], result["call_id"]) == ("function_call_output", call["call_id"])  # fmt: skip
    assert made["model"] == "m"


def test_where_nothing_is_stored_only_what_is_encrypted_is_said_again():
    items = [
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "reasoning", "id": "rs_2", "encrypted_content": "x"},
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c", "name": "h", "input": "x"},
    ]  # fmt: skip
    said = Answered(Reading(), (MADE_UP,), (), (), json.dumps({"output": items}).encode())  # fmt: skip
    made = asked_again("openai_responses", {"input": [], "store": False}, said)
    assert [each.get("id") for each in made["input"]] == [None, None, None]
    assert [each["type"] for each in made["input"]] == ["reasoning", "custom_tool_call", "custom_tool_call_output"]  # fmt: skip


@pytest.mark.parametrize("body", [{"input": [], "conversation": "conv_1"}, {"prompt": {"id": "p"}}], ids=["kept", "none"])  # fmt: skip
def test_some_responses_are_not_asked_again(body: Any):
    said = answered("openai_responses", [("h", "{}")])
    assert asked_again("openai_responses", body, said) is None


def test_a_response_that_broke_off_is_not_asked_again():
    said = Answered(Reading(), (MADE_UP,), (), [sse({"type": "response.output_item.added"})])  # fmt: skip
    assert asked_again("openai_responses", {"input": []}, said) is None


PARTS = [{"text": "See."}, {"functionCall": {"name": "h", "args": {}}, "thoughtSignature": "s"}]  # fmt: skip


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_gemini_goes_on_with_its_parts(streamed: bool):
    stream = [sse({"candidates": [{"content": {"parts": [each]}}]}) for each in PARTS]
    stream.append(sse({"candidates": [{"finishReason": "STOP"}]}))
    whole = json.dumps({"candidates": [{"content": {"parts": PARTS}}]}).encode()
    said = Answered(Reading(), (MADE_UP,), ("f",), **({"events": stream} if streamed else {"whole": whole}))  # fmt: skip
    made = asked_again("gemini_generate", {"contents": []}, said)
    model, results = made["contents"]
    assert model == {"role": "model", "parts": PARTS}
    (result,) = results["parts"]
    assert result["functionResponse"]["name"] == "h"
    assert "no tool of this name" in result["functionResponse"]["response"]["error"]


@pytest.mark.parametrize(
    "candidates",
    [
        [{"index": 0}, {"index": 1}],
        [{"index": 1, "content": {"parts": PARTS}}],
        [{"content": {"parts": [{"functionCall": {"name": "h", "partialArgs": []}}]}}],
        [{"content": {"parts": []}}],
    ],
    ids=["two", "another", "pieces", "no call"],
)
def test_some_of_gemini_s_answers_are_not_asked_again(candidates: Any):
    said = Answered(Reading(), (MADE_UP,), (), (), json.dumps({"candidates": candidates}).encode())  # fmt: skip
    assert asked_again("gemini_generate", {"contents": []}, said) is None
