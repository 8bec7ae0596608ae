import json
from typing import Any

import pytest

from proxy.model import ErrorType, Kind, ToolCall, Usage
from tests.helpers.eventstream import event, exception
from tests.helpers.meter import ask_for, dumps, read

MODEL = "us.anthropic.claude-3-7-sonnet-20250219-v1:0"
PATH = f"/model/{MODEL.replace(':', '%3A')}/converse"
STREAM = f"{PATH}-stream"
START = event("messageStart", role="assistant", p="abc")
STOP = event("contentBlockStop", contentBlockIndex=0)


def delta(index: int, **said: Any) -> bytes:
    return event("contentBlockDelta", contentBlockIndex=index, delta=said, p="ab")


def end(reason: str = "end_turn", **usage: Any) -> bytes:
    stop = event("messageStop", stopReason=reason)
    return stop + event("metadata", metrics={"latencyMs": 7}, usage=usage)


def answer(*content: Any, **members: Any) -> bytes:
    message = {"role": "assistant", "content": content}
    return dumps({"output": {"message": message}, "stopReason": "end_turn", **members})


@pytest.mark.parametrize(
    ("method", "path", "operation", "stream"),
    [
        ("POST", PATH, "converse", False),
        ("POST", STREAM, "converse", True),
        ("POST", f"/base{STREAM}", "converse", True),
        ("GET", PATH, "http", False),
        ("POST", "/model/converse", "http", False),
    ],
)
def test_operations_are_told_apart(
    method: str, path: str, operation: str, stream: bool
):
    ask = ask_for(path, method=method)
    assert (ask.operation, ask.stream) == (operation, stream)


def test_a_request_is_read():
    request = {
        "system": [{"text": "12"}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"text": "345"},
                    {"image": {"format": "png", "source": {"bytes": "aGVsbG8="}}},
                ],
            }
        ],
        "toolConfig": {},
        "inferenceConfig": {"maxTokens": 9},
        "serviceTier": {"type": "flex"},
    }
    ask = ask_for(STREAM, json.dumps(request).encode())
    assert (ask.dialect, ask.kind, ask.is_step) == ("bedrock_converse", Kind.LLM, True)
    assert (ask.model, ask.stream, ask.well_formed) == (MODEL, True, True)
    assert (ask.max_output_tokens, ask.service_tier) == (9, "flex")
    assert ask.input_chars == len("1h12345png") + len("{}")


@pytest.mark.parametrize(
    "request_body", [b"{}", b'{"inferenceConfig":4,"serviceTier":5}']
)
def test_a_request_that_says_little_is_read(request_body: bytes):
    ask = ask_for(PATH, request_body)
    assert (ask.max_output_tokens, ask.service_tier, ask.well_formed) == (
        None,
        "",
        True,
    )


@pytest.mark.parametrize(("body", "well_formed"), [(None, True), (b"[", False)])
def test_the_path_counts_where_the_body_does_not(body: bytes | None, well_formed: bool):
    ask = ask_for(STREAM, body)
    assert (ask.model, ask.stream, ask.well_formed) == (MODEL, True, well_formed)


def test_a_document_is_read():
    said = read(
        PATH,
        answer(
            {"text": "Hello"},
            {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "x"}}},
            {"reasoningContent": {"redactedContent": "aGk="}},
            {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"a": 1}}},
            {"toolUse": {"toolUseId": "t2", "name": "none"}},
            {"toolUse": {"name": "search", "type": "server_tool_use", "input": {}}},
            {"citationsContent": {"content": [{"text": "cited"}], "citations": []}},
            stopReason="tool_use",
            usage={"inputTokens": 3, "outputTokens": 4, "totalTokens": 7},
            serviceTier={"type": "flex"},
        ),
    )
    assert said.usage == Usage(input=3, output=4)
    assert json.loads(said.usage_json or b"")["totalTokens"] == 7
    assert (said.finish_reason, said.service_tier) == ("tool_use", "flex")
    assert said.tool_calls == (
        ToolCall("t1", "look", b'{"a":1}'),
        ToolCall("t2", "none", b""),
    )
    assert said.output_chars == len("Hellocited") + len('{"a":1}')
    assert said.reasoning_chars == 3
    assert (said.expects_terminal, said.malformed) == (False, False)


def test_the_cache_is_split_by_lifetime():
    usage: dict[str, Any] = {
        "inputTokens": 1,
        "outputTokens": 2,
        "cacheReadInputTokens": 5,
        "cacheWriteInputTokens": 9,
        "cacheDetails": [
            {"ttl": "1h", "inputTokens": 6},
            {"ttl": "5m", "inputTokens": 3},
        ],
        "serverToolUsage": {"webSearchRequests": 2},
        "totalTokens": 17,
    }
    wanted = Usage(input=1, cache_read=5, cache_write=3, cache_write_long=6, output=2)
    for said in (
        read(PATH, answer({"text": "a"}, usage=usage)),
        read(STREAM, START + delta(0, text="a") + STOP + end(**usage)),
    ):
        assert said.usage == wanted
        assert said.server_tool_uses == (("web_search_requests", 2),)


def test_a_stream_is_read():
    said = read(
        STREAM,
        START
        + delta(0, reasoningContent={"text": "Hm."})
        + delta(0, reasoningContent={"signature": "x"})
        + delta(1, text="Hel")
        + delta(1, text='lo "\u00e9')
        + event(
            "contentBlockStart",
            contentBlockIndex=2,
            start={"toolUse": {"toolUseId": "t1", "name": "look"}},
        )
        + delta(2, toolUse={"input": '{"a"'})
        + delta(2, toolUse={"input": ":1}"})
        + event(
            "contentBlockStart",
            contentBlockIndex=3,
            start={"toolUse": {"toolUseId": "t2", "name": "none"}},
        )
        + event(
            "contentBlockStart",
            contentBlockIndex=4,
            start={"toolUse": {"name": "s", "type": "server_tool_use"}},
        )
        + delta(4, toolUse={"input": "{}"})
        + event("contentBlockStart", contentBlockIndex=5, start={"image": {}})
        + STOP
        + event("contentBlockDelta")
        + event("contentBlockStart")
        + end("tool_use", inputTokens=3, outputTokens=4, totalTokens=7),
    )
    assert said.usage == Usage(input=3, output=4)
    assert said.tool_calls == (
        ToolCall("t1", "look", b'{"a":1}'),
        ToolCall("t2", "none", b"{}"),
    )
    assert said.reasoning_chars == 3
    assert said.output_chars == len('Hello "é') + len("{}") + len('{"a":1}') + len("{}")
    assert (said.finish_reason, said.terminal, said.expects_terminal) == (
        "tool_use",
        True,
        True,
    )


def test_a_stream_cut_short_expects_its_end():
    said = read(STREAM, START + delta(0, text="a"))
    assert (said.usage, said.expects_terminal, said.terminal) == (None, True, False)
    assert said.output_chars == 1


def test_an_exception_in_the_stream_is_an_error():
    said = read(
        STREAM, START + delta(0, text="a") + exception("modelStreamErrorException")
    )
    assert (said.error_in_stream, said.error_type) == (True, ErrorType.SERVER_ERROR)


def test_an_error_document_is_one():
    headers = ((b"x-amzn-ErrorType", b"ThrottlingException:http://x/"),)
    said = read(PATH, b'{"message":"slow"}', status=429, headers=headers)
    assert (said.error_type, said.error_code) == (
        ErrorType.RATE_LIMITED,
        "ThrottlingException",
    )


def test_a_router_says_which_model_it_chose():
    trace = {
        "promptRouter": {"invokedModelId": "arn:aws:bedrock:x::foundation-model/a.b"}
    }
    said = read(PATH, answer(trace=trace, usage={"inputTokens": 1}))
    assert said.model == "arn:aws:bedrock:x::foundation-model/a.b"
    assert read(PATH, answer(trace={"guardrail": {}})).model == ""


@pytest.mark.parametrize(
    "output",
    [{"message": {"content": "no list"}}, {"message": None}, None, 3],
)
def test_what_has_the_wrong_type_costs_only_itself(output: Any):
    said = read(PATH, dumps({"output": output, "usage": {"inputTokens": 3}}))
    assert said.usage == Usage(input=3)


def test_citations_of_the_wrong_type_are_none():
    assert read(PATH, answer({"citationsContent": 3}, {"text": 4})).output_chars == 0
    said = read(STREAM, delta(0, text=4) + delta(0, reasoningContent={"text": 3}))
    assert said.output_chars == said.reasoning_chars == 0


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null"])
def test_an_answer_that_is_none_says_nothing(body: bytes):
    assert read(PATH, body).usage is None
