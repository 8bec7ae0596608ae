import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model import ErrorType, Kind, ToolCall, Usage
from tests.helpers.meter import ask_for, data, dumps, read, tee_for

CHAT = "/v1/chat"
META = {
    "api_version": {"version": "1"},
    "billed_units": {"input_tokens": 7, "output_tokens": 3},
    "tokens": {"input_tokens": 69, "output_tokens": 4},
}
WHOLE = {
    "response_id": "r1",
    "text": "Arrr",
    "generation_id": "g1",
    "finish_reason": "COMPLETE",
    "meta": META,
}
PIECES: list[dict[str, Any]] = [
    {"is_finished": False, "event_type": "stream-start", "generation_id": "g1"},
    {"is_finished": False, "event_type": "text-generation", "text": "Ar"},
    {"is_finished": False, "event_type": "text-generation", "text": "rr"},
    {
        "is_finished": True,
        "event_type": "stream-end",
        "response": WHOLE,
        "finish_reason": "COMPLETE",
    },
]
TOKENS = Usage(input=7, output=3)
LINES = "application/stream+json"


def lines(*values: Any) -> bytes:
    return b"".join(dumps(value) + b"\n" for value in values)


@pytest.mark.parametrize("name", ["chat", "generate", "summarize"])
def test_operations_are_recognised_by_the_end_of_the_path(name: str):
    ask = ask_for(f"/some/prefix/v1/{name}/")
    assert (ask.dialect, ask.operation, ask.kind) == ("cohere_v1", name, Kind.LLM)
    assert ask.is_step


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chats",
        "/chat",
        "/v1/generate/x",
        "/v3/summarize",
        "/xv1/chat",
        "/api/v1/chat",
    ],
)
def test_other_paths_are_not_its(path: str):
    assert ask_for(path).dialect != "cohere_v1"
    assert ask_for(CHAT, method="GET").dialect != "cohere_v1"


def test_a_request_is_read():
    body = {
        "model": "command-a",
        "message": "abc",
        "preamble": "be",
        "chat_history": [{"role": "USER", "message": "hello"}],
        "stream": True,
        "max_tokens": 9,
        "tools": [],
    }
    ask = ask_for(CHAT, json.dumps(body).encode())
    assert (ask.model, ask.stream, ask.max_output_tokens) == ("command-a", True, 9)
    assert ask.input_chars == 3 + 2 + 5 + 2
    assert ask.includes_usage is None


def test_a_request_of_writer_is_read():
    body = {
        "model": "palmyra-x4",
        "messages": [{"role": "user", "content": "abc"}],
        "stream_options": {"include_usage": True},
    }
    ask = ask_for(CHAT, json.dumps(body).encode())
    assert (ask.input_chars, ask.includes_usage) == (3, True)


@pytest.mark.parametrize(
    ("body", "well_formed"), [(b"{", False), (None, True), (b"{}", True)]
)
def test_only_a_broken_request_is_not_well_formed(
    body: bytes | None, well_formed: bool
):
    assert ask_for(CHAT, body).well_formed == well_formed


def test_a_whole_answer_is_read():
    reading = read(CHAT, dumps(WHOLE), content_type="application/json")
    assert (reading.usage, reading.usage_json) == (TOKENS, dumps(META))
    assert (reading.response_id, reading.finish_reason) == ("r1", "COMPLETE")
    assert (reading.output_chars, reading.expects_terminal) == (4, False)


@pytest.mark.parametrize("body", [lines(*PIECES), data(*PIECES)])
@pytest.mark.parametrize("content_type", [LINES, "", "application/json"])
def test_a_stream_in_lines_or_events_is_read(body: bytes, content_type: str):
    reading = read(CHAT, body, content_type=content_type)
    assert (reading.usage, reading.usage_json) == (TOKENS, dumps(META))
    assert (reading.response_id, reading.finish_reason) == ("r1", "COMPLETE")
    assert (reading.output_chars, reading.malformed) == (4, False)
    assert reading.expects_terminal
    assert reading.terminal


def test_the_stream_ends_with_its_last_line():
    tee = tee_for(CHAT, content_type=LINES)
    tee.feed(lines(*PIECES[:-1]))
    assert (tee.terminal, tee.output_started) == (False, True)
    tee.feed(lines(PIECES[-1]))
    assert tee.terminal


def test_the_end_of_a_stream_may_have_no_response():
    end = {"event_type": "stream-end", "finish_reason": "MAX_TOKENS", "meta": META}
    reading = read(CHAT, lines(*PIECES[:3], end))
    assert (reading.usage, reading.finish_reason) == (TOKENS, "MAX_TOKENS")


@pytest.mark.parametrize(
    "event",
    [
        {"event_type": "stream-end", "finish_reason": "ERROR", "response": {}},
        {"event_type": "stream-end", "finish_reason": "TIMEOUT", "response": {}},
        {"event_type": "stream-end", "error": "too bad", "response": {}},
        {"event_type": "stream-error", "finish_reason": "ERROR", "err": "too bad"},
        {"event_type": "stream-error", "error": {"type": "x"}},
    ],
)
def test_an_error_in_a_stream_is_told(event: dict[str, Any]):
    reading = read(CHAT, lines(*PIECES[:3], event))
    assert reading.error_in_stream
    assert reading.terminal
    assert reading.error_type == ErrorType.ERROR_IN_STREAM


@pytest.mark.parametrize("reason", ["ERROR_LIMIT", "ERROR_TOXIC", "MAX_TOKENS"])
def test_an_answer_that_was_cut_off_is_no_error(reason: str):
    end = {**PIECES[-1], "finish_reason": reason}
    reading = read(CHAT, lines(*PIECES[:3], end))
    assert (reading.finish_reason, reading.error_in_stream) == (reason, False)


def test_an_error_with_status_200_is_told():
    assert read(CHAT, b'{"error":{"code":"server_error"}}').error_in_stream


def test_an_error_status_is_classified():
    body = b'{"id":"7","message":"model was removed"}'
    assert read(CHAT, body, status=404).error_type == ErrorType.NOT_FOUND


CALL = {"name": "f", "parameters": {"a": 1}}


def test_tool_calls_of_a_whole_answer_are_read():
    reading = read(CHAT, dumps({**WHOLE, "tool_calls": [CALL, {"name": "g"}]}))
    assert reading.tool_calls == (ToolCall("", "f", b'{"a":1}'), ToolCall("", "g", b""))


def test_tool_calls_of_a_stream_are_read_once():
    delta = "tool-calls-chunk"
    pieces = [
        {"event_type": delta, "tool_call_delta": {}, "text": "I will"},
        {"event_type": delta},
        {"event_type": delta, "tool_call_delta": {"index": 0, "name": "f"}},
        {"event_type": delta, "tool_call_delta": {"index": 0, "parameters": '{"a"'}},
        {"event_type": delta, "tool_call_delta": {"index": 0, "parameters": ":1}"}},
    ]
    whole = {"event_type": "tool-calls-generation", "tool_calls": [CALL]}
    end = {"event_type": "stream-end", "response": {**WHOLE, "tool_calls": [CALL]}}
    expected = (ToolCall("", "f", b'{"a":1}'),)
    assert read(CHAT, lines(*pieces)).tool_calls == expected
    assert read(CHAT, lines(*pieces, whole, end)).tool_calls == expected
    assert read(CHAT, lines(PIECES[0], end)).tool_calls == expected


def test_generations_are_read():
    generations = [
        {"text": "abc", "finish_reason": "MAX_TOKENS"},
        {"text": "de", "finish_reason": "COMPLETE"},
    ]
    reading = read("/v1/generate", dumps({"id": "i", "generations": generations}))
    assert (reading.output_chars, reading.response_id) == (5, "i")
    assert reading.finish_reason == "COMPLETE"


def test_generations_of_a_stream_count_once():
    end = {"event_type": "stream-end", "response": {"generations": [{"text": "Arrr"}]}}
    assert read("/v1/generate", lines(*PIECES[:3], end)).output_chars == 4


def test_a_summary_is_read():
    reading = read("/v1/summarize", dumps({"id": "i", "summary": "abc", "meta": META}))
    assert (reading.output_chars, reading.usage) == (3, TOKENS)


USAGE = {"prompt_tokens": 39, "completion_tokens": 37, "total_tokens": 76}
WRITER = b'{"model":"palmyra-x4","stream_options":{"include_usage":true}}'


def chunk(content: str | None, reason: str | None = None, index: int = 0) -> Any:
    message = {"content": content, "role": "assistant", "tool_calls": None}
    choice = {"index": index, "finish_reason": reason, "message": message}
    return {
        "id": "w1",
        "model": "palmyra-x4",
        "choices": [{**choice, "delta": message}],
        "usage": None,
    }


def test_an_answer_of_writer_is_read():
    answer = {**chunk("abc", "stop"), "usage": USAGE, "service_tier": "standard"}
    reading = read(CHAT, dumps(answer), request=WRITER, content_type="application/json")
    assert reading.usage == Usage(input=39, output=37)
    assert (reading.model, reading.response_id) == ("palmyra-x4", "w1")
    assert (reading.output_chars, reading.service_tier) == (3, "standard")
    assert not reading.expects_terminal
    assert not reading.terminal


def test_a_stream_of_writer_ends_with_its_usage():
    last = {"id": "w1", "choices": [], "usage": USAGE}
    tee = tee_for(CHAT, request=WRITER, content_type="text/event-stream")
    tee.feed(data(chunk("abc"), chunk(None, "stop")))
    assert (tee.terminal, tee.failures) == (False, 0)
    tee.feed(data(last))
    assert tee.terminal
    reading = tee.reading()
    assert (reading.usage, reading.output_chars) == (Usage(input=39, output=37), 3)
    assert reading.finish_reason == "stop"


def test_a_stream_of_writer_also_ends_where_usage_came_with_the_choices():
    last = {**chunk(None, "stop"), "usage": USAGE}
    reading = read(CHAT, data(chunk("abc"), last), request=WRITER)
    assert (reading.usage, reading.terminal) == (Usage(input=39, output=37), True)


def test_choices_of_writer_may_come_one_after_the_other():
    body = data(chunk("a"), chunk(None, "stop"))
    asked = b'{"model":"m","n":2}'
    assert not read(CHAT, body, request=asked).terminal
    body += data(chunk("b", index=1), chunk(None, "stop", index=1))
    assert read(CHAT, body, request=asked).terminal


@pytest.mark.parametrize(
    ("request_body", "ended"),
    [(b'{"model":"m"}', True), (b"{", False), (WRITER, False)],
)
def test_a_stream_of_writer_without_usage_ends_when_all_choices_have(
    request_body: bytes, ended: bool
):
    body = data(chunk("a"), chunk("b", index=1), chunk(None, "stop"))
    assert not read(CHAT, body, request=request_body).terminal
    body += data(chunk(None, "stop", index=1))
    assert read(CHAT, body, request=request_body).terminal == ended
    body += b"data: [DONE]\n\n"
    assert read(CHAT, body, request=request_body).terminal


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["event_type", "response", "meta", "choices", "tool_calls", "usage"]
                ),
                inner,
            )
        ),
    )
)
def test_any_json_is_read_without_raising(value: Any):
    for body in (dumps(value), dumps(value) + b"\n", data(value)):
        tee = tee_for(CHAT)
        tee.feed(body)
        tee.reading()
        assert tee.failures == 0
