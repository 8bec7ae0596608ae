"""Mistral's conversations: usage where it comes, connectors as input, OpenAI's conversations left alone."""

from typing import Any

import pytest

from proxy.meter.dialects import recognise
from proxy.model import Kind, ToolCall, Usage
from tests.helpers.meter import EVENTS, ask_for, data, dumps, read

PATH = "/v1/conversations"
ASKED = dumps(
    {"model": "mistral-medium-latest", "inputs": "hello", "instructions": "be"}
)
USAGE: dict[str, Any] = {
    "prompt_tokens": 188,
    "completion_tokens": 55,
    "total_tokens": 7355,
    "connector_tokens": 7112,
    "connectors": {"web_search": 1},
}
COUNTED = Usage(input=7300, output=55)


@pytest.mark.parametrize("path", [PATH, PATH + "/conv_1", PATH + "/conv_1/restart"])
def test_talking_is_work(path: str):
    dialect, operation = recognise(Kind.LLM, "", "POST", path)
    assert (dialect.name, operation.is_step) == ("mistral_conversations", True)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", PATH),
        ("GET", PATH + "/conv_1/history"),
        ("DELETE", PATH + "/conv_1"),
        ("POST", PATH + "/conv_1/items"),
    ],
)
def test_the_rest_is_none(method: str, path: str):
    dialect, operation = recognise(Kind.LLM, "", method, path)
    assert (dialect.name, operation.is_step) == ("openai_other", False)


def test_the_request_is_read():
    ask = ask_for(PATH, ASKED)
    assert (ask.model, ask.stream, ask.input_chars) == (
        "mistral-medium-latest",
        False,
        7,
    )
    assert ask_for(PATH, dumps({"inputs": [], "stream": True})).stream


@pytest.mark.parametrize(
    ("body", "well_formed"),
    [
        (dumps({"items": [{"content": "hello"}], "metadata": {}}), True),
        (b"", True),
        (None, True),
        (b"[]", False),
    ],
)
def test_openais_conversations_are_no_work(body: bytes | None, well_formed: bool):
    ask = ask_for(PATH, body)
    assert (ask.is_step, ask.kind, ask.well_formed) == (False, Kind.OTHER, well_formed)


def test_a_whole_answer():
    outputs = [
        {"type": "tool.execution", "name": "web_search", "arguments": "{}"},
        {
            "type": "message.output",
            "model": "mistral-medium-2505",
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                {"type": "text", "text": "hi"},
                {"type": "tool_reference", "url": "https://a"},
            ],
        },
        {"type": "message.output", "content": "you"},
        {
            "type": "function.call",
            "tool_call_id": "c1",
            "name": "f",
            "arguments": {"a": 1},
        },
    ]
    said = {"conversation_id": "conv_1", "outputs": outputs, "usage": USAGE}
    reading = read(PATH, dumps(said), request=ASKED)
    assert (reading.response_id, reading.model) == ("conv_1", "mistral-medium-2505")
    assert (reading.usage, reading.server_tool_uses) == (COUNTED, (("web_search", 1),))
    assert (reading.output_text, reading.reasoning_text) == ("hiyou", "hm")
    assert reading.tool_calls == (ToolCall("c1", "f", b'{"a":1}'),)


STREAM: list[dict[str, Any]] = [
    {"type": "conversation.response.started", "conversation_id": "conv_1"},
    {"type": "message.output.delta", "model": "m-1", "content": "he"},
    {"type": "message.output.delta", "content": {"type": "text", "text": "llo"}},
    {
        "type": "function.call.delta",
        "tool_call_id": "c1",
        "name": "f",
        "arguments": '{"a"',
    },
    {"type": "function.call.delta", "tool_call_id": "c1", "arguments": ":1}"},
]
DONE: dict[str, Any] = {"type": "conversation.response.done", "usage": USAGE}


def test_a_stream_ends_with_its_usage():
    reading = read(
        PATH, b"".join(map(data, [*STREAM, DONE])), content_type=EVENTS, request=ASKED
    )
    assert (reading.terminal, reading.usage) == (True, COUNTED)
    assert (reading.response_id, reading.model) == ("conv_1", "m-1")
    assert reading.output_text == "hello"
    assert reading.tool_calls == (ToolCall("c1", "f", b'{"a":1}'),)


def test_a_stream_that_was_cut_has_no_end():
    reading = read(
        PATH, b"".join(map(data, STREAM)), content_type=EVENTS, request=ASKED
    )
    assert (reading.terminal, reading.expects_terminal, reading.usage) == (
        False,
        True,
        None,
    )


def test_an_error_ends_a_stream():
    failed = {"type": "conversation.response.error", "message": "no", "code": 500}
    body = b"".join(map(data, [*STREAM, failed]))
    reading = read(PATH, body, content_type=EVENTS, request=ASKED)
    assert (reading.terminal, reading.error_in_stream) == (True, True)
