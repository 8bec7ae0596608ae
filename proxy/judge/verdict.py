"""What the policies say of a call.

What lives here: the value and its closed sets of words. What does not: how it is said to an agent (`refusals.py`), the words of the
message (`wording.py`).
"""

from enum import StrEnum

import msgspec


class Action(StrEnum):
    """What follows from a verdict; the column `verdict_action`."""

    WARN = "warn"
    WOULD_BLOCK = "would_block"
    """The policy only observes: `enforce` would have refused the call."""
    REPAIRED = "repaired"
    """The agent did not get this answer: the model was asked once more, and the next attempt's row says what came of it."""
    BLOCK = "block"


class Reason(StrEnum):
    """Why; the column `verdict_reason`."""

    STEPS = "step_limit"
    TOOL_CALLS = "tool_call_limit"
    ATTEMPTS = "attempt_limit"
    COST = "cost_limit"
    TOKENS = "token_limit"
    WALL_TIME = "time_limit"
    WINDOW = "window_full"
    """The request fills too much of what the model can read."""
    BUDGET = "budget_spent"
    TOO_FAST = "spends_too_fast"
    SAME_REQUEST = "same_request"
    REPEAT = "repeated_call"
    CYCLE = "cycle"
    SAME_ERROR = "same_error"
    NO_PROGRESS = "no_progress"
    IN_FLIGHT = "in_flight"
    """What calls under way may still cost leaves no room; a moment later there may be some."""
    UPSTREAM_FAILING = "upstream_failing"
    """The health breaker is open."""
    UPSTREAM_LIMIT = "upstream_limit"
    """The provider asked this caller to slow down."""
    ACCOUNT_SPENT = "account_spent"
    """The provider says that this caller's money or share is used up."""
    NO_PRICE = "no_price"
    """Nobody knows what the model costs, and the settings refuse such models."""
    UNKNOWN_TOOL = "unknown_tool"
    """The answer calls what the request does not offer."""
    BAD_JSON = "bad_json"
    BAD_ARGUMENTS = "bad_arguments"
    """They do not fit the tool's own schema."""
    FAULT = "fault"
    """The policies could not be asked, and the settings refuse what was not judged."""


class Verdict(msgspec.Struct, frozen=True):
    """What is done about a call, by which policy, and why."""

    action: Action
    policy: str
    """Its key in the settings; a budget has its own name behind a colon."""
    reason: Reason
    message: str
    """The whole story in one line, with what to do next; some clients show nothing else."""
    scope: str
    """Of what: `run`, `turn`, `session`, `tenant`, `agent`, `caller`, `route`, `request`."""
    value: str
    """A decimal number, in dollars, seconds or pieces."""
    threshold: str
    wait_seconds: int = 0
    """After this long a call that is not refused for good may be sent again."""
    is_final: bool = True
    """Sending the same call again does not help."""
    others: tuple["Verdict", ...] = ()
    """What further policies said, in their order."""
    note: str = ""
    """What the model may be told of a warning, where the user wants that (`policies.notes`)."""
