"""Two streams become one that reads as if it had been one from the beginning."""

import json
from typing import Any

import pytest

from proxy.meter.grafts import data_of, graft
from proxy.model import ToolCall
from tests.helpers.asking import FAMILIES, sse


def said(joined: bytes | None) -> list[Any]:
    assert joined is not None
    return [data_of(each + b"\n\n") for each in joined.split(b"\n\n") if each]


def delta(index: int = 0, finish: str | None = None, number: int = 1, **delta: Any) -> dict[str, Any]:  # fmt: skip
    return {"id": f"c{number}", "created": number, "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}  # fmt: skip


def events(*data: Any) -> list[bytes]:
    return [sse(each) for each in data]


CALL = delta(number=2, tool_calls=[{"index": 0, "id": "x", "function": {"name": "f", "arguments": "{}"}}])  # fmt: skip
SECOND = [
    delta(number=2, role="assistant", content=""),
    delta(number=2, content="Again."),
    CALL,
    delta(number=2, finish="tool_calls"),
    {"id": "c2", "created": 2, "choices": [], "usage": {"prompt_tokens": 1}},
    {"error": {"message": "no"}},
    delta(number=2, content="", role="assistant") | {"choices": "odd"},
]


def test_of_a_chat_calls_go_on_behind_text_that_was_said():
    passed = events(delta(role="assistant", content="Let me see."))
    joined = said(graft("openai_chat", passed, [*events(*SECOND), b"data: [DONE]\n\n"]))
    assert joined[0] == CALL | {"id": "c1", "created": 1}
    assert joined[1]["choices"] == [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]  # fmt: skip
    assert joined[2] == {"id": "c1", "created": 1, "choices": [], "usage": {"prompt_tokens": 1}}  # fmt: skip
    assert joined[3] == {"error": {"message": "no"}}
    assert joined[-1] is None  # [DONE]


def test_of_a_chat_text_goes_on_where_none_was_said_or_nothing_else_comes():
    text = delta(number=2, content="Again.")
    begun = events(delta(role="assistant", content=""))
    assert said(graft("openai_chat", begun, events(text, CALL)))[0]["choices"] == text["choices"]  # fmt: skip
    spoke = events({"created": 1, "choices": [{"delta": {"content": "Let me see."}}, "odd", {"delta": 3}]})  # fmt: skip
    (only,) = said(graft("openai_chat", spoke, events(text)))
    assert only == text | {"created": 1}


def block(kind: str, event: str, index: int, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"type": f"content_block_{event}", "index": index, **more}
    if event == "start":
        made["content_block"] = {"type": kind}
    return made


def blocks(*kinds: str) -> list[dict[str, Any]]:
    return [block(kind, event, at) for at, kind in enumerate(kinds) for event in ("start", "delta", "stop")]  # fmt: skip


START = {"type": "message_start", "message": {"id": "m"}}
STOP = {"type": "message_stop"}


def test_of_a_message_blocks_are_numbered_on():
    passed = events(START, {"type": "ping"}, *blocks("thinking", "text"))
    second = events(START, *blocks("thinking", "text", "tool_use", "tool_use"), STOP)
    joined = said(graft("anthropic_messages", passed, second))
    assert [each.get("index") for each in joined] == [2, 2, 2, 3, 3, 3, None]
    assert joined[0] == block("tool_use", "start", 2)
    assert joined[-1] == STOP


def test_of_a_message_all_goes_on_where_nothing_was_said_or_nothing_else_comes():
    begun, second = events(START), events(START, *blocks("text", "tool_use"), STOP)
    assert [each.get("index") for each in said(graft("anthropic_messages", begun, second))] == [0, 0, 0, 1, 1, 1, None]  # fmt: skip
    spoke = events(START, *blocks("text"))
    answered = events(START, *blocks("text"), {"type": "content_block_delta"}, {"type": "content_block_start", "content_block": 3}, STOP)  # fmt: skip
    joined = said(graft("anthropic_messages", spoke, answered))
    assert [each.get("index") for each in joined] == [1, 1, 1, 2, None]
    assert joined[-1] == STOP


@pytest.mark.parametrize("passed", [[], [b": hello\n\n"], events({"type": "ping"})], ids=["nothing", "a comment", "a ping"])  # fmt: skip
@pytest.mark.parametrize("dialect", ["openai_chat", "openai_responses", "anthropic_messages"])  # fmt: skip
def test_where_nothing_has_passed_the_second_stream_is_the_stream(dialect: str, passed: list[bytes]):  # fmt: skip
    second = events(START, STOP)
    assert graft(dialect, passed, second) == b"".join(second)


def test_other_families_are_not_joined():
    assert graft("openai_responses", events({"type": "response.created"}), []) is None


@pytest.mark.parametrize("event", [b"", b": x\n\n", b"data: [1]\n\n", b"data: {\n\n", b"event: x\n\n"])  # fmt: skip
def test_what_is_no_object_has_no_data(event: bytes):
    assert data_of(event) is None


def test_data_over_several_lines_is_one():
    assert data_of(b'event: x\r\ndata: {"a":\r\ndata: 1}\r\n\r\n') == {"a": 1}


@pytest.mark.parametrize("name", ["openai_chat streamed", "anthropic_messages streamed"])  # fmt: skip
def test_what_was_joined_is_read_as_one_answer(name: str):
    family = FAMILIES[name]
    second = family.answer([("f", '{"x": 1}')])
    first = family.answer([("g", "{}")]).partition(b"\n\n")[0] + b"\n\n"
    begun = sse(delta(role="assistant", content="Hm.")) if "chat" in name else first
    joined = graft(name.split()[0], [begun], [each + b"\n\n" for each in second.split(b"\n\n") if each])  # fmt: skip
    assert joined is not None
    reading = family.read(family.body([]), begun + joined)
    (call,) = reading.tool_calls
    assert (call.name, json.loads(call.arguments), reading.malformed) == ("f", {"x": 1}, False)  # fmt: skip
    assert isinstance(call, ToolCall)
