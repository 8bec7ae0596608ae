import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model import ErrorType, Kind, ToolCall, Usage
from tests.helpers.meter import ask_for, dumps, read, tee_for

CHAT, GENERATE, EMBED = "/api/chat", "/api/generate", "/api/embed"
COUNTS = {
    "total_duration": 9,
    "load_duration": 1,
    "prompt_eval_count": 17,
    "prompt_eval_duration": 3,
    "eval_count": 63,
    "eval_duration": 4,
}
LAST = {"model": "llama3", "done": True, "done_reason": "stop", **COUNTS}
NDJSON = "application/x-ndjson"


def lines(*values: Any) -> bytes:
    return b"".join(dumps(value) + b"\n" for value in values)


def piece(**message: Any) -> dict[str, Any]:
    return {"model": "llama3", "message": message, "done": False}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("chat", Kind.LLM),
        ("generate", Kind.LLM),
        ("embed", Kind.EMBEDDING),
        ("embeddings", Kind.EMBEDDING),
    ],
)
def test_work_is_recognised(name: str, kind: Kind):
    request = b'{"model":"m","prompt":"a","input":"a","messages":[{"content":"a"}]}'
    ask = ask_for(f"/ollama/api/{name}", request)
    assert (ask.dialect, ask.operation, ask.kind) == ("ollama", name, kind)
    assert ask.is_step
    assert ask_for(f"/api/{name}", method="GET").dialect != "ollama"


@pytest.mark.parametrize(
    "name",
    [
        "tags",
        "show",
        "ps",
        "version",
        "pull",
        "push",
        "create",
        "copy",
        "delete",
        "blobs/sha256:7",
    ],
)
def test_handling_models_is_no_step(name: str):
    ask = ask_for(f"/api/{name}")
    assert (ask.dialect, ask.operation) == ("ollama", name.partition("/")[0])
    assert (ask.kind, ask.is_step) == (Kind.OTHER, False)
    assert read(f"/api/{name}", lines(LAST)).usage is None


@pytest.mark.parametrize(
    "path", ["/api/chat/completions", "/api/v1/chat", "/apis/chat", "/api/tag"]
)
def test_other_paths_are_not_its(path: str):
    assert ask_for(path).dialect != "ollama"


@pytest.mark.parametrize(
    ("said", "stream"),
    [({}, True), ({"stream": True}, True), ({"stream": False}, False)],
)
def test_an_answer_streams_unless_told_otherwise(said: dict[str, bool], stream: bool):
    body = json.dumps({"model": "m", "messages": [{"content": "a"}], **said}).encode()
    assert ask_for(CHAT, body).stream == stream
    assert not ask_for(EMBED, body).stream


def test_a_request_is_read():
    body = {
        "model": "llama3",
        "messages": [{"role": "user", "content": "abc", "images": ["AAAA"]}],
        "options": {"num_predict": 9},
        "tools": [],
    }
    ask = ask_for(CHAT, json.dumps(body).encode())
    assert (ask.model, ask.input_chars, ask.max_output_tokens) == ("llama3", 5, 9)


@pytest.mark.parametrize("said", [{}, {"prompt": ""}, {"messages": []}])
def test_loading_a_model_is_no_step(said: dict[str, Any]):
    body = json.dumps({"model": "llama3", "keep_alive": 0, **said}).encode()
    assert not ask_for(GENERATE, body).is_step
    assert not ask_for(CHAT, body).is_step


@pytest.mark.parametrize(
    ("body", "well_formed"), [(b"{", False), (None, True), (b"{}", True)]
)
def test_only_a_broken_request_is_not_well_formed(
    body: bytes | None, well_formed: bool
):
    assert ask_for(CHAT, body).well_formed == well_formed


def test_a_stream_is_read_to_its_last_line():
    body = lines(piece(content="ab"), piece(content="c"), LAST)
    reading = read(CHAT, body, content_type=NDJSON)
    assert (reading.usage, reading.usage_json) == (
        Usage(input=17, output=63),
        dumps(COUNTS),
    )
    assert (reading.model, reading.finish_reason) == ("llama3", "stop")
    assert (reading.output_chars, reading.terminal) == (3, True)


def test_the_stream_ends_with_its_last_line():
    tee = tee_for(CHAT, content_type=NDJSON)
    tee.feed(lines(piece(content="")))
    assert (tee.terminal, tee.output_started) == (False, False)
    tee.feed(lines(piece(content="", thinking="a")))
    assert (tee.terminal, tee.output_started) == (False, True)
    tee.feed(lines(LAST))
    assert tee.terminal


def test_thinking_is_told_from_what_is_said():
    body = lines(
        {"response": "", "thinking": "hmm", "done": False},
        {"response": "ab", "done": False},
        LAST,
    )
    reading = read(GENERATE, body)
    assert (reading.output_chars, reading.reasoning_chars) == (2, 3)
    assert reading.usage == Usage(input=17, output=63)


@pytest.mark.parametrize("name", ["prompt_eval_count", "eval_count"])
def test_a_count_that_is_left_out_is_unknown(name: str):
    last = {key: value for key, value in LAST.items() if key != name}
    usage = read(CHAT, lines(last), request=b'{"stream":false}').usage
    assert usage is not None
    assert (usage.input, usage.output) == (
        (None, 63) if name == "prompt_eval_count" else (17, None)
    )


def test_an_answer_without_counts_has_no_usage():
    reading = read(GENERATE, b'{"model":"m","done":true,"done_reason":"load"}')
    assert (reading.usage, reading.finish_reason) == (None, "load")


def test_tool_calls_are_read():
    function = {"index": 0, "name": "add", "arguments": {"a": 2, "b": 3}}
    calls = [{"id": "call_1", "function": function}, {}]
    body = lines(
        piece(content="", tool_calls=calls),
        piece(content="", tool_calls=[{"function": function}]),
        LAST,
    )
    assert read(CHAT, body).tool_calls == (
        ToolCall("call_1", "add", b'{"a":2,"b":3}'),
        ToolCall("", "", b""),
        ToolCall("", "add", b'{"a":2,"b":3}'),
    )


def test_an_error_in_a_stream_is_told():
    body = lines(piece(content="a"), {"error": "an error was encountered"})
    reading = read(CHAT, body, content_type=NDJSON)
    assert reading.error_in_stream
    assert reading.terminal
    assert reading.error_type == ErrorType.ERROR_IN_STREAM


def test_an_error_status_is_classified():
    reading = read(CHAT, b'{"error":"model \'x\' not found"}', status=404)
    assert (reading.error_type, reading.malformed) == (ErrorType.NOT_FOUND, False)


@pytest.mark.parametrize("path", [EMBED, "/api/embeddings"])
def test_embeddings_say_what_they_read(path: str):
    answer = {"model": "m", "embeddings": [[0.1]], "prompt_eval_count": 8}
    assert read(path, dumps(answer)).usage == Usage(input=8)
    assert read(path, b'{"embedding":[0.1,0.2]}').usage is None


def test_structure_inside_of_text_is_text():
    said = '"}}\n{"done":true,"eval_count":1}'
    reading = read(CHAT, lines(piece(content=said)), content_type=NDJSON)
    assert (reading.usage, reading.terminal) == (None, False)
    assert reading.output_chars == len(said)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["done", "message", "content", "tool_calls", "eval_count", "error"]
                ),
                inner,
            )
        ),
    )
)
def test_any_json_is_read_without_raising(value: Any):
    for body in (dumps(value), lines(value, value)):
        tee = tee_for(CHAT)
        tee.feed(body)
        tee.reading()
        assert tee.failures == 0
