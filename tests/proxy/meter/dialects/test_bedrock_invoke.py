"""Bedrock's envelope around each vendor's bodies, and who counts."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.model import ErrorType, Kind, PartReading, ToolCall, Usage
from tests.helpers.eventstream import chunk, event, exception
from tests.helpers.meter import ask_for, dumps, read, tee_for

CLAUDE = "anthropic.claude-3-5-sonnet-20240620-v1:0"
PROFILE = "arn:aws:bedrock:us-east-1:1:application-inference-profile/1arbu5"
PATH = f"/model/{CLAUDE}/invoke"
STREAM = f"{PATH}-with-response-stream"
ACTION, TRACE = "amazon-bedrock-guardrailAction", "amazon-bedrock-trace"
METRICS = "amazon-bedrock-invocationMetrics"


def counts(**numbers: int) -> tuple[tuple[bytes, bytes], ...]:
    """Give response headers: `input=3` is `X-Amzn-Bedrock-Input-Token-Count: 3`."""
    return tuple(
        (
            f"X-Amzn-Bedrock-{name.replace('_', '-').title()}-Token-Count".encode(),
            b"%d" % n,
        )
        for name, n in numbers.items()
    )


def metrics(**numbers: int) -> dict[str, Any]:
    return {METRICS: {"invocationLatency": 9, "firstByteLatency": 3, **numbers}}


def message(**usage: Any) -> bytes:
    return dumps(
        {
            "id": "msg_bdrk_1",
            "type": "message",
            "model": "claude-3-5-sonnet-20240620",
            "content": [
                {"type": "text", "text": "Hi"},
                {"type": "tool_use", "id": "t1", "name": "look", "input": {"a": 1}},
            ],
            "stop_reason": "tool_use",
            "usage": usage,
        }
    )


@pytest.mark.parametrize(
    ("method", "path", "operation", "kind", "stream"),
    [
        ("POST", PATH, "invoke", Kind.LLM, False),
        ("POST", STREAM, "invoke", Kind.LLM, True),
        (
            "POST",
            "/model/amazon.titan-embed-text-v1/invoke",
            "invoke",
            Kind.EMBEDDING,
            False,
        ),
        ("POST", "/model/cohere.rerank-v3-5%3A0/invoke", "invoke", Kind.OTHER, False),
        ("GET", PATH, "http", Kind.OTHER, False),
    ],
)
def test_operations_are_told_apart(
    method: str, path: str, operation: str, kind: Kind, stream: bool
):
    ask = ask_for(path, method=method)
    assert (ask.operation, ask.kind, ask.stream) == (operation, kind, stream)


@pytest.mark.parametrize(
    ("request_body", "limit", "chars"),
    [
        (
            {
                "max_tokens": 9,
                "system": "12",
                "messages": [{"role": "user", "content": "345"}],
                "tools": [],
            },
            9,
            7,
        ),
        ({"prompt": "123", "max_gen_len": 8}, 8, 3),
        ({"prompt": "123", "max_tokens_to_sample": 8}, 8, 3),
        ({"prompt": "123", "maxTokens": 8}, 8, 3),
        ({"inputText": "123", "textGenerationConfig": {"maxTokenCount": 7}}, 7, 3),
        (
            {
                "messages": [{"content": [{"text": "12"}]}],
                "inferenceConfig": {"max_new_tokens": 6},
                "toolConfig": {},
            },
            6,
            4,
        ),
        ({"texts": ["12", "3"]}, None, 3),
        ({"message": "12", "chat_history": [{"message": "3"}]}, None, 3),
    ],
)
def test_requests_of_all_vendors_are_read(
    request_body: dict[str, Any], limit: int | None, chars: int
):
    ask = ask_for(PATH, json.dumps(request_body).encode())
    assert (ask.model, ask.max_output_tokens, ask.input_chars) == (CLAUDE, limit, chars)


@pytest.mark.parametrize(("body", "well_formed"), [(None, True), (b"[", False)])
def test_the_path_counts_where_the_body_does_not(body: bytes | None, well_formed: bool):
    ask = ask_for(STREAM, body)
    assert (ask.model, ask.stream, ask.well_formed) == (CLAUDE, True, well_formed)


def test_claudes_own_object_says_more_than_headers():
    usage = {
        "input_tokens": 4,
        "output_tokens": 50,
        "cache_creation_input_tokens": 100,
        "cache_read_input_tokens": 7,
        "cache_creation": {
            "ephemeral_5m_input_tokens": 40,
            "ephemeral_1h_input_tokens": 60,
        },
    }
    headers = counts(input=4, output=50, cache_read_input=7, cache_write_input=100)
    said = read(PATH, message(**usage), headers=headers)
    assert said.usage == Usage(
        input=4, cache_read=7, cache_write=40, cache_write_long=60, output=50
    )
    assert json.loads(said.usage_json or b"") == usage
    assert said.tool_calls == (ToolCall("t1", "look", b'{"a":1}'),)
    assert (said.response_id, said.finish_reason) == ("msg_bdrk_1", "tool_use")
    assert not said.expects_terminal


def test_headers_fill_what_the_body_leaves_out():
    said = read(
        "/model/amazon.nova-lite-v1%3A0/invoke",
        dumps(
            {
                "output": {"message": {"content": [{"text": "Hi"}]}},
                "stopReason": "end_turn",
                "usage": {"inputTokens": 30},
            }
        ),
        headers=counts(input=30, output=51, cache_read_input=0, cache_write_input=0),
    )
    assert said.usage == Usage(input=30, cache_read=0, cache_write=0, output=51)
    assert json.loads(said.usage_json or b"") == {"inputTokens": 30}
    assert (said.finish_reason, said.output_chars) == ("end_turn", 2)


@pytest.mark.parametrize("body", [b"", b"\x89PNG", b"[]", b'{"artifacts":[]}'])
def test_headers_count_whatever_the_body_is(body: bytes):
    said = read(PATH, body, headers=counts(input=3, output=4))
    assert said.usage == Usage(input=3, output=4)
    told = {"inputTokenCount": 3, "outputTokenCount": 4}
    assert json.loads(said.usage_json or b"") == told


def test_the_model_of_the_answer_is_what_the_vendor_calls_it():
    said = read(PATH, message(input_tokens=3, output_tokens=4))
    assert said.model == "claude-3-5-sonnet-20240620"


def test_parts_without_a_model_ran_on_the_one_of_the_path():
    iterations = [
        {"type": "message", "input_tokens": 3, "output_tokens": 4},
        {"type": "compaction", "input_tokens": 5, "output_tokens": 6},
    ]
    said = read(PATH, message(input_tokens=3, output_tokens=4, iterations=iterations))
    assert said.parts == (PartReading(CLAUDE, Usage(input=5, output=6)),)
    path = f"/model/{PROFILE.replace('/', '%2F')}/invoke"
    said = read(path, message(input_tokens=3, output_tokens=4, iterations=iterations))
    assert said.parts[0].model == "claude-3-5-sonnet-20240620"


def claude_stream(**numbers: int) -> bytes:
    return (
        chunk(
            type="message_start",
            message={
                "id": "msg_bdrk_1",
                "model": "claude-3-5",
                "usage": {"input_tokens": 392, "output_tokens": 8},
            },
        )
        + chunk(
            type="content_block_start",
            index=0,
            content_block={"type": "tool_use", "id": "t1", "name": "look", "input": {}},
        )
        + chunk(
            type="content_block_delta",
            index=0,
            delta={"type": "input_json_delta", "partial_json": '{"a":1}'},
        )
        + chunk(
            type="message_delta",
            delta={"stop_reason": "tool_use"},
            usage={"output_tokens": 133},
        )
        + chunk(type="message_stop", **metrics(**numbers))
    )


def test_claudes_stream_counts_tool_calls_which_the_metrics_miss():
    said = read(STREAM, claude_stream(inputTokenCount=392, outputTokenCount=97))
    assert said.usage == Usage(input=392, output=133)
    assert json.loads(said.usage_json or b"") == {
        "input_tokens": 392,
        "output_tokens": 133,
        "inputTokenCount": 392,
        "outputTokenCount": 97,
        "invocationLatency": 9,
        "firstByteLatency": 3,
    }
    assert (said.terminal, said.expects_terminal) == (True, True)
    assert (said.finish_reason, said.model) == ("tool_use", "claude-3-5")
    assert said.tool_calls == (ToolCall("t1", "look", b'{"a":1}'),)


def test_metrics_tell_of_the_cache_where_claudes_stream_does_not():
    numbers = {"cacheReadInputTokenCount": 7, "cacheWriteInputTokenCount": 9}
    sent = claude_stream(inputTokenCount=392, outputTokenCount=97, **numbers)
    said = read(STREAM, sent)
    assert said.usage == Usage(input=392, cache_read=7, cache_write=9, output=133)


def test_an_error_of_claudes_in_the_stream_is_one():
    said = read(STREAM, chunk(type="error", error={"type": "overloaded_error"}))
    assert (said.error_in_stream, said.error_type) == (True, ErrorType.OVERLOADED)


def test_novas_stream_is_read():
    said = read(
        "/model/amazon.nova-lite-v1%3A0/invoke-with-response-stream",
        chunk(messageStart={"role": "assistant"})
        + chunk(contentBlockDelta={"delta": {"text": "Hi"}, "contentBlockIndex": 0})
        + chunk(contentBlockStop={"contentBlockIndex": 0})
        + chunk(messageStop={"stopReason": "end_turn"})
        + chunk(
            metadata={"usage": {"inputTokens": 5, "outputTokens": 10}, "metrics": {}},
            **metrics(inputTokenCount=5, outputTokenCount=10),
        ),
    )
    assert said.usage == Usage(input=5, output=10)
    assert (said.finish_reason, said.terminal, said.output_chars) == (
        "end_turn",
        True,
        2,
    )


def test_a_stream_without_the_metrics_was_cut():
    said = read(STREAM, chunk(outputText="Hi", index=0))
    assert (said.expects_terminal, said.terminal) == (True, False)


def test_a_guardrail_that_stops_the_input_ends_the_stream():
    said = read(
        "/model/amazon.titan-text-express-v1/invoke-with-response-stream",
        chunk(
            **{
                "outputText": "Input blocked",
                "totalOutputTextTokenCount": 3.0,
                "inputTextTokenCount": 6.0,
                ACTION: "INTERVENED",
            }
        ),
    )
    assert (said.usage, said.terminal) == (Usage(input=6, output=3), True)
    assert json.loads(said.usage_json or b"")["inputTextTokenCount"] == 6
    said = read(STREAM, chunk(outputText="Hi", **{ACTION: "INTERVENED"}))
    assert (said.terminal, said.finish_reason) == (False, "")
    said = read(STREAM, chunk(generation="Hi", **{ACTION: "INTERVENED", TRACE: {}}))
    assert (said.terminal, said.finish_reason) == (True, "guardrail_intervened")
    assert said.finish_reason == "guardrail_intervened"
    assert read(PATH, dumps({ACTION: "NONE"})).finish_reason == ""


def test_other_events_and_broken_chunks_cost_only_themselves():
    said = read(
        STREAM,
        event("other", bytes="e30=")
        + event("chunk", bytes=5)
        + event("chunk", bytes="bm8gSlNPTg==")
        + claude_stream(inputTokenCount=392, outputTokenCount=97),
    )
    assert (said.usage, said.malformed) == (Usage(input=392, output=133), True)


def test_metrics_count_though_the_rest_cannot_be_read():
    sent = chunk(type="message_start", message=7, **metrics(inputTokenCount=5))
    said = read(STREAM, sent)
    assert (said.usage, said.malformed, said.terminal) == (Usage(input=5), True, True)


def test_an_exception_in_the_stream_is_an_error():
    said = read(STREAM, exception("modelTimeoutException"))
    assert (said.error_in_stream, said.error_code) == (True, "ModelTimeoutException")


def test_the_service_tier_stands_in_a_header():
    headers = ((b"X-Amzn-Bedrock-Service-Tier", b"flex"),)
    assert read("/model/a.b/invoke", b"{}", headers=headers).service_tier == "flex"


def test_an_embedding_is_counted_by_its_body_or_header():
    path = "/model/amazon.titan-embed-text-v1/invoke"
    body = dumps({"embedding": [0.1], "inputTextTokenCount": 3})
    assert read(path, body).usage == Usage(input=3)
    assert read(path, b'{"embeddings":[[1]]}', headers=counts(input=7)).usage == Usage(
        input=7
    )


NAMES = [
    *("type", "message", "usage", "content", "delta", "index", "output", "metadata"),
    *("contentBlockDelta", "contentBlockStart", "start", "toolUse", "input", "text"),
    *("choices", "tool_calls", "function", "results", "tokenCount", "meta", "id"),
    *("billed_units", "input_tokens", "inputTokens", "prompt_tokens", "cacheDetails"),
    *("iterations", "server_tool_use", "serverToolUsage", "trace", METRICS, ACTION),
]
words = st.sampled_from([*NAMES, "message_start", "content_block_delta", "tool_use"])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(NAMES), inner),
    max_leaves=12,
)
pieces = st.lists(st.dictionaries(st.sampled_from(NAMES), anything), max_size=4)


@settings(max_examples=60)
@given(pieces)
def test_whatever_json_says_no_reader_raises(said: list[dict[str, Any]]):
    events = ("metadata", "contentBlockDelta", "contentBlockStart", "messageStop")
    frames = [chunk(**each) for each in said]
    frames += [event(name, **each) for each in said for name in events]
    for path in (
        PATH,
        STREAM,
        f"/model/{CLAUDE}/converse-stream",
        "/guardrail/a/apply",
    ):
        for sent in (b"".join(frames), *map(dumps, said)):
            tee = tee_for(path)
            tee.feed(sent)
            tee.reading()
            assert tee.failures == 0
