"""An answer that passed whole can still have failed: its status says so, or the answer itself."""

import pytest

from proxy.endings import judge
from proxy.forward.watch import Ending
from proxy.model import ErrorType, Outcome, Reading

WHOLE = Ending(Outcome.COMPLETED)
CUT = Ending(Outcome.UPSTREAM_ABORT, ErrorType.CUT)
LIMITED = Reading(error_type=ErrorType.RATE_LIMITED)


@pytest.mark.parametrize(
    ("status", "reading", "outcome", "error_type"),
    [
        (200, Reading(), Outcome.COMPLETED, ErrorType.NONE),
        (304, Reading(), Outcome.COMPLETED, ErrorType.NONE),
        (400, Reading(), Outcome.REJECTED, ErrorType.INVALID_REQUEST),
        (429, LIMITED, Outcome.REJECTED, ErrorType.RATE_LIMITED),
        (500, Reading(), Outcome.UPSTREAM_ERROR, ErrorType.SERVER_ERROR),
        (
            529,
            Reading(error_type=ErrorType.OVERLOADED),
            Outcome.UPSTREAM_ERROR,
            ErrorType.OVERLOADED,
        ),
        (
            200,
            Reading(error_in_stream=True),
            Outcome.UPSTREAM_ERROR,
            ErrorType.ERROR_IN_STREAM,
        ),
        (
            200,
            Reading(expects_terminal=True),
            Outcome.UPSTREAM_ABORT,
            ErrorType.NO_TERMINAL_EVENT,
        ),
        (
            200,
            Reading(expects_terminal=True, terminal=True),
            Outcome.COMPLETED,
            ErrorType.NONE,
        ),
        (
            200,
            Reading(error_type=ErrorType.TOOL_ERROR),
            Outcome.COMPLETED,
            ErrorType.TOOL_ERROR,
        ),
        (
            200,
            Reading(error_type=ErrorType.NOT_FOUND, error_answer=True),
            Outcome.REJECTED,
            ErrorType.NOT_FOUND,
        ),
        (
            200,
            Reading(error_type=ErrorType.SERVER_ERROR, error_answer=True),
            Outcome.UPSTREAM_ERROR,
            ErrorType.SERVER_ERROR,
        ),
        (None, Reading(), Outcome.COMPLETED, ErrorType.NONE),
    ],
)
def test_a_whole_answer_ends_as_it_says(
    status: int | None, reading: Reading, outcome: Outcome, error_type: ErrorType
) -> None:
    ending = judge(WHOLE, status, reading)
    assert (ending.outcome, ending.error_type) == (outcome, error_type)


def test_a_broken_answer_stays_what_the_wire_said() -> None:
    assert judge(CUT, 200, Reading(error_in_stream=True)) is CUT


LEFT = Ending(Outcome.CLIENT_ABORT)


@pytest.mark.parametrize(
    ("status", "outcome", "error_type"),
    [
        (404, Outcome.REJECTED, ErrorType.INVALID_REQUEST),
        (503, Outcome.UPSTREAM_ERROR, ErrorType.SERVER_ERROR),
        (200, Outcome.CLIENT_ABORT, ErrorType.NONE),
        (None, Outcome.CLIENT_ABORT, ErrorType.NONE),
    ],
)
def test_an_agent_that_leaves_at_a_failing_status_knew_enough(
    status: int | None, outcome: Outcome, error_type: ErrorType
):
    assert judge(LEFT, status, Reading()) == Ending(outcome, error_type)


def test_an_agent_that_takes_no_more_has_not_left():
    stalled = Ending(Outcome.CLIENT_ABORT, ErrorType.WRITE_STALL)
    assert judge(stalled, 503, Reading()) == stalled
