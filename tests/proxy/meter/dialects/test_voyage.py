import json

import pytest

from proxy.model import ErrorType, Kind, Usage
from tests.helpers.meter import ask_for, data, dumps, read

PATH = "/v1/multimodalembeddings"


@pytest.mark.parametrize("name", ["multimodalembeddings", "contextualizedembeddings"])
def test_operations_are_recognised_by_the_end_of_the_path(name: str):
    ask = ask_for(f"/v1/{name}/")
    assert (ask.dialect, ask.operation) == ("voyage", name)
    assert (ask.kind, ask.is_step) == (Kind.EMBEDDING, True)


def test_other_methods_are_not_its():
    assert ask_for(PATH, method="GET").dialect != "voyage"


def test_a_request_is_read_without_its_pictures():
    content = [
        {"type": "text", "text": "abc"},
        {"type": "image_base64", "image_base64": "data:image/png;base64,AAAA"},
    ]
    body = {"model": "voyage-multimodal-3", "inputs": [{"content": content}]}
    ask = ask_for(PATH, json.dumps(body).encode())
    assert (ask.model, ask.input_chars) == ("voyage-multimodal-3", 3)


@pytest.mark.parametrize(
    ("body", "well_formed"), [(b"{", False), (None, True), (b"{}", True)]
)
def test_only_a_broken_request_is_not_well_formed(
    body: bytes | None, well_formed: bool
):
    assert ask_for(PATH, body).well_formed == well_formed


def test_usage_is_input_only():
    usage = {"text_tokens": 5, "image_pixels": 5600, "total_tokens": 15}
    answer = {"model": "voyage-multimodal-3", "data": [], "usage": usage}
    for body in (dumps(answer), data(answer)):
        reading = read(PATH, body)
        assert reading.usage == Usage(input=5, image_in=10)
        assert (reading.model, reading.usage_json) == (
            "voyage-multimodal-3",
            dumps(usage),
        )


def test_an_error_status_is_classified():
    reading = read(PATH, b'{"detail":"no such model"}', status=400)
    assert reading.error_type == ErrorType.INVALID_REQUEST
