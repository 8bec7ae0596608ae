"""Anthropic's requests, strictly."""

import pytest

from proxy.simulate.families.anthropic_requests import read_question
from proxy.simulate.question import (
    ANY_TOOL,
    NO_TOOL,
    SYSTEM,
    TOOL,
    USER,
    UnacceptableError,
)

USE = {"type": "tool_use", "id": "t1", "name": "a", "input": {"b": 1}}
RESULT = {
    "type": "tool_result",
    "tool_use_id": "t1",
    "content": [{"type": "text", "text": "r"}],
}
HI = {"role": "user", "content": "hi"}


def body(*messages, **more):
    return {"model": "m", "max_tokens": 9, "messages": [*messages], **more}


def test_results_and_what_stands_behind_them_are_apart():
    reminder = {
        "type": "text",
        "text": "remember",
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
    }
    messages = [
        HI,
        {"role": "assistant", "content": [USE]},
        {"role": "user", "content": [RESULT, reminder]},
    ]
    question = read_question(body(*messages, system=[{"type": "text", "text": "s"}]))
    turns = [(turn.role, turn.text, turn.cached) for turn in question.turns]
    assert turns[0] == (SYSTEM, "s", "")
    assert turns[1] == (USER, "hi", "")
    assert question.turns[2].calls == ("a",)
    assert turns[3:] == [(TOOL, "r", ""), (SYSTEM, "remember", "1h")]


def test_tools_that_anthropic_runs_itself_are_not_called():
    tools = [
        {"type": "web_search_20250305", "name": "web_search"},
        {"name": "a", "input_schema": {}},
    ]
    assert [tool.name for tool in read_question(body(HI, tools=tools)).tools] == ["a"]


@pytest.mark.parametrize(
    ("choice", "forced"),
    [
        ({"type": "any"}, ANY_TOOL),
        ({"type": "none"}, NO_TOOL),
        ({"type": "auto"}, ""),
        ({"type": "tool", "name": "a"}, "a"),
    ],
)
def test_choices(choice, forced):
    assert read_question(body(HI, tool_choice=choice)).forced == forced


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"model": "m", "messages": [HI]}, "max_tokens"),
        ({"max_tokens": 1, "messages": [HI]}, "model"),
        ({"model": "m", "max_tokens": 1}, "messages"),
        (body(), "at least one message"),
        (body({"role": "robot", "content": "x"}), "Unexpected role"),
        (body({"role": "assistant", "content": [USE]}, HI), "without `tool_result`"),
        (body({"role": "user", "content": [RESULT]}), "unexpected `tool_use_id`"),
    ],
)
def test_what_anthropic_refuses_is_refused(wrong, problem):
    with pytest.raises(UnacceptableError, match=problem):
        read_question(wrong)
