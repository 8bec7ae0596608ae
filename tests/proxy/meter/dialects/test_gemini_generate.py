import json

import pytest

from proxy.model import Kind, Reading, ToolCall, Usage
from tests.helpers.meter import ask_for, dumps, read

MODEL = "/v1beta/models/gemini-2.5-flash"
WHOLE = f"{MODEL}:generateContent"
STREAM = f"{MODEL}:streamGenerateContent"
VERTEX = "/v1/projects/p/locations/us-central1"


@pytest.mark.parametrize(
    ("path", "operation", "model", "is_step", "stream"),
    [
        (WHOLE, "generate_content", "gemini-2.5-flash", True, False),
        (STREAM, "generate_content", "gemini-2.5-flash", True, True),
        ("/v1/models/g:generateContent", "generate_content", "g", True, False),
        ("/p/v1beta/models/g%3AcountTokens", "count_tokens", "g", False, False),
        ("/v1beta/tunedModels/t:generateContent", "generate_content", "t", True, False),
        (
            f"{VERTEX}/publishers/google/models/g-1%40x:streamGenerateContent",
            "generate_content",
            "g-1@x",
            True,
            True,
        ),
        (f"{VERTEX}/endpoints/7:generateContent", "generate_content", "7", True, False),
        (
            "/v1/publishers/google/models/g:countTokens",
            "count_tokens",
            "g",
            False,
            False,
        ),
        (f"{VERTEX}/endpoints/7:computeTokens", "compute_tokens", "7", False, False),
    ],
)
def test_operations_are_told_apart(
    path: str, operation: str, model: str, is_step: bool, stream: bool
):
    ask = ask_for(path)
    assert (ask.dialect, ask.operation, ask.kind) == (
        "gemini_generate",
        operation,
        Kind.LLM,
    )
    assert (ask.model, ask.is_step, ask.stream) == (model, is_step, stream)


def test_only_a_post_generates():
    assert ask_for(WHOLE, method="GET").operation != "generate_content"


@pytest.mark.parametrize(
    ("system", "config", "limit", "tier"),
    [
        ("systemInstruction", "generationConfig", "maxOutputTokens", "serviceTier"),
        (
            "system_instruction",
            "generation_config",
            "max_output_tokens",
            "service_tier",
        ),
    ],
)
def test_a_request_is_read_in_both_spellings(
    system: str, config: str, limit: str, tier: str
):
    request = {
        system: {"parts": [{"text": "12"}]},
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "345"},
                    {"inlineData": {"mimeType": "image/png", "data": "QUJD"}},
                    {"functionResponse": {"name": "f", "response": {"a": "67"}}},
                    {"text": "", "thoughtSignature": "c2ln"},
                ],
            }
        ],
        "tools": [{}],
        config: {limit: 9},
        tier: "flex",
    }
    ask = ask_for(WHOLE, json.dumps(request).encode())
    assert ask.input_chars == 5 + len("f67") + len("[{}]")
    assert (ask.max_output_tokens, ask.service_tier) == (9, "flex")
    assert ask.well_formed


@pytest.mark.parametrize(
    ("body", "well_formed"), [(b"{", False), (None, True), (b"{}", True)]
)
def test_the_path_says_the_model_whatever_the_body_is(
    body: bytes | None, well_formed: bool
):
    ask = ask_for(STREAM, body)
    assert (ask.model, ask.stream) == ("gemini-2.5-flash", True)
    assert ask.well_formed == well_formed


def test_counting_tokens_counts_nothing():
    assert read(f"{MODEL}:countTokens", b'{"totalTokens":31}') == Reading()


@pytest.mark.parametrize("path", [WHOLE, STREAM])
def test_an_answer_is_read(path: str):
    call = {"functionCall": {"name": "f", "args": {}}}
    candidate = {"content": {"parts": [call]}, "finishReason": "STOP"}
    said = {
        "candidates": [candidate],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1},
    }
    reading = read(path, dumps([said] if path == STREAM else said))
    assert reading.usage == Usage(input=3, output=1)
    assert reading.tool_calls == (ToolCall("", "f", b"{}"),)
    assert reading.expects_terminal == (path == STREAM)
