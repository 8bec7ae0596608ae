import json

import pytest

from proxy.model import ErrorType, Kind, Usage
from tests.helpers.meter import ask_for, data, dumps, read

META = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 208}}


@pytest.mark.parametrize("path", ["/v1/embed", "/x/v2/embed/"])
def test_a_request_is_read(path: str):
    body = json.dumps({"model": "embed-v4.0", "texts": ["abc", "d"]}).encode()
    ask = ask_for(path, body)
    assert (ask.dialect, ask.operation) == ("cohere_embed", "embed")
    assert (ask.kind, ask.is_step) == (Kind.EMBEDDING, True)
    assert (ask.model, ask.input_chars) == ("embed-v4.0", 4)


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/v1/tokenize", "tokenize"),
        ("POST", "/detokenize", "detokenize"),
        ("POST", "/v1/embed-jobs", "embed_jobs"),
        ("GET", "/v1/embed-jobs/7", "embed_jobs"),
        ("POST", "/v1/check-api-key", "check_api_key"),
        ("GET", "/v1/datasets/usage", "datasets"),
        ("GET", "/v1/connectors", "connectors"),
        ("GET", "/v1/finetuning/finetuned-models", "finetuning"),
    ],
)
def test_what_is_no_work_is_no_step(method: str, path: str, name: str):
    ask = ask_for(path, method=method)
    assert (ask.dialect, ask.operation) == ("cohere_embed", name)
    assert (ask.kind, ask.is_step) == (Kind.OTHER, False)
    answer = dumps({"meta": META})
    assert read(path, answer, method=method).usage is None


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v2/embed"), ("GET", "/tokenize"), ("POST", "/embed")]
)
def test_other_paths_and_methods_are_not_its(method: str, path: str):
    assert ask_for(path, method=method).dialect != "cohere_embed"


@pytest.mark.parametrize(
    ("body", "well_formed"), [(b"{", False), (None, True), (b"{}", True)]
)
def test_only_a_broken_request_is_not_well_formed(
    body: bytes | None, well_formed: bool
):
    assert ask_for("/v2/embed", body).well_formed == well_formed


def test_usage_is_what_is_billed():
    answer = {"id": "e1", "embeddings": {"float": [[0.1]]}, "meta": META}
    for body in (dumps(answer), data(answer)):
        reading = read("/v2/embed", body)
        assert (reading.usage, reading.response_id) == (Usage(input=208), "e1")
        assert reading.usage_json == dumps(META)


def test_images_are_counted():
    answer = {"meta": {"billed_units": {"images": 2, "image_tokens": 500}}}
    reading = read("/v2/embed", dumps(answer))
    assert (reading.usage, reading.server_tool_uses) == (
        Usage(image_in=500),
        (("images", 2),),
    )


def test_an_error_status_is_classified():
    reading = read("/v2/embed", b'{"message":"no key"}', status=401)
    assert reading.error_type == ErrorType.AUTH
