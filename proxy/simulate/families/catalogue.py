"""What providers offer beside answers: lists of models, embeddings, counted tokens.

What lives here: those requests and answers of all families. What does not: answers of models.
"""

import base64
import math
import struct
from hashlib import blake2b
from random import Random
from typing import Any

from proxy.simulate.families.family import items, table, text_of
from proxy.simulate.question import UnacceptableError
from proxy.simulate.tokens import count

OPENAI_MODELS = (
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4.1",
    "gpt-5",
    "gpt-5-mini",
    "o3",
    "text-embedding-3-small",
)
ANTHROPIC_MODELS = ("claude-sonnet-5", "claude-opus-5", "claude-haiku-4-5")
GEMINI_MODELS = ("gemini-2.5-pro", "gemini-2.5-flash", "gemini-embedding-001")
_DIMENSIONS = {"text-embedding-3-large": 3072, "gemini-embedding-001": 3072}
_USUAL_DIMENSIONS = 1536
_MAX_DIMENSIONS = 4096
_MAX_INPUTS = 2048
_CREATED = 1_750_000_000


def openai_models() -> dict[str, Any]:
    """Give OpenAI's list."""
    return {"object": "list", "data": list(map(openai_model, OPENAI_MODELS))}


def openai_model(name: str) -> dict[str, Any]:
    """Give one of OpenAI's models."""
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "system"}


def anthropic_models() -> dict[str, Any]:
    """Give Anthropic's list."""
    first, last = ANTHROPIC_MODELS[0], ANTHROPIC_MODELS[-1]
    found = list(map(anthropic_model, ANTHROPIC_MODELS))
    return {"data": found, "has_more": False, "first_id": first, "last_id": last}


def anthropic_model(name: str) -> dict[str, Any]:
    """Give one of Anthropic's models."""
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": "2025-09-29T00:00:00Z",
    }


def gemini_models() -> dict[str, Any]:
    """Give Google's list."""
    return {"models": list(map(gemini_model, GEMINI_MODELS))}


def gemini_model(name: str) -> dict[str, Any]:
    """Give one of Google's models."""
    methods = ["generateContent", "countTokens"]
    limits = {"inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536}
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name,
        **limits,
        "supportedGenerationMethods": methods,
    }


def openai_embeddings(body: dict[str, Any]) -> dict[str, Any]:
    """Answer OpenAI's embeddings; raise `UnacceptableError`."""
    model, given = body.get("model"), body.get("input")
    if not isinstance(model, str) or not isinstance(given, str | list) or not given:
        raise UnacceptableError("you must provide a model and an input parameter")
    is_one = isinstance(given, str) or all(isinstance(each, int) for each in given)
    inputs = [given] if is_one else list(given)
    _bounded(inputs)
    size = _dimensions(model, body.get("dimensions"))
    in_base64 = body.get("encoding_format") == "base64"
    data = []
    for index, each in enumerate(inputs):
        vector = embedding(str(each), size)
        data.append(
            {
                "object": "embedding",
                "index": index,
                "embedding": _packed(vector) if in_base64 else vector,
            }
        )
    tokens = sum(
        len(each) if isinstance(each, list) else count(str(each)) for each in inputs
    )
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}


def gemini_embedding(model: str, body: dict[str, Any]) -> dict[str, Any]:
    """Answer Google's embedContent."""
    return {"embedding": _gemini_embedding(model, body)}


def gemini_embeddings(model: str, body: dict[str, Any]) -> dict[str, Any]:
    """Answer Google's batchEmbedContents; raise `UnacceptableError`."""
    requests = items(body.get("requests"))
    _bounded(requests)
    return {"embeddings": [_gemini_embedding(model, table(each)) for each in requests]}


def _gemini_embedding(model: str, body: dict[str, Any]) -> dict[str, Any]:
    text = text_of(table(body.get("content")).get("parts"))
    size = body.get("outputDimensionality")
    return {"values": embedding(text, _dimensions(model, size))}


def _bounded(inputs: list[Any]) -> None:
    if len(inputs) > _MAX_INPUTS:
        raise UnacceptableError(
            f"too many inputs: {len(inputs)}, {_MAX_INPUTS} at most"
        )


def _dimensions(model: str, wanted: Any) -> int:
    usual = _DIMENSIONS.get(model, _USUAL_DIMENSIONS)
    is_count = isinstance(wanted, int) and 0 < wanted <= _MAX_DIMENSIONS
    return wanted if is_count else usual


def embedding(text: str, size: int) -> list[float]:
    """Give a vector of length one that is the same for the same text."""
    digest = blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()
    dice = Random(int.from_bytes(digest))
    raw = [dice.gauss(0, 1) for _ in range(size)]
    norm = math.sqrt(sum(each * each for each in raw)) or 1.0
    return [round(each / norm, 7) for each in raw]


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
