"""Lists and embeddings as the SDKs take them."""

import math

import pytest

from proxy.simulate.families.catalogue import embedding
from tests.helpers.simulated import anthropic_client, call, openai_client


def test_openais_sdk_takes_models_and_embeddings(provider):
    with openai_client(provider.url) as client:
        assert "gpt-4o" in [model.id for model in client.models.list()]
        assert client.models.retrieve("gpt-4o").owned_by == "system"
        found = client.embeddings.create(
            model="text-embedding-3-small", input=["a", "b"], dimensions=8
        )
        floats = client.embeddings.create(
            model="text-embedding-3-small",
            input="a",
            dimensions=8,
            encoding_format="float",
        )
    assert found.data[0].embedding == pytest.approx(floats.data[0].embedding, abs=1e-6)
    assert found.data[0].embedding != found.data[1].embedding
    assert found.usage.prompt_tokens == 2


def test_anthropics_sdk_takes_models(provider):
    with anthropic_client(provider.url) as client:
        assert "claude-sonnet-5" in [model.id for model in client.models.list()]
        assert client.models.retrieve("claude-sonnet-5").type == "model"


def test_embeddings_are_of_length_one_and_repeatable():
    vector = embedding("tea", 64)
    assert math.sqrt(sum(each * each for each in vector)) == pytest.approx(
        1.0, abs=1e-4
    )
    assert vector == embedding("tea", 64)


def test_inputs_are_checked(provider):
    path = "/v1/embeddings"
    assert call(provider.url, path, {"model": "m"}).status == 400
    assert call(provider.url, path, {"model": "m", "input": ["a"] * 2049}).status == 400
    tokens = call(provider.url, path, {"model": "m", "input": [[1, 2, 3]]}).json()
    assert tokens["usage"]["prompt_tokens"] == 3
    assert call(provider.url, path, {"model": "m", "input": [1, 2]}).status == 200
