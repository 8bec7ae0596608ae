import json

import pytest

from proxy.model import ErrorType, Kind, Usage
from tests.helpers.meter import ask_for, data, dumps, read

PATH = "/v1/rerank"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/rerank", "rerank"),
        ("/v2/rerank/", "rerank"),
        ("/rerank", "rerank"),
        ("/v1/score", "score"),
        ("/pooling", "pooling"),
        ("/v1/classify", "classify"),
    ],
)
def test_operations_are_recognised_by_the_end_of_the_path(path: str, name: str):
    ask = ask_for(path)
    assert (ask.dialect, ask.operation) == ("rerank", name)
    assert (ask.kind, ask.is_step) == (Kind.EMBEDDING, True)


def test_other_paths_and_methods_are_not_its():
    assert ask_for(PATH, method="GET").dialect != "rerank"
    assert ask_for("/v1/reranker").dialect != "rerank"


def test_a_request_is_read():
    body = {"model": "rerank-v3.5", "query": "ab", "documents": ["c", {"text": "d"}]}
    ask = ask_for(PATH, json.dumps(body).encode())
    assert (ask.model, ask.input_chars) == ("rerank-v3.5", 4)


@pytest.mark.parametrize(
    ("body", "well_formed"), [(b"{", False), (None, True), (b"{}", True)]
)
def test_only_a_broken_request_is_not_well_formed(
    body: bytes | None, well_formed: bool
):
    assert ask_for(PATH, body).well_formed == well_formed


def test_cohere_bills_searches_and_no_tokens():
    meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
    reading = read("/v2/rerank", dumps({"id": "r1", "results": [], "meta": meta}))
    assert (reading.usage, reading.usage_json) == (Usage(), dumps(meta))
    assert (reading.server_tool_uses, reading.response_id) == (
        (("search_units", 1),),
        "r1",
    )


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"total_tokens": 43}, Usage(input=43)),
        ({"prompt_tokens": 43, "total_tokens": 43}, Usage(input=43)),
        (
            {"prompt_tokens": 43, "completion_tokens": 0, "total_tokens": 43},
            Usage(input=43, output=0),
        ),
    ],
    ids=["voyage", "vllm", "together"],
)
def test_others_say_tokens(usage: dict[str, int], tokens: Usage):
    answer = {"model": "rerank-2-lite", "data": [], "usage": usage}
    for body in (dumps(answer), data(answer)):
        reading = read(PATH, body)
        assert (reading.usage, reading.model) == (tokens, "rerank-2-lite")


def test_a_bare_list_says_nothing():
    reading = read(PATH, b'[{"index":0,"score":0.5}]')
    assert (reading.usage, reading.malformed) == (None, False)


def test_an_error_with_status_200_is_told():
    assert read(PATH, b'{"error":{"code":"server_error"}}').error_in_stream


def test_an_error_status_is_classified():
    body = b'{"object":"error","message":"too long","type":"BadRequest","code":400}'
    assert read(PATH, body, status=400).error_type == ErrorType.INVALID_REQUEST
