"""How either side of an exchange can fail."""

from proxy.judge.refusals import OwnAnswer
from proxy.model import ErrorType


class AgentGoneError(ConnectionError):
    """The agent closed its connection."""


class BodyTimeoutError(Exception):
    """The agent stopped sending its body."""


class RefusedError(Exception):
    """The request does not go upstream; the message tells the agent why."""

    error_type = ErrorType.INVALID_REQUEST


class BlockedError(RefusedError):
    """A policy refuses the request."""

    def __init__(self, error_type: ErrorType, message: str, answer: OwnAnswer) -> None:
        """Keep the row's word for it, and what the agent gets, beside the text."""
        super().__init__(message)
        self.error_type = error_type
        self.answer = answer


class BodyMalformedError(RefusedError):
    """The request's body breaks HTTP."""


class BodyTooLargeError(BodyMalformedError):
    """The request's body is needed whole, and there is no room for it: never (`TOO_LARGE`), or now (`ADMISSION`)."""

    def __init__(self, error_type: ErrorType, message: str) -> None:
        """Keep which of the two beside the text."""
        super().__init__(message)
        self.error_type = error_type


class WriteStalledError(Exception):
    """The agent stopped reading."""


class UpstreamError(Exception):
    """The exchange with the provider failed; `error_type` says how, the message is safe to show."""

    def __init__(self, error_type: ErrorType, message: str) -> None:
        """Keep the class of the failure beside its text."""
        super().__init__(message)
        self.error_type = error_type


def no_room(size: int, limit_bytes: int) -> BodyTooLargeError:
    """Say why a body that must be signed is not read whole; unsigned it would be refused upstream."""
    if size > limit_bytes:
        message = "the body is too large to be signed; limits.request_buffer_bytes says how large it may be"
        return BodyTooLargeError(ErrorType.TOO_LARGE, message)
    message = "too many request bodies are held here; try again, or raise limits.request_buffers_total_bytes"
    return BodyTooLargeError(ErrorType.ADMISSION, message)
