"""Caps of turns, runs and sessions, and the backstop; C03, C04, C05 at the level of the core."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.judge.caps import (  # fmt: skip
    BackstopOverride,
    BackstopSettings,
    CapLimits,
    CapOverride,
    CapSettings,
    backstop_lines,
    cap_lines,
    window_share,
)
from proxy.judge.claims import NONE, Age, Mode, Scope, Take
from proxy.judge.lines import Amount, Line, Vary
from proxy.judge.matching import Site
from proxy.judge.settings import PolicySettings
from proxy.judge.verdict import Action, Reason
from proxy.model import Kind
from tests.helpers.judging import CASE, QUIET, TERMS, USD, desk, is_block

SITE = Site("acme", "writer", "caller-1", "openai", "gpt-4o", Kind.LLM)
NONE_SET = CapSettings(steps=None, tool_calls=None, attempts=None, cost_usd=None, turn=CapLimits(), window_share=None)  # fmt: skip
ALL = CapLimits(1, 2, 3, 4.0, 5, 6.0)


def said(lines: list[Line]) -> dict[str, tuple[Scope, int]]:
    return {
        line.rule.setting: (
            line.claim.scope,
            line.claim.limit if isinstance(line.claim, Take) else line.claim.limit_us,
        )
        for line in lines
    }


def test_a_model_s_step_counts_as_a_step_an_attempt_and_money():
    settings = replace(NONE_SET, steps=1, tool_calls=2, attempts=3, cost_usd=4.0, tokens=5, wall_seconds=6.0)  # fmt: skip
    assert said(cap_lines(settings, SITE, TERMS)) == {
        "caps.steps": (Scope.ROOT, 1),
        "caps.attempts": (Scope.ROOT, 3),
        "caps.cost_usd": (Scope.ROOT, 4 * USD),
        "caps.tokens": (Scope.ROOT, 5),
        "caps.wall_seconds": (Scope.ROOT, 6_000_000),
    }


@pytest.mark.parametrize(
    ("site", "counted"),
    [
        (replace(SITE, is_retry=True), {"attempts", "cost_usd", "tokens", "wall_seconds"}),
        (replace(SITE, kind=Kind.TOOL), {"tool_calls", "attempts", "wall_seconds"}),
        (replace(SITE, kind=Kind.MCP), {"tool_calls", "attempts", "wall_seconds"}),
        (replace(SITE, kind=Kind.MCP, is_retry=True), {"attempts", "wall_seconds"}),
        (replace(SITE, kind=Kind.EMBEDDING), {"attempts", "cost_usd", "tokens", "wall_seconds"}),
        (replace(SITE, kind=Kind.OTHER), {"attempts", "wall_seconds"}),
    ],
    ids=["retry", "tool", "mcp", "mcp again", "embedding", "other"],
)  # fmt: skip
def test_other_calls_count_as_what_they_are(site: Site, counted: set[str]):
    lines = cap_lines(replace(NONE_SET, turn=ALL), site, TERMS)
    assert set(said(lines)) == {f"caps.turn.{metric}" for metric in counted}


def test_turn_run_and_session_have_accounts_of_their_own():
    settings = replace(NONE_SET, steps=9, turn=CapLimits(steps=3), session=CapLimits(steps=20))  # fmt: skip
    lines = cap_lines(settings, SITE, TERMS)
    assert [(each.claim.scope, each.rule.scope, each.rule.vary) for each in lines] == [
        (Scope.ROOT, "run", Vary.NOTHING),
        (Scope.RUN, "turn", Vary.TURN),
        (Scope.SESSION, "session", Vary.NOTHING),
    ]
    assert len({each.claim.key for each in lines}) == 3
    assert [each.claim.ttl_us for each in lines if isinstance(each.claim, Take)] == [
        TERMS.run_ttl_us,
        TERMS.run_ttl_us,
        TERMS.session_ttl_us,
    ]


def test_tenants_and_policies_never_share_an_account():
    keys = {
        line.claim.key
        for tenant in ("acme", "other")
        for line in (
            *cap_lines(replace(NONE_SET, steps=9), replace(SITE, tenant=tenant), TERMS),
            *backstop_lines(BackstopSettings(cost_usd=None), replace(SITE, tenant=tenant), TERMS),
        )
    }  # fmt: skip
    assert len(keys) == 4


def test_money_is_reserved_and_steps_are_counted_at_once():
    lines = cap_lines(replace(NONE_SET, steps=9, cost_usd=9.0), SITE, TERMS)
    steps, cost = (each.claim for each in lines)
    assert isinstance(steps, Take)
    assert isinstance(cost, Take)
    assert (steps.reserve, cost.reserve) == (False, True)
    assert [each.amount for each in lines] == [Amount.ONE, Amount.COST]


def test_a_warning_comes_near_the_limit_unless_there_is_to_be_none():
    (line,) = cap_lines(replace(NONE_SET, steps=10), SITE, TERMS)
    assert isinstance(line.claim, Take)
    assert (line.claim.warn, line.rule.levels) == (8, (8,))
    (line,) = cap_lines(replace(NONE_SET, wall_seconds=10, warn_share=None), SITE, TERMS)  # fmt: skip
    assert isinstance(line.claim, Age)
    assert (line.claim.warn_us, line.rule.levels) == (NONE, ())


def test_modes_and_limits_differ_for_those_who_match_and_the_first_that_fits_counts():
    settings = replace(
        NONE_SET,
        steps=10,
        when=(
            CapOverride(agent="wri*", model="gpt-4*", mode="enforce"),
            CapOverride(agent="writer", mode="off"),
            CapOverride(route="search", steps=None, tool_calls=7),
        ),
    )
    (line,) = cap_lines(settings, SITE, TERMS)
    assert isinstance(line.claim, Take)
    assert (line.claim.mode, line.claim.limit) == (Mode.ENFORCE, 10)
    assert cap_lines(settings, replace(SITE, model="o3"), TERMS) == []
    tool = Site("acme", "reader", "c", "search", "", Kind.TOOL)
    assert said(cap_lines(settings, tool, TERMS)) == {"caps.tool_calls": (Scope.ROOT, 7)}  # fmt: skip
    assert window_share(settings, replace(SITE, model="o3"))[0] == "off"


def test_the_backstop_enforces_100_dollars_or_1000_steps_unless_told_otherwise():
    lines = backstop_lines(BackstopSettings(), SITE, TERMS)
    assert said(lines) == {"backstop.steps": (Scope.ROOT, 1000), "backstop.cost_usd": (Scope.ROOT, 100 * USD)}  # fmt: skip
    assert {each.claim.mode for each in lines} == {Mode.ENFORCE}
    off = BackstopSettings(when=(BackstopOverride(agent="writer", mode="off"),))
    assert backstop_lines(off, SITE, TERMS) == []
    other = BackstopSettings(steps=None, cost_usd=5.0)
    assert said(backstop_lines(other, SITE, TERMS)) == {"backstop.cost_usd": (Scope.ROOT, 5 * USD)}  # fmt: skip


def test_by_default_everything_observes_but_the_backstop():
    lines = cap_lines(PolicySettings().caps, SITE, TERMS)
    assert lines
    assert {each.claim.mode for each in lines} == {Mode.OBSERVE}


def capped(**limits: object) -> PolicySettings:
    return replace(QUIET, caps=replace(NONE_SET, mode="enforce", **limits))


@given(limit=st.integers(0, 20), calls=st.integers(0, 40))
def test_c04_with_a_limit_of_n_the_nth_step_passes_and_the_next_does_not(limit: int, calls: int):  # fmt: skip
    asked = desk(capped(steps=limit))
    admitted = [not is_block(asked.ask(CASE)) for _ in range(calls)]
    assert admitted == [number < limit for number in range(calls)]


def test_c04_zero_is_none_at_all_and_unset_is_no_limit():
    assert is_block(desk(capped(steps=0)).ask(CASE))
    asked = desk(capped(steps=None))
    assert not any(is_block(asked.ask(CASE)) for _ in range(2000))
    tool = replace(CASE, kind=Kind.TOOL)
    assert is_block(desk(capped(tool_calls=0)).ask(tool))
    assert not is_block(desk(capped(tool_calls=0)).ask(CASE))


def test_c03_the_first_calls_of_a_new_run_in_parallel_meet_the_same_cap():
    asked = desk(capped(steps=10))
    verdicts = [asked.ask(replace(CASE, body=number + 1)) for number in range(100)]
    assert sum(not is_block(each) for each in verdicts) == 10
    assert {each.reason for each in verdicts if is_block(each) and each} == {Reason.STEPS}  # fmt: skip


def test_c03_subagents_count_for_the_root_run_and_for_no_other():
    asked = desk(capped(steps=2))
    children = [replace(CASE, run_id=f"child-{number}") for number in range(3)]
    assert [is_block(asked.ask(each, root="run-1")) for each in children] == [False, False, True]  # fmt: skip
    assert not is_block(asked.ask(replace(CASE, run_id="another")))


def test_c05_no_false_block_at_99_percent_of_a_dollar_cap():
    asked = desk(capped(cost_usd=100.0))
    case, each = replace(CASE, expected_nano=99 * USD // 10_000), 99 * USD // 10_000
    for _ in range(10_000):
        verdict = asked.ask(case)
        assert verdict is None or verdict.action is Action.WARN
        asked.settle(each)
    assert sum(asked.keeper.settled.values()) == 10_000 * each


def test_calls_in_flight_that_may_use_up_a_cap_make_others_wait_and_a_lone_one_passes():
    asked = desk(capped(cost_usd=1.5))
    assert asked.ask(replace(CASE, expected_nano=2 * USD)) is not None  # it only warns
    busy = asked.ask(CASE)
    assert busy is not None
    assert (busy.action, busy.reason, busy.is_final) == (Action.BLOCK, Reason.IN_FLIGHT, False)  # fmt: skip
    assert busy.wait_seconds > 0


def test_a_new_turn_begins_anew_and_a_run_that_lasts_too_long_ends():
    asked = desk(capped(turn=CapLimits(steps=1), wall_seconds=60.0))
    assert not is_block(asked.ask(CASE))
    assert is_block(asked.ask(CASE))
    assert not is_block(asked.ask(replace(CASE, turn_seq=2)))
    at_the_end = replace(CASE, turn_seq=3, now_us=CASE.now_us + 60_000_000)
    assert not is_block(asked.ask(at_the_end))
    late = asked.ask(
        replace(at_the_end, turn_seq=4, now_us=at_the_end.now_us + 500_000)
    )
    assert late is not None
    assert (late.reason, late.value, late.threshold) == (Reason.WALL_TIME, "60.5", "60")
