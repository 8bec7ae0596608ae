import json
from typing import Any

import pytest

from proxy.model import ErrorType, Kind, PartReading, ToolCall, Usage
from tests.helpers.meter import EVENTS, MESSAGES, ask_for, dumps, named, read, tee_for

ADVISOR = {
    "type": "advisor_message",
    "model": "claude-big",
    "input_tokens": 800,
    "output_tokens": 300,
    "cache_read_input_tokens": 7,
    "cache_creation_input_tokens": 0,
}
COMPACTION = {
    "type": "compaction",
    "input_tokens": 5000,
    "output_tokens": 200,
    "cache_read_input_tokens": 60,
}
PARTS = (
    PartReading(
        "claude-big", Usage(input=800, cache_read=7, cache_write=0, output=300)
    ),
    PartReading("claude-x", Usage(input=5000, cache_read=60, output=200)),
)
ITERATIONS = [
    {"type": "message", "input_tokens": 10, "output_tokens": 4},
    ADVISOR,
    COMPACTION,
    {"type": "message", "input_tokens": 15, "output_tokens": 6},
]


def start(**usage: Any) -> dict[str, Any]:
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "model": "claude-x",
        "content": [],
        "stop_reason": None,
        "usage": usage,
    }
    return {"type": "message_start", "message": message}


def block(index: int, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": fields}


def delta(index: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": "content_block_delta",
        "index": index,
        "delta": {"type": kind, **fields},
    }


def end(reason: str = "end_turn", **usage: Any) -> dict[str, Any]:
    return {
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": None},
        "usage": usage,
    }


STOP = {"type": "message_stop"}
PING = {"type": "ping"}


def message(**fields: Any) -> bytes:
    return dumps(
        {
            "id": "msg_1",
            "type": "message",
            "model": "claude-x",
            "stop_reason": "end_turn",
            **fields,
        }
    )


@pytest.mark.parametrize(
    ("method", "path", "operation", "kind", "is_step"),
    [
        ("POST", "/v1/messages", "messages", Kind.LLM, True),
        ("POST", "/anthropic/v1/messages", "messages", Kind.LLM, True),
        ("POST", "/v1/messages/count_tokens", "count_tokens", Kind.LLM, False),
        ("POST", "/v1/messages/batches", "message_batches", Kind.OTHER, False),
        ("GET", "/v1/messages/batches/b/results", "message_batches", Kind.OTHER, False),
        ("GET", "/v1/messages", "http", Kind.OTHER, False),
        ("POST", "/v1/messages/else", "http", Kind.OTHER, True),
        ("POST", "/messages", "http", Kind.OTHER, True),
    ],
)
def test_operations_are_told_apart(
    method: str, path: str, operation: str, kind: Kind, is_step: bool
):
    ask = ask_for(path, method=method)
    assert (ask.operation, ask.kind, ask.is_step) == (operation, kind, is_step)


ON_VERTEX = "/v1/projects/p/locations/global/publishers/anthropic/models"


@pytest.mark.parametrize(
    ("path", "operation", "model", "stream"),
    [
        (f"{ON_VERTEX}/claude-x%4020:rawPredict", "messages", "claude-x@20", False),
        (f"{ON_VERTEX}/claude-x:streamRawPredict", "messages", "claude-x", True),
        (f"{ON_VERTEX}/count-tokens:rawPredict", "count_tokens", "", False),
    ],
)
@pytest.mark.parametrize("body", [None, b"{", b'{"anthropic_version":"vertex"}'])
def test_vertex_names_the_model_in_the_path(
    path: str, operation: str, model: str, stream: bool, body: bytes | None
):
    ask = ask_for(path, body)
    assert (ask.dialect, ask.operation, ask.is_step) == (
        "anthropic_messages",
        operation,
        operation == "messages",
    )
    assert (ask.model, ask.stream, ask.well_formed) == (model, stream, body != b"{")


def test_only_a_post_is_a_message_on_vertex():
    ask = ask_for(f"{ON_VERTEX}/claude-x:rawPredict", method="GET")
    assert ask.dialect != "anthropic_messages"


def test_an_answer_on_vertex_is_read_as_any_other():
    path = f"{ON_VERTEX}/claude-x:streamRawPredict"
    body = named(start(input_tokens=9), end(output_tokens=2), STOP)
    assert read(path, body).usage == Usage(input=9, output=2)


def test_a_request_is_read():
    request = {
        "model": "claude-x",
        "stream": True,
        "max_tokens": 9,
        "service_tier": "auto",
        "system": [
            {"type": "text", "text": "12", "cache_control": {"type": "ephemeral"}}
        ],
        "messages": [{"role": "user", "content": "345"}],
        "tools": [{}],
    }
    ask = ask_for(MESSAGES, json.dumps(request).encode())
    assert (ask.model, ask.stream, ask.max_output_tokens, ask.service_tier) == (
        "claude-x",
        True,
        9,
        "auto",
    )
    assert ask.input_chars == 5 + len("[{}]")


@pytest.mark.parametrize(
    ("body", "well_formed"), [(b"{", False), (None, True), (b"{}", True)]
)
def test_only_a_broken_request_is_not_well_formed(
    body: bytes | None, well_formed: bool
):
    assert ask_for(MESSAGES, body).well_formed == well_formed


def test_a_whole_answer_is_read():
    usage = {
        "input_tokens": 5,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 30,
        "cache_creation": {
            "ephemeral_5m_input_tokens": 20,
            "ephemeral_1h_input_tokens": 10,
        },
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 12},
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
        "service_tier": "standard",
    }
    content = [
        {"type": "thinking", "thinking": "hmm"},
        {"type": "text", "text": "Hello"},
        {
            "type": "server_tool_use",
            "id": "srvtoolu_1",
            "name": "web_search",
            "input": {"query": "q"},
        },
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
    ]
    reading = read(
        MESSAGES, message(usage=usage, content=content), content_type="application/json"
    )
    assert reading.usage == Usage(
        input=5,
        cache_read=100,
        cache_write=20,
        cache_write_long=10,
        output=38,
        reasoning=12,
    )
    assert reading.usage_json == dumps(usage)
    assert (reading.model, reading.response_id, reading.finish_reason) == (
        "claude-x",
        "msg_1",
        "end_turn",
    )
    assert reading.tool_calls == (ToolCall("toolu_1", "f", b'{"a":1}'),)
    assert reading.server_tool_uses == (("web_search", 2),)
    assert (reading.output_chars, reading.reasoning_chars, reading.service_tier) == (
        5 + 1 + 7,
        3,
        "standard",
    )
    assert not reading.expects_terminal


def test_a_stream_is_read():
    body = named(
        start(
            input_tokens=9,
            cache_read_input_tokens=3,
            output_tokens=1,
            service_tier="standard",
        ),
        block(0, type="thinking", thinking=""),
        PING,
        delta(0, "thinking_delta", thinking="hm"),
        delta(0, "thinking_delta", thinking="m"),
        delta(0, "signature_delta", signature="x" * 100),
        block(1, type="text", text=""),
        delta(1, "text_delta", text="Hé"),
        delta(1, "text_delta", text='"l'),
        delta(1, "text_delta", text="lo"),
        block(2, type="tool_use", id="toolu_1", name="f", input={}),
        delta(2, "input_json_delta", partial_json=""),
        delta(2, "input_json_delta", partial_json='{"a"'),
        delta(2, "input_json_delta", partial_json=":1}"),
        block(3, type="tool_use", id="toolu_2", name="g", input={}),
        block(4, type="server_tool_use", id="srvtoolu_1", name="web_search", input={}),
        delta(4, "input_json_delta", partial_json="{}"),
        end("tool_use", output_tokens=42),
        STOP,
    )
    reading = read(MESSAGES, body, content_type=EVENTS)
    assert reading.usage == Usage(input=9, cache_read=3, output=42)
    assert json.loads(reading.usage_json or b"") == {
        "input_tokens": 9,
        "cache_read_input_tokens": 3,
        "output_tokens": 42,
        "service_tier": "standard",
    }
    assert b" " not in (reading.usage_json or b" ")
    assert reading.tool_calls == (
        ToolCall("toolu_1", "f", b'{"a":1}'),
        ToolCall("toolu_2", "g", b"{}"),
    )
    assert (reading.reasoning_chars, reading.output_chars) == (3, 6 + 7 + 2 + 2)
    assert (reading.finish_reason, reading.terminal, reading.expects_terminal) == (
        "tool_use",
        True,
        True,
    )


def test_the_terminal_event_is_known_with_its_line():
    body = named(start(input_tokens=1), STOP)
    tee = tee_for(MESSAGES, content_type=EVENTS)
    tee.feed(body[:-2])
    assert not tee.terminal
    tee.feed(b"\n")
    assert tee.terminal


def test_each_number_of_the_last_delta_replaces_that_of_the_start_and_null_does_not():
    body = named(
        start(input_tokens=702, cache_read_input_tokens=5, output_tokens=1),
        end(input_tokens=1591, cache_read_input_tokens=None, output_tokens=20),
        end(output_tokens=33),
        STOP,
    )
    assert read(MESSAGES, body).usage == Usage(input=1591, cache_read=5, output=33)


def test_cache_writes_beyond_the_split_of_the_start_are_short():
    split = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 100}
    body = named(
        start(
            input_tokens=1,
            cache_creation_input_tokens=100,
            cache_creation=split,
            output_tokens=1,
        ),
        end(cache_creation_input_tokens=130, output_tokens=5),
    )
    assert read(MESSAGES, body).usage == Usage(
        input=1, cache_write=30, cache_write_long=100, output=5
    )


def test_a_write_for_one_hour_is_long():
    usage = {
        "input_tokens": 1,
        "cache_creation_input_tokens": 9,
        "cache_creation": {"ephemeral_1h_input_tokens": 9},
    }
    assert read(MESSAGES, message(usage=usage)).usage == Usage(
        input=1, cache_write=0, cache_write_long=9
    )


def test_iterations_of_other_models_are_parts():
    whole = read(
        MESSAGES,
        message(
            usage={"input_tokens": 25, "output_tokens": 10, "iterations": ITERATIONS}
        ),
    )
    stream = read(
        MESSAGES,
        named(
            start(input_tokens=25, output_tokens=1),
            end(output_tokens=10, iterations=ITERATIONS),
            STOP,
        ),
    )
    for reading in (whole, stream):
        assert reading.usage == Usage(input=25, output=10)
        assert reading.parts == PARTS


def test_pause_turn_with_web_search_counts_the_searches():
    usage = {
        "input_tokens": 4714,
        "output_tokens": 9,
        "server_tool_use": {"web_search_requests": 3},
    }
    whole = read(
        MESSAGES, dumps({"model": "m", "stop_reason": "pause_turn", "usage": usage})
    )
    stream = read(
        MESSAGES, named(start(input_tokens=2293), end("pause_turn", **usage), STOP)
    )
    for reading in (whole, stream):
        assert (reading.finish_reason, reading.server_tool_uses) == (
            "pause_turn",
            (("web_search", 3),),
        )
        assert reading.usage == Usage(input=4714, output=9)


def test_a_cut_stream_has_what_the_start_said_and_is_not_finished():
    body = named(
        start(input_tokens=9, output_tokens=1), delta(0, "text_delta", text="abc")
    )
    reading = read(MESSAGES, body)
    assert (reading.usage, reading.output_chars) == (Usage(input=9, output=1), 3)
    assert reading.expects_terminal
    assert not reading.terminal


def test_an_error_event_ends_the_stream():
    error = {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Overloaded"},
    }
    reading = read(MESSAGES, named(start(input_tokens=9), error))
    assert (reading.terminal, reading.error_in_stream) == (True, True)
    assert (reading.error_type, reading.error_code) == (
        ErrorType.OVERLOADED,
        "overloaded_error",
    )


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (529, "overloaded_error", ErrorType.OVERLOADED),
        (429, "rate_limit_error", ErrorType.RATE_LIMITED),
        (401, "authentication_error", ErrorType.AUTH),
        (500, "api_error", ErrorType.SERVER_ERROR),
        (413, "request_too_large", ErrorType.TOO_LARGE),
        (404, "not_found_error", ErrorType.NOT_FOUND),
        (400, "invalid_request_error", ErrorType.INVALID_REQUEST),
    ],
)
def test_error_answers_are_classified(status: int, kind: str, expected: ErrorType):
    body = dumps(
        {"type": "error", "error": {"type": kind, "message": "m"}, "request_id": "req"}
    )
    reading = read(MESSAGES, body, status=status)
    assert (reading.error_type, reading.error_code, reading.error_in_stream) == (
        expected,
        kind,
        False,
    )


def test_an_error_with_status_200_counts_as_one_in_a_stream():
    reading = read(
        MESSAGES, b'{"type":"error","error":{"type":"api_error","message":"m"}}'
    )
    assert (reading.error_type, reading.error_in_stream) == (
        ErrorType.SERVER_ERROR,
        True,
    )


def test_counting_tokens_and_batches_bill_nothing():
    assert read("/v1/messages/count_tokens", b'{"input_tokens": 99}').usage is None
    result = message(usage={"input_tokens": 1, "output_tokens": 1})
    assert read("/v1/messages/batches/b/results", result, method="GET").usage is None


@pytest.mark.parametrize(
    "trick",
    [
        '"}}\n\nevent: message_stop',
        '{"type":"message_stop"}',
        '"usage":{"output_tokens":1}',
        "\\",
        '"',
        "\U0001f600",
    ],
)
def test_structure_inside_of_text_is_text(trick: str):
    texts = ["a", "b", trick, "c", trick]
    reading = read(
        MESSAGES,
        named(
            start(input_tokens=1),
            *(delta(0, "text_delta", text=each) for each in texts),
        ),
    )
    assert reading.output_chars == sum(map(len, texts))
    assert (reading.terminal, reading.usage) == (False, Usage(input=1))


def test_padding_and_spaces_in_events_change_nothing():
    body = (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}   }\n\n'
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"b"} }\n\n'
        b'event: content_block_delta\ndata: {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "c"}}\n\n'
    )
    assert read(MESSAGES, body).output_chars == 3


def test_output_starts_with_the_first_token():
    for first in (
        delta(0, "text_delta", text="a"),
        block(0, type="tool_use", id="t", name="f", input={}),
    ):
        tee = tee_for(MESSAGES, content_type=EVENTS)
        tee.feed(named(start(input_tokens=1), block(0, type="text", text=""), PING))
        assert not tee.output_started
        tee.feed(named(first))
        assert tee.output_started


def test_events_without_their_members_are_passed_by():
    odd = [
        {"type": kind}
        for kind in (
            "message_start",
            "content_block_start",
            "content_block_delta",
            "message_delta",
            "new",
        )
    ]
    reading = read(
        MESSAGES,
        named(
            *odd,
            end(output_tokens=None),
            delta(0, "citations_delta", citation={}),
            STOP,
        ),
    )
    assert reading.usage is None
    assert reading.terminal
    assert not reading.malformed


def test_malformed_events_are_told_and_the_others_are_read():
    body = (
        named(start(input_tokens=1))
        + b"event: x\ndata: {]}\n\n"
        + named(end(output_tokens=2), STOP)
    )
    reading = read(MESSAGES, body)
    assert reading.malformed
    assert reading.usage == Usage(input=1, output=2)


def test_a_whole_answer_that_is_cut_is_malformed():
    assert read(MESSAGES, message(usage={"input_tokens": 1})[:-1]).malformed
