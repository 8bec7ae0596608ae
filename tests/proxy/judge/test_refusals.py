"""Status, headers and body of refusals, for every family and for clients that read them in ways of their own."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.judge.claims import Finding, Level
from proxy.judge.gate_settings import GateSettings
from proxy.judge.gates import Gates, verdict
from proxy.judge.matching import Site
from proxy.judge.refusals import Asker, refuse, tell, verdict_header
from proxy.judge.shapes import Manner
from proxy.judge.verdict import Action, Reason, Verdict
from proxy.judge.wording import TRAPS
from proxy.meter.dialects import DIALECTS
from proxy.model import Kind

STORY = "run r1 exceeded its step limit (20 of 20); raise policies.caps.steps"
CAPPED = Verdict(Action.BLOCK, "caps", Reason.STEPS, STORY, "run", "20", "20")
BUSY = replace(CAPPED, reason=Reason.IN_FLIGHT, is_final=False, wait_seconds=3)
SPENT = replace(CAPPED, reason=Reason.COST)
PASSAGE = Gates(GateSettings(), lambda *parts: hash(parts)).passage(
    Site("t", "a", "c", "openai", "gpt-4o", Kind.LLM), "https://api.openai.com"
)
GATES = [verdict(PASSAGE, at, Finding(at, Level.OVER, 0, 0, 6_500_000)) for at in range(4)]  # fmt: skip
BREAKER, RATE, QUOTA, _ = GATES
OPENAI = Asker("openai_chat", "openai")
CLAUDE = Asker("anthropic_messages", "anthropic", b"claude-cli/2.1.0 (external, cli)")
CODEX = Asker("openai_responses", "openai", b"codex_cli_rs/0.98.0 (Linux)")
TOOL_CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}'
MCP = Asker("mcp", "mcp", accept=b"application/json, text/event-stream", body=TOOL_CALL)


def headers_of(answer):
    return {name.lower().decode(): value.decode() for name, value in answer.headers}


@pytest.mark.parametrize("dialect", [d.name for d in DIALECTS if d.name != "mcp"])
@pytest.mark.parametrize(
    "final", [CAPPED, SPENT, QUOTA], ids=["cap", "dollars", "quota gate"]
)
def test_C07_a_final_refusal_is_a_400_that_says_not_to_try_again(dialect, final):
    answer = refuse(final, Asker(dialect, ""))
    headers = headers_of(answer)
    assert answer.status == 400
    assert headers["x-should-retry"] == "false"
    assert "retry-after" not in headers
    assert "retry-after-ms" not in headers
    assert headers["content-type"] == "application/json"
    assert final.message in json.dumps(json.loads(answer.body), ensure_ascii=False)


def test_C07_no_word_of_a_final_refusal_is_taken_for_something_else():
    for said in (QUOTA, GATES[3]):
        for dialect in DIALECTS:
            body = refuse(said, Asker(dialect.name, "", body=TOOL_CALL)).body.decode()
            assert TRAPS.search(body) is None


@pytest.mark.parametrize(
    ("said", "status", "wait"), [(BREAKER, 503, "7"), (BUSY, 503, "3"), (RATE, 429, "7")]
)  # fmt: skip
def test_what_may_be_tried_again_says_when(said, status, wait):
    answer = refuse(said, OPENAI)
    headers = headers_of(answer)
    assert answer.status == status
    assert headers["retry-after"] == wait
    assert "x-should-retry" not in headers
    assert headers.get("retry-after-ms") == ("7000" if status == 429 else None)


def test_a_wait_is_a_second_at_least():
    answer = refuse(replace(BUSY, wait_seconds=0), OPENAI)
    assert headers_of(answer)["retry-after"] == "1"


def test_the_headers_name_the_verdict():
    others = (
        replace(SPENT, action=Action.WARN, policy='budgets:a "b",c;'),
    ) + 20 * (SPENT,)  # fmt: skip
    said = verdict_header(replace(CAPPED, others=others)).decode()
    first, second, *rest = said.split(", ")
    assert first == "block;policy=caps;reason=step_limit"
    assert second == "warn;policy=budgets:a__b__c_;reason=cost_limit"
    assert len(rest) == 6
    assert headers_of(refuse(CAPPED, OPENAI))["x-tacho-verdict"] == first
    assert headers_of(refuse(CAPPED, OPENAI))["x-tacho-error"] == "invalid_request"


@given(st.text(max_size=20))
def test_whatever_a_policy_is_called_the_header_is_one_line_of_ascii(name):
    value = verdict_header(replace(CAPPED, policy=name))
    assert value.isascii()
    assert not set(value) & {0, 10, 13}


@pytest.mark.parametrize(
    ("said", "name"),
    [
        (CAPPED, "ValidationException"),
        (RATE, "ThrottlingException"),
        (BREAKER, "ServiceUnavailableException"),
    ],
)
def test_bedrock_is_told_the_exception_in_a_header(said, name):
    answer = refuse(said, Asker("bedrock_converse", "bedrock"))
    assert headers_of(answer)["x-amzn-errortype"] == name
    assert json.loads(answer.body) == {"message": f"tachograph: {said.message}"}


@pytest.mark.parametrize(
    "said", [SPENT, QUOTA, replace(CAPPED, reason=Reason.BUDGET)], ids=str
)
def test_C07_claude_code_gets_the_spend_limit_that_it_documents(said):
    answer = refuse(said, CLAUDE)
    headers = headers_of(answer)
    error = json.loads(answer.body)["error"]
    assert answer.status == 429
    assert headers["x-should-retry"] == "false"
    assert "retry-after" not in headers
    assert error["type"] == "billing_error"
    assert error["message"] == f"spend limit reached: tachograph: {said.message}"


def test_C07_claude_code_gets_other_caps_as_everybody_does():
    assert refuse(CAPPED, CLAUDE).status == 400
    assert refuse(replace(SPENT, is_final=False), CLAUDE).status == 503
    other = Asker("openai_chat", "openai", CLAUDE.user_agent)
    assert refuse(SPENT, other).status == 400
    assert refuse(SPENT, replace(CLAUDE, user_agent=b"python")).status == 400


def test_codex_gets_its_final_refusal_as_text_and_a_rate_limit_as_503():
    assert refuse(CAPPED, CODEX).status == 400
    answer = refuse(RATE, CODEX)
    assert answer.status == 503
    assert headers_of(answer)["retry-after"] == "7"


@pytest.mark.parametrize("said", [CAPPED, RATE, BREAKER], ids=str)
def test_an_mcp_tool_call_is_answered_with_a_result(said):
    answer = refuse(said, MCP)
    result = json.loads(answer.body)["result"]
    assert answer.status == 200
    assert result["isError"] is True
    assert said.message in result["content"][0]["text"]


def test_an_mcp_client_that_takes_events_only_gets_an_event():
    answer = refuse(CAPPED, replace(MCP, accept=b"text/event-stream"))
    assert answer.status == 200
    assert headers_of(answer)["content-type"] == "text/event-stream"
    assert answer.body.startswith(b"event: message\ndata: {")


@pytest.mark.parametrize(
    "asker",
    [replace(MCP, accept=b""), replace(MCP, accept=b"*/*"), replace(MCP, body=None), replace(MCP, accept=b"text/event-stream", body=None)],
    ids=["no accept", "anything", "a GET", "a GET of events"],
)  # fmt: skip
def test_an_mcp_client_that_awaits_its_answer_elsewhere_gets_an_error_status(asker):
    assert refuse(CAPPED, asker).status == 400
    assert refuse(BREAKER, asker).status == 503


def test_in_a_stream_the_same_is_told():
    told = tell(CAPPED, Manner.FINAL)
    assert (told.message, told.code) == (f"tachograph: {STORY}", "step_limit")
    assert told.wait_seconds == 0
    assert tell(RATE, Manner.LIMITED).wait_seconds == 7
