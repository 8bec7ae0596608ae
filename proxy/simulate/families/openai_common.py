"""What OpenAI's APIs have in common: error bodies, names of models as they are served.

What does not live here: requests and answers of any of them.
"""

from typing import Any

from proxy.simulate.question import Refusal

QUOTA = "You exceeded your current quota, please check your plan and billing details."
_TYPES = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    403: "invalid_request_error",
    404: "invalid_request_error",
    409: "invalid_request_error",
    413: "invalid_request_error",
    429: "tokens",
}
_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
_SERVED = {
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
    "gpt-5": "gpt-5-2025-08-07",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "o3": "o3-2025-04-16",
    "o4-mini": "o4-mini-2025-04-16",
}


def served(model: str) -> str:
    """Give the dated name under which a model answers."""
    return _SERVED.get(model, model)


def error(refusal: Refusal) -> dict[str, Any]:
    """Give an error's object."""
    if refusal.quota:
        kind = code = "insufficient_quota"
        return {"message": QUOTA, "type": kind, "param": None, "code": code}
    kind = _TYPES.get(refusal.status, "server_error")
    code_or_none = refusal.code or _CODES.get(refusal.status)
    return {
        "message": refusal.message,
        "type": kind,
        "param": None,
        "code": code_or_none,
    }
