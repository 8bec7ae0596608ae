"""Errors in each family's own shape."""

import json

import pytest

from proxy.judge.shapes import (
    Family,
    Manner,
    Told,
    anthropic_error,
    encode,
    error_of,
    family_of,
)
from proxy.meter.dialects import DIALECTS
from proxy.meter.faults import read_fault

STORY = "tachograph: run r1 exceeded its step limit (20 of 20)"
TOLD = Told(STORY, "step_limit")
PLAIN = {"plain_http", "tgi", "rerank"}
"""Tools, and dialects that several providers speak, each with other errors."""


@pytest.mark.parametrize("dialect", [each.name for each in DIALECTS])
def test_every_dialect_has_a_family(dialect):
    assert (family_of(dialect, "") is Family.ANY) == (dialect in PLAIN)


@pytest.mark.parametrize(
    ("dialect", "provider", "family"),
    [
        ("openai_chat", "openai", Family.OPENAI),
        ("openai_chat", "azure", Family.OPENAI),
        ("openai_chat", "groq", Family.OPENAI),
        ("openai_chat", "mistral", Family.MISTRAL),
        ("openai_chat", "cohere", Family.OPENAI),
        ("anthropic_messages", "vertex", Family.ANTHROPIC),
        ("rerank", "cohere", Family.COHERE),
        ("rerank", "voyage-ai", Family.VOYAGE),
        ("rerank", "jina", Family.ANY),
        ("openai_embeddings", "voyage", Family.VOYAGE),
        ("plain_http", "mistral", Family.ANY),
    ],
)
def test_the_family_is_whose_errors_the_clients_read(dialect, provider, family):
    assert family_of(dialect, provider) is family


@pytest.mark.parametrize("manner", Manner)
@pytest.mark.parametrize("family", [f for f in Family if f is not Family.MCP])
def test_the_whole_story_stands_in_every_shape(family, manner):
    told = Told(STORY, "step_limit", manner, 7)
    body = encode(error_of(family, told))
    assert STORY in body.decode()
    assert read_fault(manner.value, body)[1]


def test_the_shapes_are_the_providers_own():
    own = {"message": STORY, "type": "invalid_request_error", "param": None, "code": "step_limit"}  # fmt: skip
    assert error_of(Family.OPENAI, TOLD) == {"error": own}
    assert error_of(Family.ANTHROPIC, TOLD) == anthropic_error(
        "invalid_request_error", STORY
    )
    assert error_of(Family.BEDROCK, TOLD) == {"message": STORY}
    assert error_of(Family.COHERE, TOLD) == {"message": STORY}
    assert error_of(Family.OLLAMA, TOLD) == {"error": STORY}
    assert error_of(Family.VOYAGE, TOLD) == {"detail": STORY}
    mistral = error_of(Family.MISTRAL, TOLD)
    assert (mistral["object"], mistral["message"]) == ("error", STORY)
    google = error_of(Family.GEMINI, TOLD)["error"]
    assert (google["code"], google["status"]) == (400, "FAILED_PRECONDITION")
    assert [each["@type"].rpartition(".")[2] for each in google["details"]] == [
        "ErrorInfo"
    ]


def test_anybodys_error_has_something_for_every_sdk():
    body = error_of(Family.ANY, TOLD)
    assert (body["type"], body["message"]) == ("error", STORY)
    assert body["error"]["message"] == STORY
    assert body["error"]["code"] == "step_limit"


def test_google_is_told_how_long_to_wait():
    told = Told(STORY, "upstream_limit", Manner.LIMITED, 7)
    google = error_of(Family.GEMINI, told)["error"]
    assert (google["code"], google["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert google["details"][1]["retryDelay"] == "7s"


def test_a_message_of_any_characters_survives():
    told = Told('"quoted"\n\u2028 é', "fault")
    for family in Family:
        text = encode(error_of(family, told))
        assert "quoted" in str(json.loads(text))
