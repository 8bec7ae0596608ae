"""How either side of an exchange can fail."""

from proxy.model import ErrorType


class AgentGoneError(ConnectionError):
    """The agent closed its connection."""


class BodyTimeoutError(Exception):
    """The agent stopped sending its body."""


class BodyMalformedError(Exception):
    """The request's body breaks HTTP."""


class WriteStalledError(Exception):
    """The agent stopped reading."""


class UpstreamError(Exception):
    """The exchange with the provider failed; `error_type` says how, the message is safe to show."""

    def __init__(self, error_type: ErrorType, message: str) -> None:
        """Keep the class of the failure beside its text."""
        super().__init__(message)
        self.error_type = error_type
