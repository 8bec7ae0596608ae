"""What a refusal looks like to each wire family's clients: the body that their SDKs read, and the error's name in their own words.

What lives here: families and bodies. What does not: status and headers (`refusals.py`), messages in a stream that has begun
(`stream_errors.py`), MCP, whose refusals are results (`mcp_refusals.py`).

Several SDKs show nothing but the message, so the message is the whole story.
"""

from enum import Enum, StrEnum
from typing import Any

import msgspec

from proxy.providers import find


class Manner(Enum):
    """What an agent is to do."""

    FINAL = 400
    """Not try again: it would be refused again. The value is the status."""
    LIMITED = 429
    """Wait, then try again: a provider's limit for this caller."""
    BUSY = 503
    """Wait, then try again: the upstream fails, or calls under way leave no room."""


class Family(StrEnum):
    """Whose errors they look like."""

    ANY = "any"
    """Nobody's: one body in which each SDK finds something."""
    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"
    BEDROCK = "bedrock"
    COHERE = "cohere"
    MISTRAL = "mistral"
    OLLAMA = "ollama"
    VOYAGE = "voyage"
    MCP = "mcp"


class Told(msgspec.Struct, frozen=True):
    """What an error says."""

    message: str
    code: str
    """From a fixed set (`verdict.Reason`)."""
    manner: Manner = Manner.FINAL
    wait_seconds: int = 0


_BY_DIALECT = {
    "openai_chat": Family.OPENAI,
    "openai_completions": Family.OPENAI,
    "openai_responses": Family.OPENAI,
    "openai_embeddings": Family.OPENAI,
    "openai_assistants": Family.OPENAI,
    "openai_other": Family.OPENAI,
    "deferred_chat": Family.OPENAI,
    "llama_cpp": Family.OPENAI,
    "anthropic_messages": Family.ANTHROPIC,
    "anthropic_complete": Family.ANTHROPIC,
    "gemini_generate": Family.GEMINI,
    "gemini_embeddings": Family.GEMINI,
    "gemini_interactions": Family.GEMINI,
    "gemini_other": Family.GEMINI,
    "bedrock_converse": Family.BEDROCK,
    "bedrock_invoke": Family.BEDROCK,
    "bedrock_other": Family.BEDROCK,
    "cohere_v1": Family.COHERE,
    "cohere_v2": Family.COHERE,
    "cohere_embed": Family.COHERE,
    "mistral_conversations": Family.MISTRAL,
    "ollama": Family.OLLAMA,
    "voyage": Family.VOYAGE,
    "mcp": Family.MCP,
}
_SHARED = {
    ("rerank", "cohere"): Family.COHERE,
    ("rerank", "voyage"): Family.VOYAGE,
    ("openai_embeddings", "voyage"): Family.VOYAGE,
    ("openai_embeddings", "mistral"): Family.MISTRAL,
    ("openai_chat", "mistral"): Family.MISTRAL,
    ("openai_completions", "mistral"): Family.MISTRAL,
    ("openai_other", "mistral"): Family.MISTRAL,
}
"""Dialects that several providers speak, each with errors of its own."""

OPENAI_TYPES = {
    Manner.FINAL: "invalid_request_error",
    Manner.LIMITED: "rate_limit_error",
    Manner.BUSY: "server_error",
}
ANTHROPIC_TYPES = {
    Manner.FINAL: "invalid_request_error",
    Manner.LIMITED: "rate_limit_error",
    Manner.BUSY: "overloaded_error",
}
GOOGLE_STATUSES = {
    Manner.FINAL: "FAILED_PRECONDITION",
    Manner.LIMITED: "RESOURCE_EXHAUSTED",
    Manner.BUSY: "UNAVAILABLE",
}
AWS_EXCEPTIONS = {
    Manner.FINAL: "ValidationException",
    Manner.LIMITED: "ThrottlingException",
    Manner.BUSY: "ServiceUnavailableException",
}
_GOOGLE = "type.googleapis.com/google.rpc"

encode = msgspec.json.Encoder().encode


def family_of(dialect: str, provider: str) -> Family:
    """Say whose errors the clients of a call read, by the names of its dialect and its provider."""
    known = find(provider)
    name = known.name if known is not None else provider
    return _SHARED.get((dialect, name)) or _BY_DIALECT.get(dialect, Family.ANY)


def error_of(family: Family, told: Told) -> dict[str, Any]:
    """Give the body of an error answer. MCP's are not of this kind."""
    message, code, manner = told.message, told.code, told.manner
    match family:
        case Family.OPENAI:
            return {"error": openai_error(told)}
        case Family.ANTHROPIC:
            return anthropic_error(ANTHROPIC_TYPES[manner], message)
        case Family.GEMINI:
            return {"error": google_error(told)}
        case Family.BEDROCK:
            return {"message": message}
        case Family.COHERE:
            return {"message": message}
        case Family.MISTRAL:
            return mistral_error(told)
        case Family.OLLAMA:
            return {"error": message}
        case Family.VOYAGE:
            return {"detail": message}
        case _:
            error = {**openai_error(told), "code": code}
            return {"type": "error", "error": error, "message": message}


def openai_error(told: Told) -> dict[str, Any]:
    """Give OpenAI's error object, also that of Azure, Groq and all who speak its dialect."""
    return {
        "message": told.message,
        "type": OPENAI_TYPES[told.manner],
        "param": None,
        "code": told.code,
    }


def anthropic_error(kind: str, message: str) -> dict[str, Any]:
    """Give Anthropic's error, which is also its event."""
    return {"type": "error", "error": {"type": kind, "message": message}}


def google_error(told: Told) -> dict[str, Any]:
    """Give Google's error object; Gemini CLI reads how long to wait in the details."""
    details: list[dict[str, Any]] = [
        {"@type": f"{_GOOGLE}.ErrorInfo", "reason": told.code, "domain": "tachograph"}
    ]
    if told.wait_seconds:
        delay = f"{told.wait_seconds}s"
        details.append({"@type": f"{_GOOGLE}.RetryInfo", "retryDelay": delay})
    return {
        "code": told.manner.value,
        "message": told.message,
        "status": GOOGLE_STATUSES[told.manner],
        "details": details,
    }


def mistral_error(told: Told) -> dict[str, Any]:
    """Give Mistral's error; `error` is for OpenAI's SDK, which many use there and which would show the whole body otherwise."""
    error = openai_error(told)
    return {"object": "error", **error, "error": error}
