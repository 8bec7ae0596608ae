import json

import pytest

from proxy.model import ErrorType, Kind, Usage
from tests.helpers.meter import ask_for, data, dumps, read

PATH = "/v1/embeddings"
USAGE = {"prompt_tokens": 8, "total_tokens": 8}


def test_a_request_is_read():
    ask = ask_for(PATH, json.dumps({"model": "m", "input": ["abc", "d"]}).encode())
    assert (ask.operation, ask.kind, ask.is_step) == (
        "embeddings",
        Kind.EMBEDDING,
        True,
    )
    assert (ask.model, ask.input_chars) == ("m", 4)


def test_other_methods_are_not_embeddings():
    assert ask_for(PATH, method="GET").operation == "http"


@pytest.mark.parametrize(
    ("body", "well_formed"), [(b"{", False), (None, True), (b"{}", True)]
)
def test_only_a_broken_request_is_not_well_formed(
    body: bytes | None, well_formed: bool
):
    assert ask_for(PATH, body).well_formed == well_formed


def test_usage_is_input_only():
    reading = read(
        PATH,
        dumps({"data": [{"embedding": [0.1, 0.2]}], "model": "m-2", "usage": USAGE}),
    )
    assert (reading.usage, reading.model, reading.usage_json) == (
        Usage(input=8),
        "m-2",
        dumps(USAGE),
    )


def test_an_answer_in_events_is_read_too():
    assert read(PATH, data({"usage": USAGE})).usage == Usage(input=8)


def test_an_error_with_status_200_is_told():
    assert (
        read(PATH, b'{"error":{"code":"server_error"}}').error_type
        == ErrorType.SERVER_ERROR
    )
