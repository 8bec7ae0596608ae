"""Budgets of tenants, agents, callers and routes."""

from datetime import datetime

import pytest
from msgspec.structs import replace

from proxy.judge.bench import Bench
from proxy.judge.budgets import BudgetSettings, budget_lines
from proxy.judge.claims import Scope, Take
from proxy.judge.matching import Site
from proxy.judge.settings import PolicySettings
from proxy.judge.verdict import Action, Reason
from proxy.model import Kind
from tests.helpers.judging import BUDGET, CASE, QUIET, TERMS, USD, desk, is_block

SITE = Site("acme", "writer", "caller-1", "openai", "gpt-4o", Kind.LLM)


def with_budgets(*budgets: BudgetSettings) -> PolicySettings:
    return replace(QUIET, budgets=budgets)


def keys(budget: BudgetSettings, site: Site) -> set[int]:
    return {each.claim.key for each in budget_lines((budget,), site, TERMS)}


def test_a_budget_has_a_line_for_each_amount_that_a_call_spends():
    budget = replace(BUDGET, tokens=1000, steps=10)
    lines = budget_lines((budget,), SITE, TERMS)
    assert [each.rule.setting for each in lines] == [f"budgets[team].{each}" for each in ("cost_usd", "tokens", "steps")]  # fmt: skip
    assert all(isinstance(each.claim, Take) and each.claim.scope is Scope.OWN for each in lines)  # fmt: skip
    again = budget_lines((budget,), replace(SITE, is_retry=True), TERMS)
    assert len(again) == 2
    assert budget_lines((budget,), replace(SITE, kind=Kind.TOOL), TERMS) == []
    only_steps = BudgetSettings("s", "tenant", "hour", steps=5)
    assert budget_lines((only_steps,), replace(SITE, kind=Kind.EMBEDDING), TERMS) == []


def test_budgets_that_are_off_or_of_others_say_nothing():
    assert budget_lines((replace(BUDGET, mode="off"),), SITE, TERMS) == []
    assert budget_lines((replace(BUDGET, agent="reader"),), SITE, TERMS) == []


@pytest.mark.parametrize("per", ["tenant", "agent", "caller", "route"])
def test_each_holder_has_an_account_of_its_own(per: str):
    budget = BudgetSettings("team", per, "day", cost_usd=1.0)  # type: ignore[arg-type]
    mine = keys(budget, SITE)
    assert keys(budget, replace(SITE, model="other")) == mine
    assert keys(budget, replace(SITE, **{per: "other"})).isdisjoint(mine)
    assert keys(budget, replace(SITE, tenant="other")).isdisjoint(mine)
    assert keys(replace(budget, name="other"), SITE).isdisjoint(mine)


def test_a_budget_that_is_spent_refuses_until_its_period_ends():
    asked = desk(with_budgets(BUDGET))
    assert asked.ask(replace(CASE, expected_nano=10 * USD)) is not None
    asked.settle(10 * USD)
    refused = asked.ask(CASE)
    assert refused is not None
    assert (refused.action, refused.policy, refused.reason, refused.scope) == (Action.BLOCK, "budgets:team", Reason.BUDGET, "tenant")  # fmt: skip
    assert (refused.value, refused.threshold) == ("10", "10")
    tomorrow = replace(CASE, now_us=CASE.now_us + 86_400_000_000)
    assert not is_block(asked.ask(tomorrow))


@pytest.mark.parametrize(
    ("period", "last", "first"),
    [
        ("hour", "2024-02-29T22:59:59Z", "2024-02-29T23:00:00Z"),
        ("day", "2024-02-28T23:59:59Z", "2024-02-29T00:00:00Z"),
        ("month", "2024-02-29T23:59:59Z", "2024-03-01T00:00:00Z"),
        ("month", "2024-12-31T23:59:59Z", "2025-01-01T00:00:00Z"),
    ],
)
def test_periods_begin_with_utc_s_clock(period: str, last: str, first: str):
    asked = desk(with_budgets(BudgetSettings("b", "agent", period, "enforce", steps=1)))  # type: ignore[arg-type]
    before, after = (round(datetime.fromisoformat(each).timestamp()) * 1_000_000 for each in (last, first))  # fmt: skip
    assert not is_block(asked.ask(replace(CASE, now_us=before)))
    assert is_block(asked.ask(replace(CASE, now_us=before)))
    assert not is_block(asked.ask(replace(CASE, now_us=after)))


def test_a_warning_names_the_highest_level_that_was_passed():
    budget = BudgetSettings("b", "agent", "day", steps=10, warn_shares=(0.9, 0.5))
    asked = desk(with_budgets(budget))
    warned = [asked.ask(CASE) for _ in range(11)]
    assert [each and each.threshold for each in warned] == [None] * 4 + ["5"] * 4 + ["9", "9", "10"]  # fmt: skip
    assert warned[10] is not None
    assert warned[10].action is Action.WOULD_BLOCK


def test_a_budget_may_have_no_warnings():
    asked = desk(with_budgets(BudgetSettings("b", "agent", "day", steps=2, warn_shares=())))  # fmt: skip
    assert [asked.ask(CASE) for _ in range(2)] == [None, None]


def test_a_budget_holds_for_calls_of_no_run():
    asked = desk(with_budgets(BudgetSettings("b", "caller", "hour", "enforce", steps=1)))  # fmt: skip
    alone = replace(CASE, run_id="", session_id="")
    assert [is_block(asked.ask(alone)) for _ in range(2)] == [False, True]


def test_the_accounts_of_a_call_s_budgets_are_known_with_limit_and_end():
    each = BudgetSettings("each", "agent", "hour", cost_usd=1.0, steps=5)
    bench = Bench(with_budgets(BUDGET, each, replace(BUDGET, name="off", mode="off")), TERMS)  # fmt: skip
    claims = bench.claims(CASE)
    found = bench.accounts(CASE, claims)
    assert [account[:3] for account in found] == [("acme", "", "team"), ("acme", "writer", "each"), ("acme", "writer", "each")]  # fmt: skip
    assert [account.limit for account in found] == [10 * USD, USD, 5]
    assert [account.key for account in found] == [claim.key for claim in claims if isinstance(claim, Take)]  # fmt: skip
    hour, day = 3_600_000_000, 24 * 3_600_000_000
    ends = [account.until_us - CASE.now_us for account in found]
    assert 0 < ends[1] == ends[2] <= hour < ends[0] <= day
    assert bench.has_budgets
    assert not Bench(QUIET, TERMS).has_budgets
