"""A note stands at the end of the newest result's text, and nothing else differs, byte for byte."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.meter.notes import add_note

NOTE = '[tachograph: "800" of 1,000 \\ ü]'
RESULT = 'line 1\nüñ "quoted" \\ end\\'


def chat(content: Any, role: str = "tool") -> Any:
    return {"model": "m", "messages": [{"role": "user", "content": "hi"}, {"role": role, "tool_call_id": "c", "content": content}], "stream": True}  # fmt: skip


def anthropic(content: Any, *after: Any) -> Any:
    result = {"type": "tool_result", "tool_use_id": "t", "content": content}
    first = {"type": "tool_result", "tool_use_id": "s", "content": "other"}
    return {"model": "m", "messages": [{"role": "user", "content": "hi"}, {"role": "user", "content": [first, result, *after]}], "max_tokens": 9}  # fmt: skip


def responses(output: Any, kind: str = "function_call_output") -> Any:
    return {"input": [{"role": "user", "content": "hi"}, {"type": kind, "call_id": "c", "output": output}], "model": "m"}  # fmt: skip


def gemini(response: Any, name: str = "functionResponse") -> Any:
    return {"contents": [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "user", "parts": [{"text": "x"}, {name: {"name": "f", "response": response}}]}], "tools": []}  # fmt: skip


def converse(content: Any, *after: Any) -> Any:
    return {"messages": [{"role": "user", "content": [{"toolResult": {"toolUseId": "t", "content": content}}, *after]}], "system": [{"text": "s"}]}  # fmt: skip


def conversations(result: Any, kind: str = "function.result") -> Any:
    return {"inputs": [{"type": kind, "tool_call_id": "c", "result": result}]}


TEXT = {"type": "text", "text": RESULT}
SAYING = {"type": "text", "text": "remember"}
CAN = {
    "chat": ("openai_chat", chat(RESULT)),
    "chat, blocks": ("openai_chat", chat([{"type": "text", "text": "a"}, TEXT])),
    "ollama": ("ollama", chat(RESULT)),
    "cohere": ("cohere_v2", chat(RESULT)),
    "anthropic": ("anthropic_messages", anthropic(RESULT)),
    "anthropic, blocks": ("anthropic_messages", anthropic([SAYING, TEXT])),
    "anthropic, the user speaks after it": ("anthropic_messages", anthropic(RESULT, SAYING, {"type": "image"})),
    "claude on bedrock": ("bedrock_invoke", anthropic(RESULT)),
    "responses": ("openai_responses", responses(RESULT)),
    "responses, blocks": ("openai_responses", responses([{"type": "input_text", "text": RESULT}])),
    "responses, custom": ("openai_responses", responses(RESULT, "custom_tool_call_output")),
    "gemini, output": ("gemini_generate", gemini({"output": RESULT})),
    "gemini, result": ("gemini_generate", gemini({"result": RESULT, "n": 1})),
    "gemini, as in proto": ("gemini_generate", gemini({"result": RESULT}, "function_response")),
    "converse": ("bedrock_converse", converse([{"json": {}}, {"text": RESULT}])),
    "converse, the user speaks after it": ("bedrock_converse", converse([{"text": RESULT}], {"text": "x"})),
    "conversations": ("mistral_conversations", conversations(RESULT)),
}  # fmt: skip
CANNOT = {
    "another family": ("gemini_interactions", chat(RESULT)),
    "no result": ("openai_chat", chat(RESULT, "user")),
    "no messages": ("openai_chat", {"model": "m"}),
    "messages of another kind": ("openai_chat", {"messages": {"role": "tool"}}),
    "an empty list": ("openai_chat", {"messages": []}),
    "a message of another kind": ("openai_chat", {"messages": ["tool"]}),
    "a role of another kind": ("openai_chat", {"messages": [{"role": 7, "content": "x"}]}),
    "a result without content": ("openai_chat", {"messages": [{"role": "tool"}]}),
    "content of another kind": ("openai_chat", chat({"a": "b"})),
    "content that is null": ("openai_chat", chat(None)),
    "an image at the end": ("openai_chat", chat([TEXT, {"type": "image_url"}])),
    "a block without its text": ("openai_chat", chat([{"type": "text"}])),
    "no result among the blocks": ("anthropic_messages", {"messages": [{"role": "user", "content": [SAYING]}]}),
    "a user's words": ("anthropic_messages", {"messages": [{"role": "user", "content": "hi"}]}),
    "a result without text": ("anthropic_messages", anthropic([{"type": "image"}])),
    "something else at the end": ("openai_responses", {"input": [{"type": "message", "content": "x"}]}),
    "a text as input": ("openai_responses", {"input": "hi"}),
    "another member": ("gemini_generate", gemini({"temperature": "warm"})),
    "a text at the end": ("gemini_generate", {"contents": [{"parts": [{"text": "hi"}]}]}),
    "json": ("bedrock_converse", converse([{"json": {"a": "b"}}])),
    "a user's words, converse": ("bedrock_converse", {"messages": [{"content": [{"text": "hi"}]}]}),
    "something else, conversations": ("mistral_conversations", conversations(RESULT, "message.input")),
}  # fmt: skip
WRITTEN: dict[str, dict[str, Any]] = {
    "tight": {"separators": (",", ":")},
    "usual": {},
    "indented": {"indent": 2},
    "unescaped": {"ensure_ascii": False},
}


def assert_is_noted(body: bytes, dialect: str) -> None:
    """What was put in is one piece, the JSON of the note; without it the body is as it was; the result has it at its end."""
    made = add_note(dialect, body, NOTE)
    assert made is not None
    piece = json.dumps("\n\n" + NOTE, ensure_ascii=False)[1:-1].encode()
    at = made.index(piece)
    assert made[:at] + made[at + len(piece) :] == body
    assert made.count(piece) == 1
    before, after = json.dumps(json.loads(body)), json.dumps(json.loads(made))
    assert before == after.replace(json.dumps("\n\n" + NOTE)[1:-1], "")
    assert json.dumps(RESULT + "\n\n" + NOTE) in after


@pytest.mark.parametrize("style", WRITTEN)
@pytest.mark.parametrize("name", CAN)
def test_each_family_s_newest_result_gets_it(name: str, style: str):
    dialect, body = CAN[name]
    assert_is_noted(json.dumps(body, **WRITTEN[style]).encode(), dialect)


@pytest.mark.parametrize("name", CANNOT)
def test_where_there_is_no_newest_text_nothing_is_done(name: str):
    dialect, body = CANNOT[name]
    assert add_note(dialect, json.dumps(body).encode(), NOTE) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"messages":',
        b'{"messages":[{"role":"tool","content":"x"}',
        b"\xff",
        b'{"messages":[{"role":"tool","content":"x"}],"messages":[]}',
        b'{"messages":[{"role":"tool","content":"x","content":"y"}]}',
        b'{"messages":[{"role":"\xff","content":"x"}]}',
        b'{"messages":' + b"[" * 5000 + b"]" * 5000 + b"}",
        '{"messages":[{"role":"tool","content":"x"}]}'.encode("utf-16"),
    ],
)
def test_what_cannot_be_read_for_certain_is_left_alone(body: bytes):
    assert add_note("openai_chat", body, NOTE) is None


SPACES = st.text(" \t\r\n", max_size=3)


@given(
    before=st.lists(st.text(), max_size=3),
    text=st.text(),
    gaps=st.lists(SPACES, min_size=8, max_size=8),
    after=st.dictionaries(st.text(), st.text() | st.none(), max_size=2),
)
def test_whatever_stands_around_it_the_note_is_all_that_differs(
    before: list[str], text: str, gaps: list[str], after: dict[str, Any]
):
    messages = [json.dumps({"role": "user", "content": each}) for each in before]
    g = iter(gaps)
    newest = f'{{{next(g)}"content"{next(g)}:{next(g)}{json.dumps(text)}{next(g)},"role":"tool"{next(g)}}}'
    rest = "".join(f",{json.dumps(k)}:{json.dumps(v)}" for k, v in after.items() if k != "messages")  # fmt: skip
    joined = f"{next(g)},{next(g)}".join([*messages, newest])
    body = f'{{"messages":[{joined}{next(g)}]{rest}}}'.encode()
    made = add_note("openai_chat", body, "note")
    assert made is not None
    expected = json.loads(body)
    expected["messages"][-1]["content"] += "\n\nnote"
    assert json.loads(made) == expected
    assert len(made) == len(body) + len("\\n\\nnote")
