import pytest

from proxy.model import ErrorType, Kind
from tests.helpers.eventstream import event
from tests.helpers.meter import ask_for, dumps, read

GUARDRAIL = "/guardrail/abc/version/DRAFT/apply"


@pytest.mark.parametrize(
    ("method", "path", "operation", "kind", "is_step"),
    [
        ("POST", GUARDRAIL, "apply_guardrail", Kind.OTHER, True),
        ("POST", "/guardrail-checks/invoke", "guardrail_checks", Kind.OTHER, True),
        ("POST", "/model/a.b/count-tokens", "count_tokens", Kind.LLM, False),
        (
            "POST",
            "/model/a.b/invoke-with-bidirectional-stream",
            "invoke_duplex",
            Kind.LLM,
            True,
        ),
        ("POST", "/async-invoke", "async_invoke", Kind.OTHER, True),
        ("GET", "/async-invoke", "async_invokes", Kind.OTHER, False),
        ("GET", "/async-invoke/arn%3Aaws", "async_invokes", Kind.OTHER, False),
        ("POST", "/other/apply", "http", Kind.OTHER, True),
    ],
)
def test_operations_are_told_apart(
    method: str, path: str, operation: str, kind: Kind, is_step: bool
):
    ask = ask_for(path, method=method)
    assert (ask.operation, ask.kind, ask.is_step) == (operation, kind, is_step)
    assert ask.model == ("a.b" if "/model/" in path else "")


def test_a_guardrail_bills_units():
    body = dumps(
        {
            "action": "GUARDRAIL_INTERVENED",
            "usage": {"topicPolicyUnits": 2, "wordPolicyUnits": 0, "odd": "x"},
        }
    )
    said = read(GUARDRAIL, body)
    assert said.server_tool_uses == (("topicPolicyUnits", 2),)
    assert (said.finish_reason, said.usage) == ("guardrail_intervened", None)
    assert read(GUARDRAIL, b"{}").server_tool_uses == ()


def test_counting_tokens_bills_none():
    said = read("/model/a.b/count-tokens", b'{"inputTokens":7}')
    assert (said.usage, said.malformed) == (None, False)


def test_an_error_is_read():
    headers = ((b"x-amzn-errortype", b"AccessDeniedException"),)
    said = read("/async-invoke", b'{"message":"no"}', status=403, headers=headers)
    assert said.error_type is ErrorType.AUTH


def test_a_duplex_stream_is_not_read():
    said = read("/model/a.b/invoke-with-bidirectional-stream", event("chunk", bytes=""))
    assert (said.usage, said.expects_terminal) == (None, False)
