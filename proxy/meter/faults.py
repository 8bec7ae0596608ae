"""Says from a status and an error body why an attempt failed.

What lives here: the providers' words for it, and the fixed set they map to. What does not: retries, breakers and gates,
which act on the result.
"""

from typing import Any

import msgspec

from proxy.meter import lenient
from proxy.model import ErrorType

CODE_CHARS = 64

_BY_CODE = {
    "insufficient_quota": ErrorType.QUOTA,
    "credit_balance_exhausted": ErrorType.QUOTA,
    "organization_spend_limit_exceeded": ErrorType.QUOTA,
    "project_spend_limit_exceeded": ErrorType.QUOTA,
    "organization_usage_limit_exceeded": ErrorType.QUOTA,
    "enforced_spend_limit_reached": ErrorType.QUOTA,
    "billing_hard_limit_reached": ErrorType.QUOTA,
    "billing_not_active": ErrorType.QUOTA,
    "billing_error": ErrorType.QUOTA,
    "usage_limit_reached": ErrorType.QUOTA,
    "rate_limit_exceeded": ErrorType.RATE_LIMITED,
    "rate_limit_error": ErrorType.RATE_LIMITED,
    "too_many_requests": ErrorType.RATE_LIMITED,
    "authentication_error": ErrorType.AUTH,
    "permission_error": ErrorType.AUTH,
    "invalid_api_key": ErrorType.AUTH,
    "model_not_found": ErrorType.NOT_FOUND,
    "not_found_error": ErrorType.NOT_FOUND,
    "request_too_large": ErrorType.TOO_LARGE,
    "context_length_exceeded": ErrorType.TOO_LARGE,
    "overloaded_error": ErrorType.OVERLOADED,
    "server_overloaded": ErrorType.OVERLOADED,
    "engine_overloaded": ErrorType.OVERLOADED,
    "server_error": ErrorType.SERVER_ERROR,
    "api_error": ErrorType.SERVER_ERROR,
    "timeout_error": ErrorType.SERVER_ERROR,
    "internal_error": ErrorType.SERVER_ERROR,
    "internal_server_error": ErrorType.SERVER_ERROR,
    "invalid_request_error": ErrorType.INVALID_REQUEST,
    "invalid_prompt": ErrorType.INVALID_REQUEST,
}

_BY_EXCEPTION = {
    "ThrottlingException": ErrorType.RATE_LIMITED,
    "TooManyRequestsException": ErrorType.RATE_LIMITED,
    "ServiceQuotaExceededException": ErrorType.QUOTA,
    "AccessDeniedException": ErrorType.AUTH,
    "ExpiredTokenException": ErrorType.AUTH,
    "IncompleteSignatureException": ErrorType.AUTH,
    "InvalidSignatureException": ErrorType.AUTH,
    "MissingAuthenticationTokenException": ErrorType.AUTH,
    "UnrecognizedClientException": ErrorType.AUTH,
    "ResourceNotFoundException": ErrorType.NOT_FOUND,
    "ConflictException": ErrorType.INVALID_REQUEST,
    "ValidationException": ErrorType.INVALID_REQUEST,
    "ModelNotReadyException": ErrorType.OVERLOADED,
    "ServiceUnavailableException": ErrorType.OVERLOADED,
    "InternalServerException": ErrorType.SERVER_ERROR,
    "ModelErrorException": ErrorType.SERVER_ERROR,
    "ModelStreamErrorException": ErrorType.SERVER_ERROR,
    "ModelTimeoutException": ErrorType.SERVER_ERROR,
}
"""AWS: the name says more than the status, which is 4xx for a model that failed (424) or took too long (408)."""

_BY_STATUS = {
    401: ErrorType.AUTH,
    402: ErrorType.QUOTA,
    403: ErrorType.AUTH,
    404: ErrorType.NOT_FOUND,
    410: ErrorType.NOT_FOUND,
    413: ErrorType.TOO_LARGE,
    429: ErrorType.RATE_LIMITED,
    529: ErrorType.OVERLOADED,
}

_SPENT = (
    "You have reached your specified API usage limits",
    "Your credit balance is too low",
)
"""How Anthropic words, in a 400 `invalid_request_error`, that the money is gone."""


class Fault(msgspec.Struct, frozen=True):
    """Why, and the provider's own word for it."""

    error_type: ErrorType
    code: str = ""


NO_FAULT = Fault(ErrorType.NONE)


class _Body(msgspec.Struct):
    error: Any = None
    code: Any = None
    type: Any = None
    message: Any = None


_BODY = msgspec.json.Decoder(_Body)


def read_fault(status: int, body: bytes) -> tuple[Fault, bool]:
    """Classify an error answer; the second is whether the body could be read."""
    try:
        said = lenient.load(_BODY, body)
    except lenient.UNREADABLE:
        return classify(status, None), False
    return classify(
        status, said.error if said.error is not None else msgspec.to_builtins(said)
    ), True


def classify(status: int, error: Any) -> Fault:
    """Classify an error object; `status` is 200 for one that came inside of a stream."""
    details = error if isinstance(error, dict) else {}
    inner = lenient.member(details, "details").get("error_code")
    words = [
        word
        for word in (
            _word(inner),
            _word(details.get("code")),
            _word(details.get("type")),
        )
        if word
    ]
    code = words[0] if words else ""
    message = lenient.text(error) or lenient.text(details.get("message"))
    return Fault(_error_type(status, words, message), code[:CODE_CHARS])


def _word(found: Any) -> str:
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    return lenient.text(found)


def _error_type(status: int, words: list[str], message: str) -> ErrorType:
    named = [_BY_EXCEPTION[word] for word in words if word in _BY_EXCEPTION]
    if named:
        return named[0]
    known = [_BY_CODE[word] for word in words if word in _BY_CODE]
    if ErrorType.QUOTA in known or message.startswith(_SPENT):
        return ErrorType.QUOTA
    if "slow_down" in words:
        return ErrorType.RATE_LIMITED if status == 429 else ErrorType.OVERLOADED
    if status == 429:
        return ErrorType.RATE_LIMITED
    specific = [
        found
        for found in known
        if found not in (ErrorType.INVALID_REQUEST, ErrorType.SERVER_ERROR)
    ]
    if specific:
        return specific[0]
    if status >= 400:
        return _BY_STATUS.get(status) or (
            ErrorType.SERVER_ERROR if status >= 500 else ErrorType.INVALID_REQUEST
        )
    by_number = [
        _error_type(int(word), [], "")
        for word in words
        if len(word) == 3 and word.isdecimal() and int(word) >= 400
    ]
    return (by_number or known or [ErrorType.ERROR_IN_STREAM])[0]
