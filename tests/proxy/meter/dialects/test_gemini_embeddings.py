import json
from typing import Any

import pytest

from proxy.model import ErrorType, Kind, Usage
from tests.helpers.meter import ask_for, dumps, read

MODEL = "/v1beta/models/gemini-embedding-001"
BATCH = f"{MODEL}:batchEmbedContents"
ON_VERTEX = "/v1/projects/p/locations/l/publishers/google/models"
PREDICT = f"{ON_VERTEX}/text-embedding-005:predict"


@pytest.mark.parametrize(
    ("path", "model"),
    [
        (f"{MODEL}:embedContent", "gemini-embedding-001"),
        (BATCH, "gemini-embedding-001"),
        (f"{MODEL}%3AembedContent", "gemini-embedding-001"),
        (PREDICT, "text-embedding-005"),
        (f"{ON_VERTEX}/textembedding-gecko%40003:predict", "textembedding-gecko@003"),
        (f"{ON_VERTEX}/gemini-embedding-2:embedContent", "gemini-embedding-2"),
    ],
)
def test_embeddings_are_recognised(path: str, model: str):
    ask = ask_for(path)
    assert (ask.dialect, ask.operation, ask.kind, ask.is_step, ask.model) == (
        "gemini_embeddings",
        "embeddings",
        Kind.EMBEDDING,
        True,
        model,
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", BATCH), ("POST", f"{ON_VERTEX}/imagen-4.0:predict"), ("POST", MODEL)],
)
def test_what_does_not_embed_is_none(method: str, path: str):
    assert ask_for(path, method=method).dialect != "gemini_embeddings"


@pytest.mark.parametrize(
    "request_",
    [
        {"model": "models/g", "content": {"parts": [{"text": "12345"}]}},
        {
            "requests": [
                {
                    "model": "models/g",
                    "taskType": "RETRIEVAL_QUERY",
                    "content": {"parts": [{"text": "123"}, {"text": "45"}]},
                }
            ]
        },
        {"instances": [{"content": "123", "task_type": "X"}, {"content": "45"}]},
    ],
)
def test_the_text_of_a_request_is_counted(request_: dict[str, Any]):
    ask = ask_for(BATCH, json.dumps(request_).encode())
    assert (ask.input_chars, ask.well_formed) == (5, True)


@pytest.mark.parametrize(("body", "well_formed"), [(b"{", False), (None, True)])
def test_the_path_says_the_model_whatever_the_body_is(
    body: bytes | None, well_formed: bool
):
    ask = ask_for(BATCH, body)
    assert (ask.model, ask.well_formed) == ("gemini-embedding-001", well_formed)


def prediction(**statistics: Any) -> dict[str, Any]:
    return {"embeddings": {"values": [0.1], "statistics": statistics}}


@pytest.mark.parametrize(
    ("answer", "tokens"),
    [
        ({"embeddings": [{"values": [0.1, -2e-05]}]}, None),
        ({"embedding": {"values": [0.1]}}, None),
        ({"embedding": {"statistics": {"tokenCount": 4.0}}}, 4),
        ({"predictions": [prediction(token_count=3), prediction(token_count=0)]}, 3),
        ({"predictions": [prediction(token_count=3), prediction()]}, None),
        ({"predictions": [prediction(token_count=3), {"textEmbedding": []}]}, None),
        ({"predictions": []}, None),
        ({"usageMetadata": {"promptTokenCount": 7}, "embedding": {}}, 7),
    ],
)
def test_tokens_are_read_where_the_wire_shows_them(
    answer: dict[str, Any], tokens: int | None
):
    reading = read(PREDICT, dumps(answer))
    assert reading.usage == (None if tokens is None else Usage(input=tokens))
    assert (reading.usage_json is None) == (tokens is None)


def test_media_have_their_own_buckets():
    said = {
        "promptTokenCount": 300,
        "promptTokensDetails": [
            {"modality": "IMAGE", "tokenCount": 258},
            {"modality": "VIDEO", "tokenCount": 40},
        ],
    }
    reading = read(BATCH, dumps({"usageMetadata": said}))
    assert reading.usage == Usage(input=42, image_in=258)
    assert reading.details == (("input_video", 40),)


def test_errors_are_told():
    body = b'{"error":{"code":400,"status":"INVALID_ARGUMENT"}}'
    assert read(BATCH, body, status=400).error_type == ErrorType.INVALID_REQUEST
    assert read(BATCH, body).error_in_stream
    assert read(BATCH, b"data: " + body + b"\n\n").error_in_stream


def test_an_answer_that_is_cut_is_malformed():
    assert read(BATCH, b'{"embeddings":[{"values":[0.1').malformed


def test_lines_of_a_stream_are_not_expected():
    assert read(BATCH, b"data: [\n\n").malformed
