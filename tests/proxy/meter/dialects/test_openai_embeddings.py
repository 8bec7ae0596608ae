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


def test_others_say_only_how_much_it_is_together():
    assert read(PATH, dumps({"usage": {"total_tokens": 12}})).usage == Usage(input=12)


def test_an_answer_in_events_is_read_too():
    assert read(PATH, data({"usage": USAGE})).usage == Usage(input=8)


def test_an_error_with_status_200_is_told():
    assert (
        read(PATH, b'{"error":{"code":"server_error"}}').error_type
        == ErrorType.SERVER_ERROR
    )


def test_azures_path_names_the_model_where_the_body_does_not():
    path = "/openai/deployments/d/embeddings"
    assert (ask_for(path).model, ask_for(path, None).model) == ("d", "d")
    assert ask_for(path, b'{"model":"m"}').model == "m"


def test_id_and_the_providers_own_total_are_taken():
    usage = {**USAGE, "cost": 1e-06}
    reading = read(PATH, dumps({"id": "embd-1", "usage": usage}))
    assert (reading.response_id, reading.cost) == ("embd-1", 1_000_000)
