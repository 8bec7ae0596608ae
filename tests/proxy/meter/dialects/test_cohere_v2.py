import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model import ErrorType, Kind, ToolCall, Usage
from tests.helpers.meter import ask_for, data, dumps, named, read, tee_for

CHAT = "/v2/chat"
USAGE = {
    "billed_units": {"input_tokens": 62, "output_tokens": 28},
    "tokens": {"input_tokens": 968, "output_tokens": 83},
    "cached_tokens": 960,
}
TOKENS = Usage(input=62, output=28)
START = {
    "id": "c1",
    "type": "message-start",
    "delta": {"message": {"role": "assistant", "content": [], "tool_calls": []}},
}
END = {
    "type": "message-end",
    "delta": {"finish_reason": "COMPLETE", "usage": USAGE},
}


def message(kind: str, index: int | None = None, **said: Any) -> dict[str, Any]:
    place = {} if index is None else {"index": index}
    return {"type": kind, **place, "delta": {"message": said}}


def text(said: str, key: str = "text") -> dict[str, Any]:
    return message("content-delta", 0, content={key: said})


def call(index: int, kind: str = "tool-call-delta", **said: Any) -> dict[str, Any]:
    return message(kind, index, tool_calls=said)


def test_a_request_is_read():
    body = {
        "model": "command-a",
        "messages": [{"role": "user", "content": "abc"}],
        "stream": True,
        "max_tokens": 9,
    }
    ask = ask_for("/x/v2/chat/", json.dumps(body).encode())
    assert (ask.dialect, ask.operation, ask.kind) == ("cohere_v2", "chat", Kind.LLM)
    assert (ask.model, ask.stream, ask.max_output_tokens) == ("command-a", True, 9)
    assert (ask.input_chars, ask.is_step) == (3, True)


def test_other_paths_and_methods_are_not_its():
    assert ask_for(CHAT, method="GET").dialect != "cohere_v2"
    assert ask_for("/v2/chat/x").dialect != "cohere_v2"


@pytest.mark.parametrize(
    ("body", "well_formed"), [(b"{", False), (None, True), (b"{}", True)]
)
def test_only_a_broken_request_is_not_well_formed(
    body: bytes | None, well_formed: bool
):
    assert ask_for(CHAT, body).well_formed == well_formed


def test_a_whole_answer_is_read():
    answer = {
        "id": "c1",
        "finish_reason": "TOOL_CALL",
        "usage": USAGE,
        "message": {
            "role": "assistant",
            "tool_plan": "I will",
            "content": [
                {"type": "thinking", "thinking": "hm"},
                {"type": "text", "text": "abc"},
            ],
            "tool_calls": [
                {"id": "f_1", "function": {"name": "f", "arguments": "{}"}},
                {"id": "f_2", "function": {"name": "f", "arguments": "[]"}},
                {},
            ],
        },
    }
    reading = read(CHAT, dumps(answer))
    assert (reading.usage, reading.usage_json) == (TOKENS, dumps(USAGE))
    assert (reading.response_id, reading.finish_reason) == ("c1", "TOOL_CALL")
    assert reading.tool_calls[:2] == (
        ToolCall("f_1", "f", b"{}"),
        ToolCall("f_2", "f", b"[]"),
    )
    assert (reading.output_chars, reading.reasoning_chars) == (6 + 3 + 4, 2)
    assert not reading.expects_terminal


def test_a_stream_is_read_to_its_end():
    body = named(
        START,
        message("content-start", 0, content={"type": "text", "text": ""}),
        *map(text, ["a", "bc", 'd"e', "f"]),
        {"type": "content-end", "index": 0},
        END,
    )
    reading = read(CHAT, body + b"data: [DONE]\n\n")
    assert (reading.usage, reading.usage_json) == (TOKENS, dumps(USAGE))
    assert (reading.response_id, reading.finish_reason) == ("c1", "COMPLETE")
    assert (reading.output_chars, reading.malformed) == (7, False)


def test_the_stream_ends_before_done():
    tee = tee_for(CHAT)
    tee.feed(named(START))
    assert (tee.terminal, tee.output_started) == (False, False)
    tee.feed(named(text("a")))
    assert (tee.terminal, tee.output_started) == (False, True)
    tee.feed(named(END))
    assert tee.terminal


def test_done_alone_ends_a_stream():
    assert read(CHAT, named(START) + b"data: [DONE]\n\n").terminal


def test_thinking_and_plans_in_pieces_are_read():
    thoughts = [text(said, "thinking") for said in ("a", "b", "cc")]
    plans = [message("tool-plan-delta", tool_plan=said) for said in ("I", " w", " s")]
    reading = read(CHAT, named(START, *thoughts, *plans, END))
    assert (reading.reasoning_chars, reading.output_chars) == (4, 5)


def test_tool_calls_in_pieces_are_joined():
    pieces: list[dict[str, Any]] = [
        {"function": {"arguments": said}} for said in ('{\n  "', "a", '":', "1", "}")
    ]
    started: dict[str, Any] = {"id": "f_1", "function": {"name": "f", "arguments": ""}}
    begun: dict[str, Any] = {"id": "g_1", "function": {"name": "g", "arguments": "["}}
    body = named(
        START,
        call(0, "tool-call-start", **started),
        *(call(0, **piece) for piece in pieces),
        call(1, "tool-call-start", **begun),
        call(1, function={"arguments": "]"}),
        END,
    )
    assert read(CHAT, body).tool_calls == (
        ToolCall("f_1", "f", b'{\n  "a":1}'),
        ToolCall("g_1", "g", b"[]"),
    )


def test_structure_inside_of_text_is_text():
    said = '","usage":{"billed_units":{"input_tokens":1}},"type":"message-end'
    reading = read(CHAT, named(START, text("a"), text("b"), text(said), text("c")))
    assert (reading.usage, reading.terminal) == (None, False)
    assert reading.output_chars == 3 + len(said)


@pytest.mark.parametrize(
    "delta",
    [
        {"finish_reason": "ERROR", "error": "went wrong"},
        {"finish_reason": "ERROR"},
        {"finish_reason": "TIMEOUT"},
    ],
)
def test_an_error_in_a_stream_is_told(delta: dict[str, Any]):
    end = {"type": "message-end", "delta": {**delta, "usage": USAGE}}
    reading = read(CHAT, named(START, text("a"), end))
    assert reading.error_in_stream
    assert (reading.error_type, reading.usage) == (ErrorType.ERROR_IN_STREAM, TOKENS)


def test_an_error_status_is_classified():
    body = b'{"id":"7","message":"trial key"}'
    assert read(CHAT, body, status=429).error_type == ErrorType.RATE_LIMITED


def test_a_cut_stream_lacks_its_end():
    reading = read(CHAT, named(START, text("abc")))
    assert (reading.terminal, reading.output_chars) == (False, 3)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["type", "delta", "message", "content", "tool_calls", "usage"]
                ),
                inner,
            )
        ),
    )
)
def test_any_json_is_read_without_raising(value: Any):
    for body in (dumps(value), data(value, value)):
        tee = tee_for(CHAT)
        tee.feed(body)
        tee.reading()
        assert tee.failures == 0
