"""Runaways whose calls never join a run."""

import pytest
from msgspec.structs import replace

from proxy.judge.matching import Site
from proxy.judge.settings import PolicySettings
from proxy.judge.spend_rate import (  # fmt: skip
    SpendRateOverride,
    SpendRateSettings,
    spend_rate_lines,
)
from proxy.judge.verdict import Action, Reason
from proxy.model import Kind
from tests.helpers.judging import CASE, QUIET, TERMS, USD, desk, is_block

SITE = Site("acme", "writer", "caller-1", "openai", "gpt-4o", Kind.LLM)
NOTHING = SpendRateSettings(
    mode="enforce", cost_usd_per_minute=None, cost_usd_per_hour=None, same_requests=None
)
ALONE = replace(CASE, run_id="", session_id="")
MINUTE = 60_000_000


def only(**limits: object) -> PolicySettings:
    return replace(QUIET, spend_rate=replace(NOTHING, **limits))


def test_each_limit_that_is_set_has_an_account_a_caller_and_agent():
    lines = spend_rate_lines(SpendRateSettings(), SITE, TERMS)
    assert [each.rule.setting for each in lines] == ["cost_usd_per_minute", "cost_usd_per_hour", "same_requests"]  # fmt: skip
    keys = {each.claim.key for each in lines}
    assert len(keys) == 3
    for other in (replace(SITE, tenant="x"), replace(SITE, caller="x"), replace(SITE, agent="x")):  # fmt: skip
        assert keys.isdisjoint(each.claim.key for each in spend_rate_lines(SpendRateSettings(), other, TERMS))  # fmt: skip
    assert spend_rate_lines(NOTHING, SITE, TERMS) == []


@pytest.mark.parametrize(
    "site",
    [replace(SITE, kind=Kind.TOOL), replace(SITE, agent="quiet")],
    ids=["a tool", "off"],
)
def test_tools_and_those_for_whom_it_is_off_are_not_looked_at(site: Site):
    settings = SpendRateSettings(when=(SpendRateOverride(agent="quiet", mode="off"),))
    assert spend_rate_lines(settings, site, TERMS) == []


def test_a_caller_that_spends_too_fast_is_refused_until_the_minute_is_over():
    asked = desk(only(cost_usd_per_minute=2.0))
    for _ in range(2):
        assert not is_block(asked.ask(ALONE))
        asked.settle(USD)
    refused = asked.ask(ALONE)
    assert refused is not None
    assert (refused.action, refused.reason) == (Action.BLOCK, Reason.TOO_FAST)
    assert not is_block(asked.ask(replace(ALONE, caller="another")))
    assert not is_block(asked.ask(replace(ALONE, now_us=ALONE.now_us + MINUTE)))


def test_the_hour_counts_beyond_the_minute():
    asked = desk(only(cost_usd_per_hour=2.0))
    start = ALONE.now_us - ALONE.now_us % (60 * MINUTE)
    found = []
    for minute in range(3):
        found.append(is_block(asked.ask(replace(ALONE, now_us=start + minute * MINUTE))))  # fmt: skip
        asked.settle(USD)
    assert found == [False, False, True]


def test_c19_the_same_request_more_than_n_times_within_the_window_is_refused():
    asked = desk(only(same_requests=5, same_seconds=600))
    assert [is_block(asked.ask(ALONE)) for _ in range(7)] == [False] * 5 + [True] * 2
    assert not is_block(asked.ask(replace(ALONE, body=1)))
    assert not is_block(asked.ask(replace(ALONE, agent="another")))
    assert not is_block(asked.ask(replace(ALONE, now_us=ALONE.now_us + 600_000_000)))


def test_retries_and_requests_that_were_not_read_are_not_the_same_request():
    asked = desk(only(same_requests=1))
    again, unread = replace(ALONE, is_retry=True), replace(ALONE, body=0)
    assert not any(is_block(asked.ask(each)) for each in [again, unread] * 5)
