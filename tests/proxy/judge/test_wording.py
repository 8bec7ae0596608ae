"""What agents are told, in words that no client takes for something else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.judge import wording
from proxy.judge.lines import Rule, Vary
from proxy.judge.verdict import Reason
from tests.helpers.judging import CASE, USD

STEPS = Rule("caps", Reason.STEPS, "run", "caps.steps")
COST = Rule("caps", Reason.COST, "turn", "caps.turn.cost_usd")
WALL = Rule("caps", Reason.WALL_TIME, "session", "caps.session.wall_seconds")
BUDGET = Rule("budgets:team", Reason.BUDGET, "agent", "budgets[team].cost_usd", (), "writer", Vary.DAY)  # fmt: skip
SPEED = Rule("spend_rate", Reason.TOO_FAST, "caller", "cost_usd_per_minute", (), "writer", Vary.MINUTE, 60)  # fmt: skip
SAME = Rule("spend_rate", Reason.SAME_REQUEST, "caller", "same_requests", (), "writer", Vary.BODY, 600)  # fmt: skip
RULES = [STEPS, COST, WALL, BUDGET, SPEED, SAME] + [
    Rule("caps", reason, "run", f"caps.{metric}")
    for reason, metric in ((Reason.TOOL_CALLS, "tool_calls"), (Reason.ATTEMPTS, "attempts"), (Reason.TOKENS, "tokens"))
]  # fmt: skip
# What LiteLLM, CrewAI, smolagents and Claude Code look for; research/wire.md 2.2, and the words of their sources.
MISREAD = re.compile(
    r"\b429\b|\brate\b|rate.?limit|context|quota|tokens allowed|exceeds token limit|too many (requests|tokens)|too long|thinking|maximum number of tokens",
    re.IGNORECASE,
)


@pytest.mark.parametrize(
    ("rule", "value", "limit", "said"),
    [
        (STEPS, 20, 20, "run exceeded its step limit (20 of 20); to let it go on: `tacho allow run-1`, or change policies.caps.steps"),
        (COST, 20_130_000_000, 20 * USD, "turn exceeded its cost limit ($20.13 of $20.00); "),
        (COST, 4_200_000, 5_000_000, "($0.004200 of $0.005000)"),
        (WALL, 3_700_900_000, 3_600_000_000, "session exceeded its time limit (3700 s of 3600 s); "),
        (BUDGET, 50 * USD, 50 * USD, "budget team of agent writer is spent ($50.00 of $50.00) and begins anew at 2023-11-15 00:00 UTC; to change it: policies.budgets[team].cost_usd"),
        (replace(BUDGET, scope="caller", name=""), 50 * USD, 50 * USD, "budget team of this caller is spent"),
        (SPEED, 21 * USD, 20 * USD, "agent writer of this caller spends too fast ($21.00 of $20.00 within 60 seconds); find out why, or change cost_usd_per_minute"),
        (SAME, 100, 100, "agent writer of this caller sent the same request more than 100 times within 600 seconds; "),
    ],
)  # fmt: skip
def test_a_limit_that_is_reached_is_told_with_what_to_do(rule: Rule, value: int, limit: int, said: str):  # fmt: skip
    assert said in wording.over(rule, value, limit, CASE)


def test_calls_in_flight_are_told_with_when_to_try_again():
    assert wording.busy(COST, 19 * USD, 20 * USD, 2) == (
        "calls under way may use up what is left to this turn ($19.00 of $20.00 spent or reserved); send it again in 2 seconds"
    )
    assert "left to this budget team of agent writer (" in wording.busy(BUDGET, 1, 2, 2)
    assert "left to this agent writer of this caller (" in wording.busy(SPEED, 1, 2, 2)


def test_a_limit_that_is_near_is_told_with_what_would_change_it():
    assert wording.near(STEPS, 16, 15, CASE) == (
        "run is near its limit (16, warning from 15 on); to let it go on: `tacho allow run-1`, or change policies.caps.steps"
    )
    assert wording.near(BUDGET, 9 * USD, 8 * USD, CASE).endswith("; to change it: policies.budgets[team].cost_usd")  # fmt: skip
    assert wording.near(SPEED, 9 * USD, 8 * USD, CASE).startswith("agent writer of this caller is near")  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "number", "text"),
    [
        (STEPS, 20, "20"),
        (COST, 1, "0.000000001"),
        (COST, 20 * USD, "20"),
        (BUDGET, 1_500_000_000, "1.5"),
        (replace(BUDGET, setting="budgets[team].tokens"), 1_500_000_000, "1500000000"),
        (SPEED, 100_000_000, "0.1"),
        (WALL, 60_500_000, "60.5"),
        (SAME, 0, "0"),
    ],
)
def test_values_are_plain_decimal_numbers(rule: Rule, number: int, text: str):
    assert wording.decimal(rule, number) == text


def everything(rule: Rule, number: int, run_id: str) -> list[str]:
    case = replace(CASE, run_id=run_id)
    return [
        wording.over(rule, number, number, case),
        wording.busy(rule, number, number, 2),
        wording.near(rule, number, number, case),
        wording.window(number, number),
        wording.fault(),
        *(wording.pattern(reason, "repeat", number, number, case) for reason in (Reason.REPEAT, Reason.CYCLE, Reason.SAME_ERROR, Reason.NO_PROGRESS)),
    ]  # fmt: skip


@given(
    st.sampled_from(RULES),
    st.sampled_from([0, 1, 428, 429, 430, 429_000_000, 429 * USD, 429_000_000_000]) | st.integers(0, 2**53),
    st.sampled_from(["run-1", "429", "ticket-429-a", "context-1", "quota", "x.rate.y"]) | st.from_regex(r"[A-Za-z0-9._:-]{1,128}", fullmatch=True),
    st.sampled_from(["writer", "context builder", "429", "", "rate checker", "a\x1b[31m"]),
)  # fmt: skip
def test_no_message_is_taken_for_something_else(rule: Rule, number: int, run_id: str, name: str):  # fmt: skip
    named = replace(rule, name=name, policy=rule.policy.replace("team", name), setting=rule.setting.replace("team", name))  # fmt: skip
    for message in everything(named, number, run_id):
        assert not MISREAD.search(message)
        assert message.isprintable()


def test_a_run_whose_name_would_be_misread_is_named_by_its_header():
    said = wording.over(STEPS, 1, 1, replace(CASE, run_id="ticket-429"))
    assert "to let the run in x-tacho-run go on: `tacho allow RUN`" in said


def test_a_session_is_allowed_on_by_its_own_name_and_nothing_makes_more_of_nothing():
    of_session = replace(STEPS, scope="session", setting="caps.session.steps")  # fmt: skip
    case = replace(CASE, session_id="s-9")
    assert wording.over(of_session, 20, 20, case).endswith("(20 of 20); to let it go on: `tacho allow s-9 --session`, or change policies.caps.session.steps")  # fmt: skip
    unnamed = wording.over(of_session, 20, 20, replace(CASE, session_id="", run_id=""))  # fmt: skip
    assert "go on: `tacho allow RUN`" in unnamed
    assert wording.over(STEPS, 0, 0, CASE).endswith("(0 of 0); to change it: policies.caps.steps")  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "value", "limit", "said"),
    [
        (STEPS, 800, 1000, "this run has used 80 % of its steps (800 of 1,000)"),
        (COST, 16_400_000_000, 20 * USD, "this turn has used 82 % of its money ($16.40 of $20.00)"),
        (WALL, 2_900_000_000, 3_600_000_000, "this session has used 80 % of its time (2,900 s of 3,600 s)"),
    ],
)  # fmt: skip
def test_a_model_is_told_how_far_its_run_is(rule: Rule, value: int, limit: int, said: str):  # fmt: skip
    assert wording.note(rule, value, limit) == said


def test_a_model_is_told_that_it_goes_in_circles():
    assert wording.note_of_pattern(Reason.REPEAT, 5, 1, 10) == "this run goes in circles: the same call with the same arguments 5 times in a row; the run is stopped at 10"  # fmt: skip
    assert wording.note_of_pattern(Reason.NO_PROGRESS, 8, 1, None).endswith("of 8 steps in a row")  # fmt: skip


def test_a_call_without_a_run_is_not_allowed_on():
    assert wording.window(97, 95) == (
        "request fills 97 % of what the model can read (at most 95 %); begin anew with a summary, or change policies.caps.window_share"
    )
