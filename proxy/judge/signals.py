"""What the end of an attempt says to the health breaker, the rate gate and the quota gate.

What lives here: the table of what counts for which of them, and the providers' words for "the money is gone". What does not: why an attempt
failed (`meter/faults.py`, whose word stands wherever it has one), how long a gate stays shut (`gates.py`), state.

The three never share a signal that is bad news: what is one caller's limit says nothing about the upstream's health, or one caller could shut
the upstream for all; and what an upstream cannot do says nothing about a caller.
"""

import re
from enum import StrEnum
from typing import Any

import msgspec

from proxy.http.headers import RawHeaders
from proxy.judge.waits import asked_wait, limit_wait
from proxy.meter import lenient
from proxy.model import ErrorType, Outcome

SUCCESS, NEUTRAL, FAILURE = 1, 0, -1

MAX_ERROR_BYTES = 64 << 10
"""Of an error's body; a longer one is not looked into."""

_NOT_THE_UPSTREAM = (Outcome.BLOCKED, Outcome.PROXY_ERROR, Outcome.PROXY_CRASHED)
_ITS_OWN_FAULT = (ErrorType.SERVER_ERROR, ErrorType.OVERLOADED)
_OF_THE_ASKING_SIDE = (
    ErrorType.INVALID_REQUEST,
    ErrorType.TOO_LARGE,
    ErrorType.NOT_FOUND,
    ErrorType.AUTH,
)
_SAYS_NOTHING = (408, 409)
_TOO_MANY = 429
_UNANSWERED = frozenset(
    {
        ErrorType.CONNECT,
        ErrorType.TLS,
        ErrorType.DNS,
        ErrorType.CONNECT_TIMEOUT,
        ErrorType.TTFB_TIMEOUT,
        ErrorType.IDLE_TIMEOUT,
        ErrorType.CUT,
    }
)
_ANY = msgspec.json.Decoder()

_SPENT_CODES = frozenset(
    {
        "blocked_api_access",  # Groq: the spend limit is reached
        "exceeded_current_quota_error",  # Moonshot
        "insufficient_balance",
        "insufficient_credits",
        "1113",  # Z.ai: balance
        "BILLING_DISABLED",  # Google, in ErrorInfo
    }
)
_SPENT = re.compile(
    r"insufficient (?:credits|balance)|credits are depleted|credit balance is too low"
    r"|(?:used all available|run out of|out of) credits|(?:monthly|spending) (?:spending )?(?:cap|limit)\b"
    r"|exceeded your monthly included credits|key limit exceeded|api calls / month|free-models-per-day",
    re.IGNORECASE,
)
"""As xAI, Gemini (prepaid), Hugging Face, OpenRouter and Cohere (trial keys) word it."""
_MONEY_STATUSES = (402, 403, 412, 429)
"""Only with these are words looked at: the message of another refusal may quote what the agent wrote."""
_FITS_IF_SMALLER = re.compile(
    "fewer max_tokens|prompt tokens limit exceeded", re.IGNORECASE
)
"""OpenRouter's 402 for one request that costs more than is left: others may still be paid."""
_OF_ONE_MODEL = re.compile(r"free-models-per-day", re.IGNORECASE)
_PER_DAY = re.compile(r"per[_ ]?day", re.IGNORECASE)
_THROTTLED = "ThrottlingException"
_MONTHLY_LEFT = b"x-ratelimit-remaining-tokens-month"


class Origin(StrEnum):
    """Where a failure was seen."""

    NONE = ""
    LOCAL = "local"
    """Here: no connection, no answer, or one that stopped coming."""
    EXTERNAL = "external"
    """The upstream said so itself."""


class Quota(StrEnum):
    """What is used up for good, or at least for longer than an agent waits."""

    NONE = ""
    ACCOUNT = "account"
    MODEL = "model"
    """A day's or a month's share of one model."""


class End(msgspec.Struct, frozen=True):
    """What is known of an attempt when it ends."""

    outcome: Outcome
    error_type: ErrorType = ErrorType.NONE
    """The row's."""
    said: ErrorType = ErrorType.NONE
    """`Reading.error_type`: what the answer itself says, also inside of a 200."""
    status: int | None = None
    """The upstream's; `None` where it gave none."""
    code: str = ""
    """`Reading.error_code`."""
    headers: RawHeaders = ()
    """Of the answer."""
    body: bytes = b""
    """Of an error answer, decoded; anything else may be left out."""


class Signals(msgspec.Struct, frozen=True):
    """What follows from it."""

    health: int
    origin: Origin = Origin.NONE
    shuts_rate_gate: bool = False
    quota: Quota = Quota.NONE
    wait_seconds: float | None = None
    """How long the provider asks to wait; `None`: it does not say."""


ALIVE = Signals(SUCCESS)
"""An answer's first event or byte with a status of success: a probe need not wait for the end."""
_NOTHING = Signals(NEUTRAL)


def read_signals(end: End, now_us: int) -> Signals:
    """Say what an attempt's end means; never raises."""
    if end.outcome is Outcome.COMPLETED:
        return ALIVE
    if end.outcome in _NOT_THE_UPSTREAM:
        return _NOTHING
    why = end.said or end.error_type
    error = _error(end)
    quota = _quota(end, why, error)
    if quota is not Quota.NONE:
        wait = limit_wait(end.headers, error, now_us)
        return Signals(NEUTRAL, quota=quota, wait_seconds=wait)
    if end.status == _TOO_MANY or why is ErrorType.RATE_LIMITED:
        wait = limit_wait(end.headers, error, now_us)
        return Signals(NEUTRAL, shuts_rate_gate=True, wait_seconds=wait)
    health = _health(end, why)
    if health is not FAILURE:
        return Signals(health)
    wait = None if end.status is None else asked_wait(end.headers, error, now_us)
    origin = Origin.LOCAL if end.error_type in _UNANSWERED else Origin.EXTERNAL
    return Signals(FAILURE, origin, wait is not None, wait_seconds=wait)


def _health(end: End, why: ErrorType) -> int:
    # A refusal for want of money that is none of the account (OpenRouter's) is one caller's affair, too.
    if end.outcome is Outcome.CLIENT_ABORT or why is ErrorType.QUOTA:
        return NEUTRAL
    if end.outcome is Outcome.REJECTED:
        if why in _ITS_OWN_FAULT:
            return FAILURE
        return NEUTRAL if end.status in _SAYS_NOTHING else SUCCESS
    if end.error_type is ErrorType.STALE_CONNECTION:
        # Two timers ran a race for an idle connection; the next call has a new one, and that tells.
        return NEUTRAL
    # An error event that blames the request is an answer: or any caller could open the breaker for all.
    answered = end.status is not None and end.status < 400
    return SUCCESS if answered and end.said in _OF_THE_ASKING_SIDE else FAILURE


def _error(end: End) -> dict[str, Any]:
    """Decode the error object of an answer; empty where there is none that can be read."""
    if not end.body or len(end.body) > MAX_ERROR_BYTES:
        return {}
    try:
        found = lenient.load(_ANY, end.body)
    except lenient.UNREADABLE:
        return {}
    if isinstance(found, list) and found:
        # Google wraps the error of a stream that is an array.
        found = found[0]
    if not isinstance(found, dict):
        return {}
    inner = found.get("error")
    if isinstance(inner, dict):
        return inner
    return {**found, "message": inner} if isinstance(inner, str) else found


def _quota(end: End, why: ErrorType, error: dict[str, Any]) -> Quota:
    message = lenient.text(error.get("message"))
    if _FITS_IF_SMALLER.search(message):
        return Quota.NONE
    if why is ErrorType.QUOTA or _codes(end, error) & _SPENT_CODES:
        return Quota.ACCOUNT
    if end.status not in _MONEY_STATUSES:
        return Quota.NONE
    if _is_daily(end, error, message) or _of_one_month(end.headers):
        return Quota.MODEL
    if _SPENT.search(message):
        return Quota.MODEL if _OF_ONE_MODEL.search(message) else Quota.ACCOUNT
    return Quota.NONE


def _codes(end: End, error: dict[str, Any]) -> set[str]:
    found = {end.code, lenient.text(error.get("code")), lenient.text(error.get("type"))}
    for detail in lenient.items(error.get("details")):
        if isinstance(detail, dict):
            found.add(lenient.text(detail.get("reason")))
    return found


def _is_daily(end: End, error: dict[str, Any], message: str) -> bool:
    """Whether a day's share is used up: Bedrock says it in the message, Google by the name of the quota."""
    if end.code == _THROTTLED:
        return _PER_DAY.search(message) is not None
    for detail in lenient.items(error.get("details")):
        violations = lenient.items(
            detail.get("violations") if isinstance(detail, dict) else None
        )
        limit = lenient.member(detail, "metadata").get("quota_limit")
        names = [lenient.text(limit)]
        for violation in violations:
            if isinstance(violation, dict):
                names.append(lenient.text(violation.get("quotaId")))
                names.append(lenient.text(violation.get("quotaMetric")))
        if any(map(_PER_DAY.search, names)):
            return True
    return False


def _of_one_month(headers: RawHeaders) -> bool:
    """Whether nothing is left of a month's tokens (Mistral)."""
    return any(
        name.lower() == _MONTHLY_LEFT and value.strip() == b"0"
        for name, value in headers
    )
