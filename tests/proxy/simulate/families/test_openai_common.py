"""OpenAI's errors and names of models."""

import pytest

from proxy.simulate.families.openai_common import error, served
from proxy.simulate.question import Refusal


def test_models_answer_under_dated_names():
    assert served("gpt-4o") == "gpt-4o-2024-08-06"
    assert served("mine") == "mine"


@pytest.mark.parametrize(
    ("refusal", "kind", "code"),
    [
        (Refusal(400, "x", code="c"), "invalid_request_error", "c"),
        (Refusal(401, "x"), "invalid_request_error", "invalid_api_key"),
        (Refusal(429, "x"), "tokens", "rate_limit_exceeded"),
        (Refusal(429, "x", quota=True), "insufficient_quota", "insufficient_quota"),
        (Refusal(503, "x"), "server_error", None),
    ],
)
def test_errors_have_type_and_code(refusal, kind, code):
    found = error(refusal)
    assert (found["type"], found["code"]) == (kind, code)
    assert found.keys() == {"message", "type", "param", "code"}
