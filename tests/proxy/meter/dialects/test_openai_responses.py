import json
from typing import Any

import pytest

from proxy.model import ErrorType, ToolCall, Usage
from tests.helpers.meter import EVENTS, RESPONSES, ask_for, dumps, named, read, tee_for

USAGE: dict[str, Any] = {
    "input_tokens": 100,
    "input_tokens_details": {
        "cached_tokens": 30,
        "cache_write_tokens": 20,
        "cache_write_tokens_details": {"ttl_30m_tokens": 15, "ttl_12h_tokens": 5},
    },
    "output_tokens": 40,
    "output_tokens_details": {"reasoning_tokens": 10},
    "total_tokens": 140,
}
BUCKETS = Usage(
    input=50, cache_read=30, cache_write=15, cache_write_long=5, output=30, reasoning=10
)
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "f",
    "arguments": '{"a":1}',
}
TEXT = {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
GET = "/v1/responses/resp_1"


def response(
    status: str = "completed", usage: Any = USAGE, **more: Any
) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "model": "gpt-x",
        "status": status,
        "usage": usage,
        **more,
    }


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", **fields}


def text(delta: str, number: int) -> dict[str, Any]:
    return event(
        "output_text.delta",
        sequence_number=number,
        item_id="msg",
        output_index=0,
        delta=delta,
        logprobs=[],
    )


STARTED = (
    event("created", response=response("in_progress", None)),
    event("in_progress", response=response("in_progress", None)),
)


@pytest.mark.parametrize(
    ("method", "path", "operation", "is_step"),
    [
        ("POST", "/v1/responses", "responses", True),
        ("POST", "/openai/v1/responses/", "responses", True),
        ("POST", "/v1/responses/compact", "responses_compact", True),
        ("POST", "/v1/responses/input_tokens", "responses_input_tokens", False),
        ("GET", "/v1/responses/resp_1", "responses_get", False),
        ("POST", "/v1/responses/resp_1/cancel", "responses_cancel", False),
        ("DELETE", "/v1/responses/resp_1", "responses_delete", False),
        ("GET", "/v1/responses/resp_1/input_items", "responses_input_items", False),
        ("GET", "/v1/responses", "http", False),
        ("PUT", "/v1/responses/resp_1/other", "http", True),
        ("POST", "/v1/responses/a/b/c", "http", True),
    ],
)
def test_operations_are_told_apart(
    method: str, path: str, operation: str, is_step: bool
):
    ask = ask_for(path, method=method)
    assert (ask.operation, ask.is_step) == (operation, is_step)


def test_a_request_is_read():
    request = {
        "model": "gpt-x",
        "stream": True,
        "background": True,
        "service_tier": "priority",
        "max_output_tokens": 5,
        "instructions": "12",
        "input": [{"role": "user", "content": "345"}],
        "tools": [{}],
    }
    ask = ask_for(RESPONSES, json.dumps(request).encode())
    assert (ask.model, ask.stream, ask.background, ask.service_tier) == (
        "gpt-x",
        True,
        True,
        "priority",
    )
    assert (ask.max_output_tokens, ask.input_chars) == (5, 5 + len("[{}]"))


@pytest.mark.parametrize(
    ("body", "well_formed"), [(b"[", False), (None, True), (b"{}", True)]
)
def test_only_a_broken_request_is_not_well_formed(
    body: bytes | None, well_formed: bool
):
    assert ask_for(RESPONSES, body).well_formed == well_formed


def test_a_whole_answer_is_read():
    items = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        TEXT,
        CALL,
        SEARCH,
        SEARCH,
    ]
    reading = read(
        RESPONSES,
        json.dumps(
            response(output=items, service_tier="default", error=None), indent=2
        ).encode(),
    )
    assert reading.usage == BUCKETS
    assert json.loads(reading.usage_json or b"") == USAGE
    assert (reading.model, reading.response_id, reading.finish_reason) == (
        "gpt-x",
        "resp_1",
        "completed",
    )
    assert reading.tool_calls == (ToolCall("call_1", "f", b'{"a":1}'),)
    assert reading.server_tool_uses == (("web_search", 2),)
    assert (reading.output_chars, reading.reasoning_chars, reading.service_tier) == (
        5 + 7,
        2,
        "default",
    )
    assert not reading.expects_terminal


def test_a_stream_is_read_and_ends_with_its_terminal_event():
    body = named(
        *STARTED,
        event("reasoning_summary_text.delta", delta="hmm", output_index=0),
        event("output_item.added", output_index=1, item={**CALL, "arguments": ""}),
        event("function_call_arguments.delta", output_index=1, delta='{"a"'),
        event("function_call_arguments.delta", output_index=1, delta=":1}"),
        event("output_item.done", output_index=1, item=CALL),
        event("output_item.done", output_index=2, item=SEARCH),
        text("He", 7),
        text('l"l', 8),
        text("o", 9),
        event("refusal.delta", delta="no"),
        event("audio.delta", delta="AAAA"),
        event("output_text.done", text="Hello"),
    )
    cut = read(RESPONSES, body, content_type=EVENTS)
    assert cut.expects_terminal
    assert not cut.terminal
    assert cut.usage is None
    assert not cut.deferred
    done = read(
        RESPONSES,
        body
        + named(event("completed", response=response(output=[CALL, SEARCH, TEXT]))),
    )
    assert (done.usage, done.terminal, done.finish_reason) == (
        BUCKETS,
        True,
        "completed",
    )
    for reading in (cut, done):
        assert reading.tool_calls == (ToolCall("call_1", "f", b'{"a":1}'),)
        assert reading.server_tool_uses == (("web_search", 1),)
        assert (reading.output_chars, reading.reasoning_chars) == (2 + 3 + 1 + 2 + 7, 3)
        assert (reading.model, reading.response_id) == ("gpt-x", "resp_1")


def test_a_call_cut_in_the_middle_keeps_what_came():
    body = named(
        event("output_item.added", output_index=0, item={**CALL, "arguments": ""}),
        event("function_call_arguments.delta", output_index=0, delta='{"a'),
        event("function_call_arguments.delta", output_index=5, delta="lost"),
    )
    reading = read(RESPONSES, body)
    assert reading.tool_calls == (ToolCall("call_1", "f", b'{"a'),)
    assert reading.output_chars == 3 + 4


def test_tools_that_openai_defines_are_calls_with_their_action():
    items = [
        {"type": "custom_tool_call", "call_id": "1", "name": "g", "input": "free"},
        {"type": "computer_call", "call_id": "2", "action": {"type": "click"}},
        {"type": "apply_patch_call", "call_id": "3", "operation": {"type": "delete"}},
        {"type": "mcp_list_tools"},
    ]
    assert read(RESPONSES, dumps(response(output=items))).tool_calls == (
        ToolCall("1", "g", b"free"),
        ToolCall("2", "computer_call", b'{"type":"click"}'),
        ToolCall("3", "apply_patch_call", b'{"type":"delete"}'),
    )


@pytest.mark.parametrize("kind", ["completed", "incomplete", "cancelled"])
def test_each_way_to_end_is_terminal(kind: str):
    details = {"reason": "max_output_tokens"} if kind == "incomplete" else None
    reading = read(
        RESPONSES,
        named(event(kind, response=response(kind, incomplete_details=details))),
    )
    assert reading.terminal
    assert reading.usage == BUCKETS
    assert reading.finish_reason == (
        "max_output_tokens" if kind == "incomplete" else kind
    )
    assert not reading.error_in_stream


def test_a_failed_response_is_an_error_inside_of_the_stream():
    failed = response(
        "failed", None, error={"code": "rate_limit_exceeded", "message": "slow"}
    )
    reading = read(RESPONSES, named(*STARTED, event("failed", response=failed)))
    assert (reading.terminal, reading.error_in_stream, reading.finish_reason) == (
        True,
        True,
        "failed",
    )
    assert (reading.error_type, reading.error_code) == (
        ErrorType.RATE_LIMITED,
        "rate_limit_exceeded",
    )


def test_a_failed_response_without_a_reason_is_still_an_error():
    reading = read(
        RESPONSES, named(event("failed", response=response("failed", None, error=None)))
    )
    assert (reading.error_in_stream, reading.error_type) == (
        True,
        ErrorType.ERROR_IN_STREAM,
    )


@pytest.mark.parametrize(
    "error",
    [
        {
            "type": "error",
            "code": "server_error",
            "message": "m",
            "param": None,
            "sequence_number": 3,
        },
        {
            "type": "error",
            "error": {"type": "server_error", "code": None, "message": "m"},
        },
    ],
)
def test_an_error_event_ends_the_stream(error: dict[str, Any]):
    reading = read(RESPONSES, named(*STARTED, text("a", 1), error))
    assert (reading.terminal, reading.error_in_stream, reading.output_chars) == (
        True,
        True,
        1,
    )
    assert (reading.error_type, reading.error_code) == (
        ErrorType.SERVER_ERROR,
        "server_error",
    )


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_a_background_response_is_deferred(status: str):
    request = b'{"model":"gpt-x","background":true}'
    reading = read(RESPONSES, dumps(response(status, None)), request=request)
    assert reading.deferred
    assert (reading.usage, reading.response_id, reading.finish_reason) == (
        None,
        "resp_1",
        "",
    )
    assert read(GET, dumps(response(status, None)), method="GET").deferred


def test_a_background_stream_that_is_cut_is_deferred_and_a_finished_one_is_not():
    request = b'{"model":"gpt-x","background":true,"stream":true}'
    start = named(event("queued", response=response("queued", None)), text("a", 1))
    assert read(RESPONSES, start, request=request).deferred
    done = read(
        RESPONSES,
        start + named(event("completed", response=response())),
        request=request,
    )
    assert not done.deferred
    assert done.usage == BUCKETS


def test_getting_a_finished_response_carries_its_usage():
    reading = read(GET, dumps(response(output=[CALL])), method="GET")
    assert (reading.usage, reading.deferred, reading.response_id) == (
        BUCKETS,
        False,
        "resp_1",
    )


def test_getting_a_failed_response_is_no_failure_of_the_get():
    failed = response("failed", None, error={"code": "server_error", "message": "m"})
    reading = read(GET, dumps(failed), method="GET")
    assert (reading.error_in_stream, reading.error_code) == (False, "server_error")
    assert read(RESPONSES, dumps(failed)).error_in_stream


def test_a_resumed_stream_takes_all_from_its_last_event():
    body = named(event("completed", response=response(output=[TEXT, CALL, SEARCH])))
    reading = read(GET, body, method="GET", content_type=EVENTS)
    assert (reading.usage, reading.terminal, reading.output_chars) == (
        BUCKETS,
        True,
        5 + 7,
    )
    assert reading.tool_calls == (ToolCall("call_1", "f", b'{"a":1}'),)
    assert reading.server_tool_uses == (("web_search", 1),)


def test_compacting_is_billed_and_counting_is_not():
    compaction = {
        "id": "resp_2",
        "object": "response.compaction",
        "output": [],
        "usage": USAGE,
    }
    assert read("/v1/responses/compact", dumps(compaction)).usage == BUCKETS
    assert read("/v1/responses/input_tokens", b'{"input_tokens": 11}').usage is None
    assert (
        read(
            GET + "/input_items", dumps({"data": [], "usage": USAGE}), method="GET"
        ).usage
        is None
    )


def test_a_done_line_after_the_terminal_event_is_harmless():
    body = named(event("completed", response=response())) + b"data: [DONE]\n\n"
    assert read(RESPONSES, body).usage == BUCKETS


def test_the_name_of_an_event_serves_where_its_data_has_no_type():
    body = b"event: response.completed\ndata: %b\n\n" % dumps({"response": response()})
    assert read(RESPONSES, body).terminal


@pytest.mark.parametrize(
    "trick",
    [
        '","delta":"',
        '{"type":"response.completed","response":{}}',
        '"usage":{"input_tokens":1}',
        "\\",
        '"',
        "é\U0001f600",
    ],
)
def test_structure_inside_of_text_is_text(trick: str):
    texts = ["a", trick, "b", trick]
    reading = read(
        RESPONSES, named(*STARTED, *(text(each, n) for n, each in enumerate(texts)))
    )
    assert reading.output_chars == sum(map(len, texts))
    assert (reading.terminal, reading.usage, reading.malformed) == (False, None, False)


def test_members_in_another_order_and_with_spaces_are_read():
    spaced = json.dumps(
        {"delta": "abc", "output_index": 0, "type": "response.output_text.delta"}
    )
    sorted_keys = b'{"type":"response.output_text.delta","content_index":0,"delta":"de","sequence_number":4}'
    body = b"data: %b\n\ndata: %b\n\n" % (spaced.encode(), sorted_keys)
    assert read(RESPONSES, body).output_chars == 5


@pytest.mark.parametrize(
    "line",
    [
        b'data: {"type":"response.output_text.delta","delta":"x',
        b'data: {"type":"response.output_text.delta",}',
    ],
)
def test_a_broken_delta_is_malformed(line: bytes):
    assert read(RESPONSES, line + b"\n\n").malformed


def test_a_delta_that_is_no_text_is_no_text():
    assert (
        read(RESPONSES, named(event("output_text.delta", delta=None))).output_chars == 0
    )


def test_output_starts_with_the_first_token():
    tee = tee_for(RESPONSES, content_type=EVENTS)
    tee.feed(
        named(
            *STARTED,
            event("output_item.added", output_index=0, item={"type": "reasoning"}),
        )
    )
    assert not tee.output_started
    tee.feed(named(text("a", 1)))
    assert tee.output_started


def test_an_error_answer_to_a_stream_is_read_as_json():
    body = b'{"error": {"message": "m", "type": "invalid_request_error", "param": "model", "code": "model_not_found"}}'
    reading = read(
        RESPONSES,
        body,
        status=400,
        request=b'{"stream": true}',
        content_type="application/json",
    )
    assert (reading.error_type, reading.error_code) == (
        ErrorType.NOT_FOUND,
        "model_not_found",
    )


def test_xais_tools_are_counted_as_often_as_they_ran_and_its_price_is_taken():
    usage = {
        **USAGE,
        "server_side_tool_usage_details": {"x_search_calls": 3, "web_search_calls": 2},
        "cost_in_usd_ticks": 318_319_000,
    }
    output = [{"type": "web_search_call"}, {"type": "file_search_call"}]
    reading = read(RESPONSES, dumps({"id": "r", "output": output, "usage": usage}))
    assert reading.server_tool_uses == (("file_search", 1), ("web_search", 2), ("x_search", 3))  # fmt: skip
    assert reading.cost == 31_831_900_000


@pytest.mark.parametrize(
    ("options", "is_step"),
    [({"prewarm": True}, False), ({"prewarm": False}, True), (None, True), (1, True)],
)
def test_filling_the_cache_is_billed_but_no_work(options: object, is_step: bool):
    body = dumps({"model": "m", "prompt_cache_options": options})
    assert ask_for(RESPONSES, body).is_step == is_step
