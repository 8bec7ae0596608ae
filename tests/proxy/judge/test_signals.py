"""What the end of an attempt says to breaker and gates: who counts what, row by row, in each provider's own words."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.endings import judge
from proxy.forward.watch import Ending
from proxy.judge.signals import (
    ALIVE,
    FAILURE,
    MAX_ERROR_BYTES,
    NEUTRAL,
    SUCCESS,
    End,
    Origin,
    Quota,
    Signals,
    read_signals,
)
from proxy.meter.faults import classify, read_fault
from proxy.model import ErrorType, Outcome, Reading

NOW_US = 1_795_000_000_000_000
BAD = Signals(FAILURE, Origin.EXTERNAL)
NO_ANSWER = Signals(FAILURE, Origin.LOCAL)
GOOD = Signals(SUCCESS)
NOTHING = Signals(NEUTRAL)


def answered(status, body=None, *headers, aws=""):
    """Give the end of an answer whose bytes all passed, read as the product reads it."""
    text = b"" if body is None else json.dumps(body).encode()
    fault = classify(status, {**(body or {}), "code": aws}) if aws else read_fault(status, text)[0]  # fmt: skip
    reading = Reading(error_type=fault.error_type if status >= 400 else ErrorType.NONE)
    ending = judge(Ending(Outcome.COMPLETED), status, reading)
    return End(
        ending.outcome,
        ending.error_type,
        reading.error_type,
        status,
        fault.code,
        headers,
        text,
    )


def signals_of(end):
    return read_signals(end, NOW_US)


def openai(code, kind="", message="no"):
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def google(*details, message="You exceeded your current quota."):
    error = {
        "code": 429,
        "message": message,
        "status": "RESOURCE_EXHAUSTED",
        "details": [*details],
    }
    return {"error": error}


def violated(*quotas):
    violations = [{"quotaMetric": "m", "quotaId": quota} for quota in quotas]
    kind = "type.googleapis.com/google.rpc.QuotaFailure"
    return {"@type": kind, "violations": ["?", *violations]}


RETRY_INFO = {
    "@type": "type.googleapis.com/google.rpc.RetryInfo",
    "retryDelay": "36s",
}


@pytest.mark.parametrize(
    ("error_type", "outcome"),
    [
        (ErrorType.CONNECT, Outcome.UPSTREAM_ERROR),
        (ErrorType.TLS, Outcome.UPSTREAM_ERROR),
        (ErrorType.DNS, Outcome.UPSTREAM_ERROR),
        (ErrorType.CONNECT_TIMEOUT, Outcome.TIMEOUT),
        (ErrorType.TTFB_TIMEOUT, Outcome.TIMEOUT),
    ],
)
def test_who_does_not_answer_fails_and_that_was_seen_here(error_type, outcome):
    assert signals_of(End(outcome, error_type)) == NO_ANSWER


@pytest.mark.parametrize("status", [500, 502, 503, 504, 529])
def test_C14_server_errors_are_failures(status):
    assert signals_of(answered(status)) == BAD
    assert signals_of(answered(status, openai("server_error"))) == BAD


@pytest.mark.parametrize("status", [503, 529])
def test_a_server_error_that_says_how_long_to_wait_is_believed(status):
    end = answered(status, {"type": "error", "error": {"type": "overloaded_error"}}, (b"Retry-After", b"7"))  # fmt: skip
    expected = replace(BAD, shuts_rate_gate=True, wait_seconds=7.0)
    assert signals_of(end) == expected


def test_C14_overloaded_in_the_providers_words_is_a_failure():
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "no"}}
    assert signals_of(answered(529, body)) == BAD
    assert signals_of(answered(503, openai("slow_down"))) == BAD
    assert signals_of(answered(424, {"message": "no"}, aws="ModelErrorException")) == BAD  # fmt: skip
    assert signals_of(answered(408, {"message": "no"}, aws="ModelTimeoutException")) == BAD  # fmt: skip


@pytest.mark.parametrize(
    "end",
    [
        End(Outcome.UPSTREAM_ABORT, ErrorType.CUT, status=200),
        End(Outcome.TIMEOUT, ErrorType.IDLE_TIMEOUT, status=200),
    ],
    ids=["reset", "silence"],
)
def test_C14_an_answer_that_stops_coming_is_a_failure_seen_here(end):
    assert signals_of(end) == NO_ANSWER


@pytest.mark.parametrize(
    "end",
    [
        End(Outcome.UPSTREAM_ABORT, ErrorType.NO_TERMINAL_EVENT, status=200),
        End(
            Outcome.UPSTREAM_ERROR, ErrorType.ERROR_IN_STREAM, ErrorType.OVERLOADED, 200
        ),
        End(
            Outcome.UPSTREAM_ERROR,
            ErrorType.ERROR_IN_STREAM,
            ErrorType.ERROR_IN_STREAM,
            200,
        ),
        End(
            Outcome.UPSTREAM_ERROR, ErrorType.SERVER_ERROR, ErrorType.SERVER_ERROR, 200
        ),
        End(Outcome.UPSTREAM_ERROR, ErrorType.UPSTREAM_PROTOCOL_ERROR),
    ],
    ids=["no end", "overloaded", "error event", "MCP error", "broken HTTP"],
)
def test_C14_a_200_that_fails_is_a_failure(end):
    assert signals_of(end) == BAD


def test_an_error_event_that_blames_the_request_is_no_failure():
    end = End(
        Outcome.UPSTREAM_ERROR,
        ErrorType.ERROR_IN_STREAM,
        ErrorType.INVALID_REQUEST,
        200,
    )
    assert signals_of(end) == GOOD


@pytest.mark.parametrize(
    ("said", "shuts", "quota"),
    [
        (ErrorType.RATE_LIMITED, True, Quota.NONE),
        (ErrorType.QUOTA, False, Quota.ACCOUNT),
    ],
)
def test_a_limit_inside_of_a_stream_is_a_limit(said, shuts, quota):
    end = End(Outcome.UPSTREAM_ERROR, ErrorType.ERROR_IN_STREAM, said, 200)
    assert signals_of(end) == Signals(NEUTRAL, shuts_rate_gate=shuts, quota=quota)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 415, 422])
def test_C14_a_refusal_shows_that_the_upstream_lives(status):
    assert signals_of(answered(status, openai("x"))) == GOOD
    assert signals_of(answered(status)) == GOOD


@pytest.mark.parametrize("status", [408, 409])
def test_a_conflict_and_a_slow_request_say_nothing(status):
    assert signals_of(answered(status)) == NOTHING


@pytest.mark.parametrize("status", [200, 204, 302, 101])
def test_what_completes_is_a_success(status):
    assert signals_of(answered(status)) == GOOD
    assert signals_of(End(Outcome.COMPLETED, ErrorType.TOOL_ERROR, status=200)) == GOOD
    assert ALIVE == GOOD


@pytest.mark.parametrize("status", [None, 200, 503])
def test_C14_an_agent_that_leaves_says_nothing(status):
    assert signals_of(End(Outcome.CLIENT_ABORT, status=status)) == NOTHING
    assert signals_of(End(Outcome.CLIENT_ABORT, ErrorType.WRITE_STALL, status=status)) == NOTHING  # fmt: skip


def test_an_agent_that_leaves_after_a_429_has_seen_it():
    end = End(Outcome.CLIENT_ABORT, status=429, headers=[(b"retry-after", b"9")])
    assert signals_of(end) == Signals(NEUTRAL, shuts_rate_gate=True, wait_seconds=9.0)


@pytest.mark.parametrize(
    "outcome", [Outcome.BLOCKED, Outcome.PROXY_ERROR, Outcome.PROXY_CRASHED]
)
def test_what_is_ours_says_nothing(outcome):
    assert signals_of(End(outcome, ErrorType.INTERNAL, status=500)) == NOTHING


def test_a_stale_connection_says_nothing():
    end = End(Outcome.UPSTREAM_ERROR, ErrorType.STALE_CONNECTION)
    assert signals_of(end) == NOTHING


LIMITED = {
    "openai": answered(429, openai("rate_limit_exceeded", "tokens")),
    "openai slow_down": answered(429, openai("slow_down")),
    "azure": answered(429, openai("429")),
    "anthropic": answered(429, {"type": "error", "error": {"type": "rate_limit_error", "message": "no"}}),
    "groq per day": answered(429, openai("rate_limit_exceeded", "tokens", "Rate limit reached on tokens per day (TPD): Limit 100000.")),
    "mistral": answered(429, {"object": "error", "message": "Rate limit exceeded", "type": "rate_limited", "code": "1300"}),
    "cohere": answered(429, {"message": "You are using a Trial key, which is limited to 20 API calls / minute."}),
    "gemini": answered(429, google(violated("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"))),
    "gemini plain": answered(429, {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Resource has been exhausted (e.g. check quota)."}}),
    "bedrock": answered(429, {"message": "Too many tokens, please wait before trying again."}, aws="ThrottlingException"),
    "bedrock 400": answered(400, {"message": "slow"}, aws="ThrottlingException"),
    "bedrock not ready": answered(429, {"message": "no"}, aws="ModelNotReadyException"),
    "openrouter": answered(429, {"error": {"code": 429, "message": "Provider returned error", "metadata": {"provider_name": "x"}}}),
    "no body": answered(429),
    "a list": answered(429, [1]),
    "an empty list": answered(429, []),
    "text": answered(429, {"error": "slow down"}),
}  # fmt: skip


@pytest.mark.parametrize("end", LIMITED.values(), ids=LIMITED)
def test_C12_a_429_shuts_the_rate_gate_and_says_nothing_of_health(end):
    assert signals_of(end) == Signals(NEUTRAL, shuts_rate_gate=True)


def test_C12_the_wait_comes_with_it():
    info = google(RETRY_INFO)
    assert signals_of(answered(429, info)).wait_seconds == 36.0
    assert signals_of(answered(429, [info])).wait_seconds == 36.0
    told = answered(429, None, (b"Retry-After-Ms", b"1500"))
    assert signals_of(told).wait_seconds == 1.5


SPENT = {
    "openai": answered(429, openai("insufficient_quota", "insufficient_quota")),
    "openai credit": answered(429, openai("credit_balance_exhausted")),
    "openai organization": answered(429, openai("organization_spend_limit_exceeded")),
    "openai project": answered(429, openai("project_spend_limit_exceeded")),
    "openai usage": answered(429, openai("organization_usage_limit_exceeded")),
    "anthropic tier": answered(429, {"type": "error", "error": {"type": "rate_limit_error", "message": "no", "details": {"error_code": "enforced_spend_limit_reached"}}}),
    "anthropic credit": answered(400, {"type": "error", "error": {"type": "invalid_request_error", "message": "Your credit balance is too low to access the API."}}),
    "anthropic limit": answered(400, {"type": "error", "error": {"type": "invalid_request_error", "message": "You have reached your specified API usage limits."}}),
    "anthropic billing": answered(402, {"type": "error", "error": {"type": "billing_error", "message": "no"}}),
    "payment required": answered(402),
    "groq": answered(400, openai("blocked_api_access")),
    "moonshot": answered(429, openai(None, "exceeded_current_quota_error")),
    "z.ai": answered(429, {"error": {"code": "1113", "message": "no"}}),
    "deepseek": answered(402, openai(None, "unknown_error", "Insufficient Balance")),
    "openrouter": answered(402, {"error": {"code": 402, "message": "Insufficient credits"}}),
    "openrouter key": answered(403, {"error": {"code": 403, "message": "Key limit exceeded (daily limit)."}}),
    "cohere trial": answered(429, {"message": "You are using a Trial key, which is limited to 1000 API calls / month."}),
    "xai": answered(429, {"code": "Some resource has been exhausted", "error": "Your team has either used all available credits or reached its monthly spending limit."}),
    "gemini prepaid": answered(429, google(message="Your prepayment credits are depleted.")),
    "google billing": answered(403, {"error": {"code": 403, "message": "no", "details": ["?", {"reason": "BILLING_DISABLED"}]}}),
    "bedrock": answered(400, {"message": "no"}, aws="ServiceQuotaExceededException"),
    "fireworks": answered(412, {"error": {"message": "Account suspended, possibly due to reaching the monthly spending limit"}}),
}  # fmt: skip


@pytest.mark.parametrize("end", SPENT.values(), ids=SPENT)
def test_C13_a_refusal_for_want_of_money_shuts_the_quota_gate_and_nothing_else(end):
    assert signals_of(end) == Signals(NEUTRAL, quota=Quota.ACCOUNT)


SHARES = {
    "gemini": answered(429, google(violated("GenerateRequestsPerMinute", "GenerateRequestsPerDayPerProjectPerModel-FreeTier"))),
    "gemini metric": answered(429, google({"violations": [{"quotaMetric": "x/generate_requests_per_model_per_day"}]})),
    "code assist": answered(429, google({"metadata": {"quota_limit": "Gemini25ProRequestsPerDayPerUser"}})),
    "bedrock": answered(429, {"message": "Too many tokens per day, please wait before trying again."}, aws="ThrottlingException"),
    "openrouter": answered(429, {"error": {"code": 429, "message": "Rate limit exceeded: free-models-per-day. Add 10 credits"}}),
    "mistral": answered(429, {"message": "no"}, (b"X-RateLimit-Remaining-Tokens-Month", b"0")),
}  # fmt: skip


@pytest.mark.parametrize("end", SHARES.values(), ids=SHARES)
def test_C13_a_days_or_months_share_of_a_model_shuts_the_quota_gate_of_that_model(end):
    assert signals_of(end) == Signals(NEUTRAL, quota=Quota.MODEL)


def test_C13_a_days_share_wins_over_the_seconds_that_google_adds():
    quota = violated("GenerateRequestsPerDayPerProjectPerModel-FreeTier")
    expected = Signals(NEUTRAL, quota=Quota.MODEL, wait_seconds=36.0)
    assert signals_of(answered(429, google(quota, RETRY_INFO))) == expected


def test_a_month_of_which_something_is_left_is_a_rate_limit():
    end = answered(429, None, (b"x-ratelimit-remaining-tokens-month", b"12"))
    assert signals_of(end) == Signals(NEUTRAL, shuts_rate_gate=True)


@pytest.mark.parametrize(
    "message",
    [
        "This request requires more credits, or fewer max_tokens.",
        "Prompt tokens limit exceeded: 230799 > 91442.",
    ],
)
def test_a_request_that_is_too_dear_for_what_is_left_shuts_nothing(message):
    end = answered(402, {"error": {"code": 402, "message": message}})
    assert signals_of(end) == NOTHING


def test_words_of_money_in_another_refusal_are_the_agents_own():
    body = openai("invalid_value", message="Invalid value: 'insufficient credits'")
    assert signals_of(answered(400, body)) == GOOD


@pytest.mark.parametrize(
    "body",
    [b"no JSON", b'"a string"', b"[" * 200_000, b" " * (MAX_ERROR_BYTES + 1)],
    ids=["text", "a string", "deep", "large"],
)
def test_a_body_that_cannot_be_read_leaves_the_status(body):
    end = replace(answered(429), body=body)
    assert signals_of(end) == Signals(NEUTRAL, shuts_rate_gate=True)


_ENDS = st.builds(
    End,
    st.sampled_from(Outcome),
    st.sampled_from(ErrorType),
    st.sampled_from(ErrorType),
    st.none() | st.sampled_from([200, 400, 402, 403, 408, 412, 429, 500, 529]),
    st.sampled_from(["", "ThrottlingException", "1113"]),
    st.lists(st.tuples(st.sampled_from([b"retry-after", b"date"]), st.binary(max_size=9)), max_size=3),
    st.binary(max_size=30) | st.recursive(st.none() | st.text(max_size=5) | st.integers(), lambda i: st.lists(i, max_size=3) | st.dictionaries(st.sampled_from(["error", "message", "code", "type", "details", "violations", "metadata"]), i, max_size=4), max_leaves=10).map(lambda v: json.dumps(v).encode()),
)  # fmt: skip


@given(_ENDS)
def test_the_mechanisms_share_no_bad_news(end):
    found = signals_of(end)
    assert not (found.health == FAILURE and found.quota)
    assert not (found.shuts_rate_gate and found.quota)
    if end.status == 429:
        assert found.health != FAILURE
    if end.outcome is Outcome.CLIENT_ABORT:
        assert found.health == NEUTRAL
    assert (found.health == FAILURE) == (found.origin is not Origin.NONE)
