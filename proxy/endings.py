"""How an exchange ended whose bytes all passed, or whose agent left at a status that says enough: what status and answer say of it. Pure."""

from proxy.forward.watch import Ending
from proxy.model import ErrorType, Outcome, Reading

_OF_THE_ASKING_SIDE = frozenset(
    {
        ErrorType.INVALID_REQUEST,
        ErrorType.NOT_FOUND,
        ErrorType.TOO_LARGE,
        ErrorType.AUTH,
        ErrorType.QUOTA,
        ErrorType.RATE_LIMITED,
    }
)
"""What HTTP has a 4xx for: the agent's side is to change something."""
_LEFT = Ending(Outcome.CLIENT_ABORT)


def judge(ending: Ending, status: int | None, reading: Reading) -> Ending:
    """Say how an exchange ended whose bytes all passed: by status, then by what the answer itself said."""
    if status is None:
        return ending
    # Many clients leave once they have read a status that says all they want to know.
    knew = status >= 400 and ending == _LEFT
    if ending.outcome is not Outcome.COMPLETED and not knew:
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
    if reading.error_answer:
        refused = reading.error_type in _OF_THE_ASKING_SIDE
        outcome = Outcome.REJECTED if refused else Outcome.UPSTREAM_ERROR
        return Ending(outcome, reading.error_type)
    if reading.error_type is ErrorType.TOOL_ERROR:
        return Ending(Outcome.COMPLETED, ErrorType.TOOL_ERROR)
    return ending
