"""How an exchange ended whose bytes all passed: what status and answer say of it. Pure."""

from proxy.forward.relay import Ending
from proxy.model import ErrorType, Outcome, Reading


def judge(ending: Ending, status: int | None, reading: Reading) -> Ending:
    """Say how an exchange ended whose bytes all passed: by status, then by what the answer itself said."""
    if ending.outcome is not Outcome.COMPLETED or status is None:
        return ending
    if status >= 500:
        return Ending(
            Outcome.UPSTREAM_ERROR, reading.error_type or ErrorType.SERVER_ERROR
        )
    if status >= 400:
        return Ending(Outcome.REJECTED, reading.error_type or ErrorType.INVALID_REQUEST)
    if reading.error_in_stream:
        return Ending(Outcome.UPSTREAM_ERROR, ErrorType.ERROR_IN_STREAM)
    if reading.expects_terminal and not reading.terminal:
        return Ending(Outcome.UPSTREAM_ABORT, ErrorType.NO_TERMINAL_EVENT)
    return ending
