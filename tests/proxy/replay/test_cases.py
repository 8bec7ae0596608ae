"""A recorded call as a case: what it brings, what it was expected to cost, whose it was."""

from decimal import Decimal

from proxy.govern.asking import MOST_OUTPUT_TOKENS
from proxy.judge.bench import Spent
from proxy.judge.expected import COLD_OUTPUT_TOKENS, ENOUGH
from proxy.model import Kind
from proxy.replay.cases import Cases, spent_of
from tests.helpers.replayed import call

LOOKING = {"call_tool": ("look", "go"), "call_args_hash": (1, 2)}


def test_a_step_brings_what_the_answers_before_asked_for():
    cases = Cases()
    cases.ended(call("r1", 0, **LOOKING))
    cases.ended(call("r1", 1, call_tool=("look",), call_args_hash=(3,)))
    cases.ended(call("r2", 1, call_tool=("look",), call_args_hash=(4,)))
    tool = cases.case(call("r1", 2, kind=Kind.TOOL))
    retry = cases.case(call("r1", 2, attempt=1))
    assert (tool.calls, retry.calls, retry.is_retry) == ((), (), True)
    step = cases.case(call("r1", 3))
    assert (step.tools, step.calls) == (("look", "go", "look"), (1, 2, 3))
    assert cases.case(call("r1", 4)).calls == ()


def test_a_step_that_was_not_made_has_brought_nothing():
    cases = Cases()
    cases.ended(call("r1", 0, **LOOKING))
    cases.unmade(cases.case(call("r1", 1)))
    assert cases.case(call("r1", 2)).calls == (1, 2)
    cases.unmade(cases.case(call("r1", 3)))
    assert cases.case(call("r1", 4)).calls == ()


def test_answers_that_never_came_whole_and_those_of_no_run_ask_for_nothing():
    cases = Cases()
    cases.ended(call("r1", 0, outcome="client_abort", **LOOKING))
    cases.ended(call("", 0, **LOOKING))
    assert cases.case(call("r1", 1)).calls == cases.case(call("", 1)).calls == ()


def test_no_request_is_another_one():
    cases = Cases()
    assert cases.case(call()).body != cases.case(call()).body != 0


def test_a_first_call_is_expected_to_write_as_much_as_without_knowledge():
    case = Cases().case(call(usd=Decimal(1)))
    assert case.expected_tokens == 1000 + COLD_OUTPUT_TOKENS
    # Half a dollar for the prompt, and half a cent a token.
    assert case.expected_nano == 500_000_000 + COLD_OUTPUT_TOKENS * 5_000_000
    assert case.worst_nano == 500_000_000 + MOST_OUTPUT_TOKENS * 5_000_000
    assert (case.input_tokens, case.window_tokens, case.max_output_tokens) == (1000, None, None)  # fmt: skip


def test_a_later_one_as_much_as_those_before():
    cases = Cases()
    for second in range(ENOUGH):
        cases.ended(call("r1", second, usd=Decimal(2), output_tokens=300))
    case = cases.case(call("r1", 9))
    assert (case.expected_nano, case.expected_tokens) == (2_000_000_000, 1300)


def test_one_without_an_answer_has_the_price_of_those_before():
    cases = Cases()
    failed = {"usage_source": "none", "input_tokens": 0, "output_tokens": 0, "usd": Decimal(0), "rate_input": Decimal(0)}  # fmt: skip
    assert cases.case(call("r1", 0, **failed)).expected_nano == 0
    cases.ended(call("r1", 1))
    assert cases.case(call("r1", 2, **failed)).expected_nano == COLD_OUTPUT_TOKENS * 5_000_000  # fmt: skip


def test_tools_cost_nothing_and_embeddings_write_nothing():
    cases = Cases()
    cases.ended(call("r1", 0, kind=Kind.TOOL))
    cases.ended(call("r1", 0, kind=Kind.EMBEDDING, output_tokens=0))
    tool = cases.case(call("r1", 1, kind=Kind.TOOL))
    assert (tool.expected_nano, tool.max_output_tokens) == (0, 0)
    embedding = cases.case(call("r1", 2, kind=Kind.EMBEDDING))
    assert (embedding.expected_nano, embedding.expected_tokens) == (500_000_000, 1000)


def test_an_agent_that_is_only_known_from_the_run_was_known_to_policies():
    assert Cases().case(call(agent_source="run")).agent == "writer"
    assert Cases().case(call(agent_source="prompt")).agent == "writer"


def test_a_call_is_settled_at_what_it_cost_rounded_up_and_one_that_crashed_at_what_was_reserved():
    assert spent_of(call(usd=Decimal("0.000000000001"))) == Spent(1, 1100)
    assert spent_of(call(outcome="proxy_crashed")) is None
