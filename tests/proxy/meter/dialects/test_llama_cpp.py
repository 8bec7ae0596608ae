import json
from typing import Any

import pytest

from proxy.model import ErrorType, Kind, Usage
from tests.helpers.meter import ask_for, data, dumps, read, tee_for

PATH = "/completion"
LAST: dict[str, Any] = {
    "content": "",
    "stop": True,
    "model": "qwen",
    "tokens_predicted": 4,
    "tokens_evaluated": 20,
    "tokens_cached": 23,
    "stop_type": "eos",
    "timings": {"cache_n": 15, "prompt_n": 5, "predicted_n": 4},
}
TOKENS = Usage(input=5, cache_read=15, output=4)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("completion", Kind.LLM), ("infill", Kind.LLM), ("embedding", Kind.EMBEDDING)],
)
def test_work_is_recognised(name: str, kind: Kind):
    ask = ask_for(f"/{name}")
    assert (ask.dialect, ask.operation, ask.kind) == ("llama_cpp", name, kind)
    assert ask.is_step
    assert ask_for(f"/{name}", method="GET").dialect != "llama_cpp"


@pytest.mark.parametrize(
    "path",
    [
        "health",
        "healthz",
        "ping",
        "version",
        "metrics",
        "info",
        "props",
        "slots",
        "slots/1",
        "lora-adapters",
        "apply-template",
    ],
)
def test_looking_after_a_server_is_no_step(path: str):
    ask = ask_for(f"/{path}", method="GET")
    assert (ask.dialect, ask.operation) == ("llama_cpp", path.partition("/")[0])
    assert (ask.kind, ask.is_step) == (Kind.OTHER, False)
    assert read(f"/{path}", dumps(LAST), method="GET").usage is None


@pytest.mark.parametrize("path", ["/v1/completions", "/health/x", "/unhealth"])
def test_other_paths_are_not_its(path: str):
    assert ask_for(path).dialect != "llama_cpp"


def test_a_request_is_read():
    body = {"prompt": "abc", "n_predict": 9, "stream": True, "input_prefix": "d"}
    ask = ask_for(PATH, json.dumps(body).encode())
    assert (ask.input_chars, ask.stream, ask.max_output_tokens) == (4, True, 9)


@pytest.mark.parametrize(
    ("body", "well_formed"), [(b"{", False), (None, True), (b"{}", True)]
)
def test_only_a_broken_request_is_not_well_formed(
    body: bytes | None, well_formed: bool
):
    assert ask_for(PATH, body).well_formed == well_formed


def test_a_whole_answer_is_read():
    reading = read(PATH, dumps({**LAST, "content": "abc"}))
    assert (reading.usage, reading.model) == (TOKENS, "qwen")
    assert (reading.output_chars, reading.finish_reason) == (3, "eos")
    assert reading.usage_json == dumps(
        {
            name: LAST[name]
            for name in (
                "tokens_predicted",
                "tokens_evaluated",
                "tokens_cached",
                "timings",
            )
        }
    )
    assert not reading.terminal


def test_a_stream_ends_with_its_last_event():
    tee = tee_for(PATH)
    tee.feed(data({"content": "ab", "stop": False}, {"content": "c", "stop": False}))
    assert (tee.terminal, tee.output_started) == (False, True)
    tee.feed(data(LAST))
    assert tee.terminal
    reading = tee.reading()
    assert (reading.usage, reading.output_chars) == (TOKENS, 3)


def test_done_ends_a_stream_too():
    assert read(PATH, data({"content": "a"}, done=True)).terminal


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        ({"tokens_evaluated": 20, "tokens_predicted": 4}, Usage(input=20, output=4)),
        ({"tokens_predicted": 4}, Usage(output=4)),
        ({}, None),
    ],
)
def test_what_is_not_said_is_unknown(said: dict[str, int], usage: Usage | None):
    reading = read(PATH, dumps({"content": "a", "stop": True, **said}))
    assert (reading.usage, reading.finish_reason) == (usage, "stop")


def test_an_error_in_a_stream_is_told():
    error = {"code": 500, "message": "out of memory", "type": "server_error"}
    reading = read(PATH, data({"content": "a", "stop": False}, {"error": error}))
    assert reading.error_in_stream
    assert reading.error_type == ErrorType.SERVER_ERROR


def test_an_error_status_is_classified():
    body = (
        b'{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}'
    )
    assert read(PATH, body, status=503).error_type == ErrorType.SERVER_ERROR


def test_counts_of_several_prompts_are_summed():
    other = {**LAST, "index": 1, "tokens_evaluated": None, "timings": None}
    first = {**LAST, "index": 0, "content": "ab"}
    reading = read(PATH, dumps([first, other, [0.1]]))
    assert reading.usage == Usage(input=5, cache_read=15, output=8)
    assert (reading.output_chars, reading.malformed) == (2, False)
    said = json.loads(reading.usage_json or b"")
    assert [each["tokens_predicted"] for each in said] == [4, 4]


def test_a_stream_of_several_prompts_ends_with_the_last():
    pieces = [{"index": at, "content": "a", "stop": False} for at in (0, 1)]
    body = data(*pieces, {**LAST, "index": 0})
    assert not read(PATH, body).terminal
    reading = read(PATH, body + data({**LAST, "index": 1}))
    assert reading.terminal
    assert reading.usage == Usage(input=10, cache_read=30, output=8)


def test_embeddings_are_a_list_without_counts():
    reading = read("/embedding", b'[{"index":0,"embedding":[[0.1]]}]')
    assert (reading.usage, reading.malformed) == (None, False)
