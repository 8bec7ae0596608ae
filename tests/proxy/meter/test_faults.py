from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.meter.faults import CODE_CHARS, Fault, classify, read_fault
from proxy.model import ErrorType as Type


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (429, {"code": "insufficient_quota", "type": "insufficient_quota"}, Type.QUOTA),
        (429, {"code": "credit_balance_exhausted"}, Type.QUOTA),
        (429, {"code": "project_spend_limit_exceeded"}, Type.QUOTA),
        (
            429,
            {
                "type": "rate_limit_error",
                "details": {"error_code": "enforced_spend_limit_reached"},
            },
            Type.QUOTA,
        ),
        (402, {}, Type.QUOTA),
        (
            400,
            {
                "type": "invalid_request_error",
                "message": "You have reached your specified API usage limits. More",
            },
            Type.QUOTA,
        ),
        (
            400,
            {
                "type": "invalid_request_error",
                "message": "Your credit balance is too low to",
            },
            Type.QUOTA,
        ),
        (429, {"code": "rate_limit_exceeded", "type": "tokens"}, Type.RATE_LIMITED),
        (429, {"code": "slow_down"}, Type.RATE_LIMITED),
        (429, {"type": "overloaded_error"}, Type.RATE_LIMITED),
        (429, None, Type.RATE_LIMITED),
        (503, {"code": "slow_down"}, Type.OVERLOADED),
        (503, {"type": "overloaded_error"}, Type.OVERLOADED),
        (529, None, Type.OVERLOADED),
        (503, None, Type.SERVER_ERROR),
        (500, {"type": "api_error"}, Type.SERVER_ERROR),
        (504, {"type": "timeout_error"}, Type.SERVER_ERROR),
        (401, {"code": "invalid_api_key", "type": "invalid_request_error"}, Type.AUTH),
        (401, {"code": "401"}, Type.AUTH),
        (403, {"type": "permission_error"}, Type.AUTH),
        (
            404,
            {"code": "DeploymentNotFound", "type": "invalid_request_error"},
            Type.NOT_FOUND,
        ),
        (410, None, Type.NOT_FOUND),
        (
            400,
            {"code": "model_not_found", "type": "invalid_request_error"},
            Type.NOT_FOUND,
        ),
        (
            400,
            {"code": "context_length_exceeded", "type": "invalid_request_error"},
            Type.TOO_LARGE,
        ),
        (413, {"type": "request_too_large"}, Type.TOO_LARGE),
        (400, {"type": "invalid_request_error"}, Type.INVALID_REQUEST),
        (409, "conflict", Type.INVALID_REQUEST),
        (200, {"type": "overloaded_error"}, Type.OVERLOADED),
        (200, {"type": "server_error"}, Type.SERVER_ERROR),
        (200, {"type": "invalid_request_error"}, Type.INVALID_REQUEST),
        (200, {"code": 429}, Type.RATE_LIMITED),
        (200, {"code": 529}, Type.OVERLOADED),
        (200, {"code": 200}, Type.ERROR_IN_STREAM),
        (200, {"code": 12345}, Type.ERROR_IN_STREAM),
        (200, {"code": "new"}, Type.ERROR_IN_STREAM),
        (200, None, Type.ERROR_IN_STREAM),
    ],
)
def test_errors_are_classified(status: int, error: Any, expected: Type):
    assert classify(status, error).error_type == expected


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": "a", "type": "b"}, "a"),
        ({"code": None, "type": "b"}, "b"),
        ({"code": 7}, "7"),
        ({"code": True}, ""),
        ({"code": "x" * 1000}, "x" * CODE_CHARS),
        ("text", ""),
    ],
)
def test_the_most_special_word_is_the_code(error: Any, code: str):
    assert classify(400, error).code == code


@pytest.mark.parametrize(
    ("body", "fault", "readable"),
    [
        (
            b'{"error": {"code": "slow_down"}}',
            Fault(Type.RATE_LIMITED, "slow_down"),
            True,
        ),
        (
            b'{"type": "error", "error": {"type": "rate_limit_error"}}',
            Fault(Type.RATE_LIMITED, "rate_limit_error"),
            True,
        ),
        (
            b'{"object": "error", "code": "insufficient_quota"}',
            Fault(Type.QUOTA, "insufficient_quota"),
            True,
        ),
        (b'{"error": "text"}', Fault(Type.RATE_LIMITED), True),
        (b"<html>", Fault(Type.RATE_LIMITED), False),
        (b"", Fault(Type.RATE_LIMITED), False),
    ],
)
def test_error_bodies_are_read(body: bytes, fault: Fault, readable: bool):
    assert read_fault(429, body) == (fault, readable)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda x: st.dictionaries(
        st.sampled_from(["code", "type", "details", "message", "error_code"]), x
    ),
)


@given(st.sampled_from([200, 400, 429, 500]), JSON)
def test_any_error_object_is_classified(status: int, error: Any):
    assert classify(status, error).error_type != Type.NONE
