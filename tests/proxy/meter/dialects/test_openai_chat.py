import json
from typing import Any

import pytest

from proxy.model import ErrorType, Kind, ToolCall, Usage
from tests.helpers.meter import CHAT, EVENTS, ask_for, data, dumps, read, tee_for

USAGE: dict[str, Any] = {
    "prompt_tokens": 100,
    "completion_tokens": 50,
    "total_tokens": 150,
    "prompt_tokens_details": {
        "cached_tokens": 40,
        "cache_write_tokens": 10,
        "audio_tokens": 5,
        "image_tokens": 3,
    },
    "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 4},
}
BUCKETS = Usage(
    input=42,
    cache_read=40,
    cache_write=10,
    audio_in=5,
    image_in=3,
    output=26,
    reasoning=20,
    audio_out=4,
)


def chunk(
    delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any
) -> dict[str, Any]:
    choices = (
        []
        if delta is None
        else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    )
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "model": "gpt-x",
        "choices": choices,
        **more,
    }


def answer(message: dict[str, Any], **more: Any) -> dict[str, Any]:
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return {
        "id": "chatcmpl-1",
        "model": "gpt-x",
        "choices": choices,
        "usage": USAGE,
        **more,
    }


@pytest.mark.parametrize(
    ("method", "path", "operation", "is_step"),
    [
        ("POST", "/v1/chat/completions", "chat", True),
        ("POST", "//openai/deployments/d/chat/completions/", "chat", True),
        ("POST", "/api/paas/v4/chat/completions", "chat", True),
        ("GET", "/v1/chat/completions", "stored_chat", False),
        ("GET", "/v1/chat/completions/chatcmpl-1", "stored_chat", False),
        ("DELETE", "/v1/chat/completions/chatcmpl-1", "stored_chat", False),
        ("POST", "/v1/chat/completionsx", "http", True),
    ],
)
def test_chat_is_known_under_any_base_path(
    method: str, path: str, operation: str, is_step: bool
):
    ask = ask_for(path, method=method)
    assert (ask.operation, ask.is_step) == (operation, is_step)


def test_a_request_is_read():
    request = {
        "model": "gpt-x",
        "stream": True,
        "stream_options": {"include_usage": False},
        "service_tier": "flex",
        "max_tokens": 7,
        "max_completion_tokens": 9,
        "messages": [
            {"role": "user", "content": "12345"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "678"},
                    {"type": "image_url", "image_url": {"url": "x" * 99}},
                ],
            },
        ],
        "tools": [1],
    }
    ask = ask_for(CHAT, json.dumps(request).encode())
    assert (ask.dialect, ask.kind, ask.model, ask.stream) == (
        "openai_chat",
        Kind.LLM,
        "gpt-x",
        True,
    )
    assert (ask.includes_usage, ask.service_tier, ask.max_output_tokens) == (
        False,
        "flex",
        9,
    )
    assert ask.input_chars == 8 + len("[1]")
    assert ask.well_formed


def test_a_request_that_says_little_leaves_the_rest_open():
    ask = ask_for(CHAT, b'{"model": 3, "max_tokens": 7, "stream": "yes"}')
    assert (ask.model, ask.stream, ask.includes_usage, ask.max_output_tokens) == (
        "",
        False,
        None,
        7,
    )


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"stream_options": 3}'])
def test_a_request_that_is_none_is_told(body: bytes):
    assert not ask_for(CHAT, body).well_formed


def test_a_request_that_was_not_read_is_not_blamed():
    assert ask_for(CHAT, None).well_formed


def test_usage_of_a_whole_answer_is_split_into_disjoint_buckets():
    body = json.dumps(
        answer({"content": "hi"}, service_tier="default"), indent=2
    ).encode()
    reading = read(CHAT, body, content_type="application/json")
    assert reading.usage == BUCKETS
    assert json.loads(reading.usage_json or b"") == USAGE
    assert b"\n" in (reading.usage_json or b"")
    assert (reading.model, reading.response_id, reading.finish_reason) == (
        "gpt-x",
        "chatcmpl-1",
        "stop",
    )
    assert (reading.service_tier, reading.output_chars, reading.expects_terminal) == (
        "default",
        2,
        False,
    )


def test_the_extra_chunk_without_choices_carries_the_usage():
    body = data(
        chunk({"role": "assistant", "content": ""}, usage=None),
        chunk({"content": "Hé"}, usage=None, obfuscation="a"),
        chunk({"content": "llo"}, usage=None, obfuscation="bcd"),
        chunk({}, "stop", usage=None),
        chunk(usage=USAGE),
        done=True,
    )
    reading = read(CHAT, body, content_type=EVENTS)
    assert reading.usage == BUCKETS
    assert reading.usage_json == dumps(USAGE)
    assert (reading.finish_reason, reading.output_chars) == ("stop", 5)
    assert reading.expects_terminal
    assert reading.terminal


def test_a_stream_without_usage_has_none():
    reading = read(
        CHAT,
        data(
            chunk({"content": "a"}, usage=None),
            chunk({}, "stop", usage=None),
            done=True,
        ),
    )
    assert reading.usage is None
    assert reading.usage_json is None
    assert reading.terminal


def test_of_cumulative_usage_the_last_wins():
    steps = [
        chunk({"content": "a"}, usage={"prompt_tokens": 5, "completion_tokens": n})
        for n in (1, 2, 3)
    ]
    assert read(CHAT, data(*steps, done=True)).usage == Usage(input=5, output=3)


def test_the_first_chunk_of_azure_does_not_disturb():
    first = {
        "choices": [],
        "created": 0,
        "id": "",
        "model": "",
        "prompt_filter_results": [{"prompt_index": 0}],
    }
    reading = read(
        CHAT,
        data(
            first,
            chunk({"content": "a"}),
            chunk({}, "stop"),
            chunk(usage=USAGE),
            done=True,
        ),
    )
    assert (reading.model, reading.response_id, reading.usage) == (
        "gpt-x",
        "chatcmpl-1",
        BUCKETS,
    )


def test_groq_puts_usage_beside():
    last = chunk(
        {},
        "stop",
        x_groq={"id": "r", "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
    )
    assert read(CHAT, data(last, done=True)).usage == Usage(input=1, output=2)


@pytest.mark.parametrize("spaces", [(", ", ": "), (",", ":"), (" ,\t", " : ")])
def test_white_space_in_events_changes_nothing(spaces: tuple[str, str]):
    chunks = [
        chunk({"content": "a"}),
        chunk({"content": "b"}),
        chunk({}, "stop"),
        chunk(usage=USAGE),
    ]
    body = b"".join(
        b"data: %b\n\n" % json.dumps(each, separators=spaces).encode()
        for each in chunks
    )
    reading = read(CHAT, body + b"data:[DONE]\r\n\r\n")
    assert (reading.usage, reading.output_chars, reading.terminal) == (BUCKETS, 2, True)


TRICKS = [
    '"usage":{"prompt_tokens":9,"completion_tokens":9}',
    '"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9}}',
    'data: [DONE]\n\ndata: {"error":{}}',
    '\\"finish_reason\\":\\"length\\"',
    "\\",
    '"',
    "\u2028\U0001f600é",
]


@pytest.mark.parametrize("trick", TRICKS)
def test_structure_inside_of_text_is_text(trick: str):
    texts = ["plain", "plainer", trick, "again", trick, "end"]
    body = data(
        *(chunk({"content": text}) for text in texts), chunk({}, "stop"), done=True
    )
    reading = read(CHAT, body)
    assert reading.output_chars == sum(map(len, texts))
    assert (reading.usage, reading.finish_reason, reading.error_in_stream) == (
        None,
        "stop",
        False,
    )
    assert not read(CHAT, body.removesuffix(b"data: [DONE]\n\n")).terminal


def test_a_usage_object_where_none_belongs_is_not_believed():
    odd = chunk(
        {"content": "a", "usage": {"prompt_tokens": 1}},
        metadata={"usage": {"prompt_tokens": 2}},
    )
    assert read(CHAT, data(odd, done=True)).usage is None


def test_tool_calls_are_assembled_over_deltas():
    calls: list[dict[str, Any]] = [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"index": 0, "id": "call_a", "function": {"name": "f", "arguments": ""}}
            ],
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"x'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '":1'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]},
        {
            "tool_calls": [
                {
                    "index": 1,
                    "id": "call_b",
                    "function": {"name": "g", "arguments": "{"},
                }
            ]
        },
        {
            "tool_calls": [
                {"index": 1, "function": {"arguments": "}é"}},
                {"index": 0, "function": {"arguments": " "}},
            ]
        },
        {"tool_calls": [{"index": 1, "function": {"arguments": "!"}}]},
    ]
    reading = read(
        CHAT, data(*(chunk(each) for each in calls), chunk({}, "tool_calls"), done=True)
    )
    assert reading.tool_calls == (
        ToolCall("call_a", "f", b'{"x":1} '),
        ToolCall("call_b", "g", "{}é!".encode()),
    )
    assert reading.finish_reason == "tool_calls"
    assert reading.output_chars == 8 + 4


def test_calls_that_share_an_index_are_told_apart_by_their_ids():
    def call(call_id: str, arguments: str) -> dict[str, Any]:
        function = {"name": "f", "arguments": arguments}
        return chunk(
            {"tool_calls": [{"index": 0, "id": call_id, "function": function}]}
        )

    body = data(
        call("a", "{}"), call("b", "[1"), call("b", ",2"), call("b", "]"), done=True
    )
    assert read(CHAT, body).tool_calls == (
        ToolCall("a", "f", b"{}"),
        ToolCall("b", "f", b"[1,2]"),
    )


def test_pieces_of_custom_tool_calls_are_assembled():
    first = {"index": 0, "id": "a", "custom": {"name": "g", "input": ""}}
    pieces = [first, *({"index": 0, "custom": {"input": piece}} for piece in "xyz")]
    body = data(*(chunk({"tool_calls": [each]}) for each in pieces), done=True)
    assert read(CHAT, body).tool_calls == (ToolCall("a", "g", b"xyz"),)


def test_tool_calls_of_a_whole_answer_custom_and_old_ones_included():
    message = {
        "content": None,
        "tool_calls": [
            {
                "id": "call_a",
                "type": "function",
                "function": {"name": "f", "arguments": "{}"},
            },
            {
                "id": "call_b",
                "type": "custom",
                "custom": {"name": "g", "input": "free"},
            },
            {"type": "function", "function": {"name": "h", "arguments": None}},
        ],
        "function_call": {"name": "old", "arguments": "[]"},
    }
    assert read(CHAT, dumps(answer(message))).tool_calls == (
        ToolCall("", "old", b"[]"),
        ToolCall("call_a", "f", b"{}"),
        ToolCall("call_b", "g", b"free"),
        ToolCall("", "h", b""),
    )


def test_reasoning_and_refusals_are_counted_apart():
    body = data(
        chunk({"reasoning_content": "abc"}),
        chunk({"reasoning_content": "de"}),
        chunk({"reasoning": "f"}),
        chunk({"refusal": "no"}),
        chunk({"refusal": "pe"}),
        chunk({"content": [{"type": "text", "text": "hey"}]}),
        done=True,
    )
    reading = read(CHAT, body)
    assert (reading.reasoning_chars, reading.output_chars) == (6, 7)


def test_choices_in_parallel_are_all_counted():
    one, two = chunk({"content": "ab"}), chunk({"content": "cde"})
    two["choices"][0]["index"] = 1
    both = {**one, "choices": one["choices"] + two["choices"]}
    assert (
        read(CHAT, data(one, two, one, both, done=True)).output_chars == 2 + 3 + 2 + 5
    )


@pytest.mark.parametrize(
    ("delta", "started"),
    [
        ({"role": "assistant", "content": ""}, False),
        ({"content": "a"}, True),
        ({"tool_calls": [{"index": 0}]}, True),
        (None, False),
    ],
)
def test_output_starts_with_the_first_token(
    delta: dict[str, Any] | None, started: bool
):
    tee = tee_for(CHAT, content_type=EVENTS)
    tee.feed(data(chunk(delta)))
    assert tee.output_started == started


def test_done_is_known_wherever_it_is_cut_and_only_when_its_line_is_complete():
    body = data(chunk({"content": "a"}), done=True)
    line_end = len(body) - 1
    for cut in range(len(body)):
        tee = tee_for(CHAT, content_type=EVENTS)
        tee.feed(body[:cut])
        assert tee.terminal == (cut >= line_end)
        tee.feed(body[cut:line_end])
        assert tee.terminal


@pytest.mark.parametrize(
    ("body", "error_type", "code"),
    [
        (
            data({"error": {"message": "x", "type": "server_error", "code": None}}),
            ErrorType.SERVER_ERROR,
            "server_error",
        ),
        (data({"error": {"code": 429, "message": "x"}}), ErrorType.RATE_LIMITED, "429"),
        (data({"error": "boom"}), ErrorType.ERROR_IN_STREAM, ""),
        (
            b'event: error\ndata: {"error": {"code": "overloaded_error"}}\n\n',
            ErrorType.OVERLOADED,
            "overloaded_error",
        ),
        (
            b'event: error\ndata: {"message": "x", "type": "tool_use_failed"}\n\n',
            ErrorType.ERROR_IN_STREAM,
            "tool_use_failed",
        ),
        (
            data(chunk({}, x_groq={"error": "over capacity"})),
            ErrorType.ERROR_IN_STREAM,
            "",
        ),
    ],
)
def test_an_error_inside_of_a_stream_ends_it(
    body: bytes, error_type: ErrorType, code: str
):
    reading = read(CHAT, data(chunk({"content": "a"})) + body)
    assert reading.error_in_stream
    assert reading.terminal
    assert (reading.error_type, reading.error_code, reading.output_chars) == (
        error_type,
        code,
        1,
    )


def test_an_error_instead_of_a_stream_is_read_as_json_whatever_the_content_type():
    body = b'{"error": {"message": "m", "type": "insufficient_quota", "code": "insufficient_quota"}}'
    for content_type in ("application/json", EVENTS, ""):
        reading = read(
            CHAT,
            body,
            status=429,
            content_type=content_type,
            request=b'{"stream": true}',
        )
        assert (reading.error_type, reading.error_code) == (
            ErrorType.QUOTA,
            "insufficient_quota",
        )
        assert not reading.error_in_stream
        assert not reading.expects_terminal
        assert not reading.terminal


def test_an_error_in_a_whole_answer_with_status_200_counts_as_one_in_a_stream():
    reading = read(CHAT, b'{"error": {"code": 502, "message": "m"}}')
    assert (reading.error_in_stream, reading.error_type) == (
        True,
        ErrorType.SERVER_ERROR,
    )


def test_malformed_events_are_told_and_the_others_are_read():
    body = (
        data(chunk({"content": "a"}))
        + b"data: {broken}\n\ndata: also broken\n\n"
        + data(chunk(usage=USAGE), done=True)
    )
    reading = read(CHAT, body)
    assert reading.malformed
    assert reading.terminal
    assert reading.usage == BUCKETS


def test_choices_of_a_wrong_shape_do_not_cost_the_usage():
    odd = {"id": "a", "model": "m", "choices": {"0": 1}, "usage": USAGE}
    for body in (dumps(odd), data(odd)):
        reading = read(CHAT, body)
        assert reading.malformed
        assert reading.usage == BUCKETS


def test_pretty_printed_events_over_several_lines_are_read():
    pretty = json.dumps(chunk(usage=USAGE), indent=1).replace("\n", "\ndata: ")
    assert (
        read(CHAT, b"data: %b\n\ndata: [DONE]\n\n" % pretty.encode()).usage == BUCKETS
    )


def test_usage_that_counts_nothing_is_none():
    said: tuple[object, ...] = (
        None,
        {},
        {"total_tokens": 3},
        [],
        "many",
        {"prompt_tokens": -1},
    )
    for usage in said:
        reading = read(CHAT, dumps({"choices": None, "usage": usage}))
        assert (reading.usage, reading.usage_json) == (None, None)


def test_what_is_kept_and_read_again_is_not_counted_again():
    assert (
        read("/v1/chat/completions/chatcmpl-1", dumps(answer({})), method="GET").usage
        is None
    )


def test_half_a_surrogate_pair_does_not_cost_the_usage():
    body = dumps(answer({"content": "HERE"})).replace(b"HERE", b"\\ud83d")
    assert read(CHAT, body).usage == BUCKETS
    body = dumps(
        answer({"content": "HERE", "tool_calls": [{"function": {"arguments": "HERE"}}]})
    )
    assert (
        read(CHAT, body.replace(b"HERE", b"\\ud83d")).tool_calls[0].arguments
        == "\ufffd".encode()
    )


def test_a_completion_that_is_fetched_later_is_only_accepted():
    request = dumps({"model": "grok-4", "deferred": True, "messages": []})
    assert ask_for(CHAT, request).background
    accepted = read(CHAT, dumps({"request_id": "r-1"}), request=request)
    assert (accepted.deferred, accepted.usage) == (True, None)
    at_once = read(CHAT, dumps(answer({"content": "hi"})), request=request)
    assert (at_once.deferred, at_once.usage) == (False, BUCKETS)
    assert not read(CHAT, dumps({"request_id": "r-1"})).deferred


def test_perplexitys_asynchronous_completions_are_another_family():
    assert ask_for("/async" + CHAT[3:]).dialect == "deferred_chat"
