import json
from typing import Any

import pytest

from proxy.model import ErrorType, Kind, Usage
from tests.helpers.meter import ask_for, data, dumps, read, tee_for

WHOLE, STREAM = "/generate", "/generate_stream"
DETAILS = {"finish_reason": "eos_token", "generated_tokens": 3, "seed": None}


def token(text: str, special: bool = False) -> dict[str, Any]:
    said = {"id": 7, "text": text, "logprob": -0.1, "special": special}
    return {"index": 1, "token": said, "generated_text": None, "details": None}


@pytest.mark.parametrize(("path", "stream"), [(WHOLE, False), (STREAM, True)])
def test_a_request_is_read(path: str, stream: bool):
    body = {"inputs": "abc", "parameters": {"max_new_tokens": 9}}
    ask = ask_for(path, json.dumps(body).encode())
    assert (ask.dialect, ask.operation, ask.kind) == ("tgi", path[1:], Kind.LLM)
    assert (ask.stream, ask.is_step) == (stream, True)
    assert (ask.input_chars, ask.max_output_tokens) == (3, 9)


def test_a_request_of_sglang_is_read():
    body = {"text": "abcd", "sampling_params": {"max_new_tokens": 9}, "stream": True}
    ask = ask_for(WHOLE, json.dumps(body).encode())
    assert (ask.stream, ask.input_chars, ask.max_output_tokens) == (True, 4, 9)


def test_other_paths_and_methods_are_not_its():
    assert ask_for(WHOLE, method="GET").dialect != "tgi"
    assert ask_for("/v1/generate").dialect == "cohere_v1"
    assert ask_for("/api/generate").dialect == "ollama"


@pytest.mark.parametrize(
    ("body", "well_formed"), [(b"{", False), (None, True), (b"{}", True)]
)
def test_only_a_broken_request_is_not_well_formed(
    body: bytes | None, well_formed: bool
):
    assert ask_for(WHOLE, body).well_formed == well_formed


@pytest.mark.parametrize(
    ("details", "usage"),
    [
        (DETAILS, Usage(output=3)),
        ({**DETAILS, "prefill": []}, Usage(output=3)),
        ({**DETAILS, "prefill": [{"id": 1}, {"id": 2}]}, Usage(input=2, output=3)),
        ({**DETAILS, "input_length": 5}, Usage(input=5, output=3)),
        (None, None),
        ({}, None),
    ],
)
def test_a_whole_answer_is_read(details: Any, usage: Usage | None):
    answer = {"generated_text": "abc", "details": details}
    reading = read(WHOLE, dumps(answer))
    assert (reading.usage, reading.output_chars) == (usage, 3)
    assert reading.finish_reason == ("eos_token" if details else "")
    assert not reading.terminal


@pytest.mark.parametrize(
    ("value", "usage"),
    [
        (b"12", Usage(input=12, output=3)),
        (b"x", Usage(output=3)),
        (b"9" * 30, Usage(output=3)),
    ],
)
def test_the_head_says_what_details_do_not(value: bytes, usage: Usage):
    headers = [(b"x-prompt-tokens", value), (b"X-Generated-Tokens", b"3")]
    reading = read(WHOLE, b'[{"generated_text":"abc"}]', headers=headers)
    assert (reading.usage, reading.output_chars) == (usage, 3)


def test_a_stream_ends_with_the_whole_text():
    tee = tee_for(STREAM)
    tee.feed(data(token("ab"), token("c")).replace(b"data: ", b"data:"))
    assert (tee.terminal, tee.output_started) == (False, True)
    last = {**token("</s>", special=True), "generated_text": "abc"}
    tee.feed(data({**last, "details": {**DETAILS, "input_length": 5}}))
    assert tee.terminal
    reading = tee.reading()
    assert (reading.usage, reading.output_chars) == (Usage(input=5, output=3), 3)
    assert reading.usage_json == b'{"input_length":5,"generated_tokens":3}'


def test_an_error_in_a_stream_is_told():
    error = {"error": "Request failed during generation", "error_type": "generation"}
    reading = read(STREAM, data(token("a"), error))
    assert reading.error_in_stream
    assert reading.error_type == ErrorType.ERROR_IN_STREAM


def test_an_error_status_is_classified():
    body = b'{"error":"Model is overloaded","error_type":"overloaded"}'
    assert read(WHOLE, body, status=429).error_type == ErrorType.RATE_LIMITED


META = {
    "id": "s1",
    "finish_reason": {"type": "stop", "matched": 2},
    "prompt_tokens": 20,
    "completion_tokens": 4,
    "cached_tokens": 15,
}


def test_sglang_counts_in_its_meta_info():
    reading = read(WHOLE, dumps({"text": "abc", "meta_info": META}))
    assert reading.usage == Usage(input=5, cache_read=15, output=4)
    assert (reading.output_chars, reading.finish_reason) == (3, "stop")
    said = {"text": "abc", "meta_info": {"completion_tokens": 4}}
    assert read(WHOLE, dumps(said)).usage == Usage(output=4)


def test_sglang_counts_each_of_several_prompts():
    answers = [{"text": "abc", "meta_info": META}, {"text": "de", "meta_info": META}]
    reading = read(WHOLE, dumps(answers))
    assert reading.usage == Usage(input=10, cache_read=30, output=8)
    assert reading.output_chars == 5
    events = [
        {"index": place, "text": text, "meta_info": {**META, "completion_tokens": n}}
        for place, text, n in ((0, "a", 1), (1, "d", 1), (0, "abc", 3), (1, "de", 2))
    ]
    reading = read(WHOLE, data(*events, done=True))
    assert reading.usage == Usage(input=10, cache_read=30, output=5)
    assert reading.output_chars == 5


def test_a_stream_of_sglang_may_hold_only_what_is_new():
    reading = read(WHOLE, data({"text": "abc"}, {"text": "de"}, done=True))
    assert reading.output_text == "abcde"


def test_a_stream_of_sglang_holds_all_text_in_each_event():
    first = {"text": "ab", "meta_info": {**META, "completion_tokens": 2}}
    last = {"text": "abcd", "meta_info": META}
    reading = read(WHOLE, data(first, [last], done=True))
    assert reading.usage == Usage(input=5, cache_read=15, output=4)
    assert (reading.output_chars, reading.terminal) == (4, True)
