"""Every path has its answer."""

import pytest

from tests.helpers.simulated import call, path_of


def test_the_root_says_how_to_point_agents(provider):
    said = call(provider.url, "/", b"", "GET")
    assert f"OPENAI_BASE_URL={provider.url}/v1" in said.body.decode()
    assert call(provider.url, "/", b"", "HEAD").status == 200


@pytest.mark.parametrize(
    ("path", "headers", "words"),
    [
        ("/v1/models", {}, b'"object":"list"'),
        ("/v1/models/gpt-4o", {}, b'"id":"gpt-4o"'),
        ("/v1/models", {"anthropic-version": "2023-06-01"}, b'"has_more":false'),
        (
            "/v1/models/claude-x",
            {"anthropic-version": "2023-06-01"},
            b'"id":"claude-x"',
        ),
        ("/v1/models", {"x-goog-api-key": "k"}, b'"models":['),
        ("/v1beta/models/gemini-x", {}, b'"name":"models/gemini-x"'),
    ],
)
def test_models_are_listed_as_their_provider_does(provider, path, headers, words):
    assert words in call(provider.url, path, b"", "GET", headers).body


def test_unknown_paths_and_methods_are_not_found(provider):
    for path in ("/v1/unknown", "/v1beta/models/g:dance", "/v1/responses/resp_0"):
        method = "GET" if "resp_" in path else "POST"
        said = call(provider.url, path, {}, method)
        assert said.status == 404
        assert "error" in said.json()


def test_a_body_beyond_the_limit_is_refused(provider):
    said = call(provider.url, path_of("openai_chat"), b" " * (65 << 20))
    assert said.status == 413


def test_gemini_takes_both_spellings(provider):
    contents = [{"role": "user", "parts": [{"text": "<<plan: say a b c>>"}]}]
    for name, inner in (
        ("generationConfig", "maxOutputTokens"),
        ("generation_config", "max_output_tokens"),
    ):
        body = {"contents": contents, name: {inner: 1}}
        said = call(provider.url, path_of("gemini"), body).json()
        assert said["candidates"][0]["finishReason"] == "MAX_TOKENS"
    counted = call(
        provider.url,
        "/v1beta/models/g:countTokens",
        {"generateContentRequest": {"contents": contents}},
    )
    assert counted.json()["totalTokens"] > 3
