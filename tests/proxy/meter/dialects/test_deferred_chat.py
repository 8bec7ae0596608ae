"""Chat completions that are fetched later: tokens come with the GET, and only there."""

from typing import Any

import pytest

from proxy.meter.dialects import recognise
from proxy.model import ErrorType, Kind, Usage
from tests.helpers.meter import ask_for, dumps, read

POST = "/async/chat/completions"
GET = POST + "/id-1"
XAI = "/v1/chat/deferred-completion/req-1"
COMPLETION: dict[str, Any] = {
    "id": "chatcmpl-1",
    "model": "sonar",
    "service_tier": "default",
    "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
}


def fetched(path: str, said: dict[str, Any]):
    return read(path, dumps(said), method="GET")


@pytest.mark.parametrize(
    ("method", "path", "name", "is_step"),
    [
        ("POST", POST, "deferred_chat", True),
        ("GET", POST, "deferred_chat_list", False),
        ("GET", GET, "deferred_chat_get", False),
        ("DELETE", GET, "deferred_chat_list", False),
        ("GET", XAI, "deferred_chat_get", False),
    ],
)
def test_paths(method: str, path: str, name: str, is_step: bool):
    dialect, operation = recognise(Kind.LLM, "", method, path)
    assert (dialect.name, operation.name, operation.is_step) == (
        "deferred_chat",
        name,
        is_step,
    )


def test_the_request_stands_inside_of_another():
    said = {"model": "sonar", "max_tokens": 7, "messages": [{"content": "hello"}]}
    ask = ask_for(POST, dumps({"request": said}))
    assert (ask.model, ask.max_output_tokens, ask.background) == ("sonar", 7, True)
    assert ask.input_chars == 5
    assert not ask_for(POST, b"[]").well_formed
    assert ask_for(POST, None).well_formed


def test_what_is_only_accepted_has_no_tokens_yet():
    said = {"id": "id-1", "model": "sonar", "status": "CREATED", "response": None}
    reading = read(POST, dumps(said))
    assert (reading.deferred, reading.usage, reading.response_id) == (
        True,
        None,
        "id-1",
    )
    assert fetched(GET, said).deferred


def test_perplexity_wraps_the_completion():
    said = {"id": "id-1", "model": "sonar", "status": "COMPLETED"}
    reading = fetched(GET, {**said, "response": COMPLETION})
    assert (reading.response_id, reading.model) == ("id-1", "sonar")
    assert (reading.usage, reading.deferred) == (Usage(input=10, output=5), False)
    assert (reading.output_chars, reading.finish_reason) == (2, "stop")


def test_xai_gives_it_as_it_is():
    reading = fetched(XAI, COMPLETION)
    assert (reading.response_id, reading.usage) == (
        "chatcmpl-1",
        Usage(input=10, output=5),
    )
    assert reading.service_tier == "default"


def test_a_failure_is_told():
    said = {"id": "id-1", "status": "FAILED", "error_message": "overloaded"}
    assert fetched(GET, said).error_type is not ErrorType.NONE


def test_an_answer_that_streams_is_read_as_well():
    body = b"data: " + dumps(COMPLETION) + b"\n\n"
    assert read(XAI, body, method="GET").usage == Usage(input=10, output=5)


def test_lists_are_not_read():
    assert read(POST, dumps({"requests": [COMPLETION]}), method="GET").usage is None
