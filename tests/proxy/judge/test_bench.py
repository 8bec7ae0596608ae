"""The policies in order; C18 and C21 at the level of the core."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.judge.bench import Bench
from proxy.judge.budgets import BudgetSettings
from proxy.judge.caps import BackstopSettings, CapLimits, CapSettings
from proxy.judge.case import Case
from proxy.judge.claims import (  # fmt: skip
    MOST,
    Age,
    Answer,
    Finding,
    Level,
    Pass,
    Scope,
    Tail,
    Take,
)
from proxy.judge.findings import BUSY_SECONDS
from proxy.judge.loops import (  # fmt: skip
    CycleSettings,
    NoProgressSettings,
    RepeatSettings,
    SameErrorSettings,
)
from proxy.judge.matching import Site
from proxy.judge.settings import PolicySettings
from proxy.judge.spend_rate import SpendRateSettings
from proxy.judge.verdict import Action, Reason, Verdict
from proxy.model import Kind
from tests.helpers.judging import BUDGET, CASE, QUIET, TERMS, USD, Desk, desk, is_block

CAPPED = replace(QUIET, caps=CapSettings("enforce", steps=2, turn=CapLimits(), window_share=None))  # fmt: skip
DEAR = replace(QUIET, backstop=BackstopSettings(steps=None, cost_usd=10.0))


def everything(mode: str) -> PolicySettings:
    """All policies on, with limits that are soon met."""
    limits = CapLimits(3, 2, 5, 4.0, 6000, 9.0)
    return PolicySettings(
        BackstopSettings(mode, 8, 9.0),  # type: ignore[arg-type]
        CapSettings(mode, 7, 2, 8, 6.0, 5000, 20.0, limits, limits, 0.5),  # type: ignore[arg-type]
        tuple(
            BudgetSettings(f"b-{per}-{period}", per, period, mode, 7.0, 8000, 6)  # type: ignore[arg-type]
            for per in ("tenant", "agent", "caller", "route")
            for period in ("hour", "day", "month")
        ),
        SpendRateSettings(mode, 5.0, 8.0, 3, 60.0),  # type: ignore[arg-type]
        RepeatSettings(mode, 2, 3),  # type: ignore[arg-type]
        CycleSettings(mode, 2, 3, 3),  # type: ignore[arg-type]
        SameErrorSettings(mode, 2, 3),  # type: ignore[arg-type]
        NoProgressSettings(mode, 2, 3, 8),  # type: ignore[arg-type]
    )


CASES = st.builds(
    lambda **fields: replace(CASE, **fields),
    kind=st.sampled_from([Kind.LLM, Kind.LLM, Kind.LLM, Kind.TOOL, Kind.MCP, Kind.EMBEDDING, Kind.OTHER]),
    is_retry=st.booleans(),
    is_step=st.sampled_from([True, True, True, False]),
    run_id=st.sampled_from(["run-1", "run-2", ""]),
    session_id=st.sampled_from(["session-1", ""]),
    turn_seq=st.integers(1, 2),
    now_us=st.integers(CASE.now_us, CASE.now_us + 90_000_000),
    body=st.integers(0, 2),
    calls=st.lists(st.integers(1, 2), max_size=2).map(tuple),
    errors=st.lists(st.integers(1, 2), max_size=1).map(tuple),
    results=st.lists(st.integers(1, 3), max_size=2).map(tuple),
    input_tokens=st.sampled_from([10, 600]),
    window_tokens=st.sampled_from([None, 1000]),
)  # fmt: skip


def flat(verdict: Verdict | None) -> list[Verdict]:
    return [] if verdict is None else [verdict, *verdict.others]


@settings(max_examples=200)
@given(st.lists(CASES, max_size=30))
def test_c18_what_only_observes_never_blocks_and_says_what_enforce_would_say(cases: list[Case]):  # fmt: skip
    observing, enforcing = desk(everything("observe")), desk(everything("enforce"))
    for case in cases:
        said = observing.ask(case)
        assert all(each.action is not Action.BLOCK for each in flat(said))
        assert observing.answer.admitted
        before = (dict(enforcing.keeper.settled), dict(enforcing.keeper.reserved))
        refused = enforcing.ask(case)
        if is_block(refused):
            if not enforcing.answer.admitted:
                assert before == (enforcing.keeper.settled, enforcing.keeper.reserved)
            # Until the first refusal both have seen the same.
            assert said is not None
            assert refused is not None
            assert said.action is Action.WOULD_BLOCK
            policies = {(each.policy, each.reason) for each in flat(said) if each.action is Action.WOULD_BLOCK}  # fmt: skip
            assert (refused.policy, refused.reason) in policies
            return
        assert all(each.action is Action.WARN for each in flat(said))


@given(CASES)
def test_claims_are_the_same_for_the_same_call(case: Case):
    policies = everything("enforce")
    first, other = Bench(policies, TERMS), Bench(policies, TERMS, max_sites=1)
    other.claims(CASE)
    assert first.claims(case) == first.claims(case) == other.claims(case)
    for claim in first.claims(case):
        assert isinstance(claim, Take | Age | Tail)
        assert 0 <= claim.key < 2**64
        assert not isinstance(claim, Take) or 0 <= claim.amount <= MOST


def test_what_is_no_step_claims_nothing_and_is_not_judged():
    asked = desk(everything("enforce"))
    case = replace(CASE, is_step=False)
    assert asked.bench.claims(case) == []
    assert asked.bench.verdict(Answer(True), case) is None


def test_different_accounts_never_share_a_key():
    claims = Bench(everything("enforce"), TERMS).claims(CASE)
    assert len({(claim.key, getattr(claim, "scope", None)) for claim in claims}) == len(claims)  # fmt: skip


def test_by_default_a_run_is_stopped_at_a_thousand_steps():
    asked = desk(PolicySettings())
    steps = (replace(CASE, body=n + 1, calls=(n + 1,), results=(n + 1,), turn_seq=n // 50, expected_nano=1) for n in range(1001))  # fmt: skip
    verdicts = [asked.ask(each) for each in steps]
    assert [number for number, each in enumerate(verdicts) if is_block(each)] == [1000]
    last = verdicts[-1]
    assert last is not None
    assert (last.policy, last.reason, last.value, last.threshold) == ("backstop", Reason.STEPS, "1000", "1000")  # fmt: skip
    assert last.message.startswith("run exceeded its step limit (1000 of 1000); ")


@pytest.mark.parametrize("run_id", ["run-1", ""], ids=["a run", "of no run"])
def test_a_runaway_is_stopped_within_one_step_of_its_cap(run_id: str):
    each, spent = 2_100_000_000, 0
    speed = SpendRateSettings("enforce", None, 100.0, None)
    asked = desk(replace(PolicySettings(), spend_rate=speed))
    for number in range(100):
        case = replace(CASE, run_id=run_id, body=number + 1, expected_nano=each // 3)
        if is_block(asked.ask(case)):
            break
        asked.settle(each)
        spent += each
    assert 100 * USD <= spent < 100 * USD + each


@settings(max_examples=100)
@given(st.data())
def test_c05_a_diligent_agent_meets_no_pattern_at_the_defaults(data: st.DataObject):
    """It edits and tests, reads page after page, tries a failing call three times, polls, and hears from its user."""
    asked, fresh = desk(PolicySettings()), iter(range(10**6, 10**7))
    for _ in range(data.draw(st.integers(1, 20))):
        habit = data.draw(st.sampled_from(["edit and test", "page", "retry", "poll", "talk"]))  # fmt: skip
        for _ in range(data.draw(st.integers(1, 3))):
            for case in _habit(habit, fresh):
                assert not _PATTERNS & {each.policy for each in flat(asked.ask(case))}
                asked.settle(1)


_PATTERNS = {"repeat", "cycle", "same_error", "no_progress", "spend_rate"}


def _habit(habit: str, fresh: Iterator[int]) -> list[Case]:
    case = replace(CASE, body=next(fresh), expected_nano=1)
    if habit == "edit and test":
        edit = replace(case, calls=(next(fresh),), tools=("edit",), results=(1,))
        return [edit, replace(case, calls=(2,), tools=("test",), results=(next(fresh),))]  # fmt: skip
    if habit == "page":
        return [replace(case, calls=(next(fresh),), tools=("read",), results=(next(fresh),))]  # fmt: skip
    if habit == "retry":
        failing = replace(case, calls=(4,), tools=("fetch",), results=(5,), errors=(5,))
        fixed = replace(case, calls=(next(fresh),), tools=("fetch",), results=(6,))
        return [failing] * 3 + [fixed]
    if habit == "poll":
        return [replace(case, calls=(7,), tools=("wait_for_build",), results=(8,))] * 20
    return [case]


def test_a_refusal_that_is_final_wins_over_one_that_is_not():
    asked = desk(replace(DEAR, caps=CAPPED.caps))
    lone = replace(CASE, expected_nano=8 * USD)
    asked.ask(lone)
    busy = asked.ask(replace(CASE, expected_nano=3 * USD))
    assert busy is not None
    assert (busy.policy, busy.is_final, busy.wait_seconds) == ("backstop", False, BUSY_SECONDS)  # fmt: skip
    asked.ask(replace(CASE, expected_nano=1))
    both = asked.ask(replace(CASE, expected_nano=3 * USD))
    assert both is not None
    assert (both.policy, both.reason, both.is_final, both.wait_seconds) == ("caps", Reason.STEPS, True, 0)  # fmt: skip
    assert [(each.policy, each.reason) for each in both.others] == [("backstop", Reason.IN_FLIGHT)]  # fmt: skip


def test_warnings_are_kept_beside_what_is_worse():
    observed = replace(CAPPED, caps=replace(CAPPED.caps, mode="observe", attempts=4))
    asked = desk(observed)
    found = [asked.ask(CASE) for _ in range(4)][-1]
    assert found is not None
    assert (found.action, found.reason) == (Action.WOULD_BLOCK, Reason.STEPS)
    assert [(each.action, each.reason) for each in found.others] == [(Action.WARN, Reason.ATTEMPTS)]  # fmt: skip


@pytest.mark.parametrize("notes", [True, False])
def test_a_model_may_be_told_of_what_is_enforced_for_its_own_run(notes: bool):
    caps = CapSettings("enforce", steps=5, tool_calls=None, attempts=None, cost_usd=None, wall_seconds=100.0, turn=CapLimits(), window_share=None)  # fmt: skip
    several = replace(QUIET, notes=notes, caps=caps, budgets=(replace(BUDGET, cost_usd=None, steps=5, warn_shares=(0.2,)),))  # fmt: skip
    asked = desk(several)
    found = [asked.ask(replace(CASE, now_us=CASE.now_us + n * 27_000_000)) for n in range(4)][-1]  # fmt: skip
    assert found is not None
    told = {(each.policy, each.reason): each.note for each in (found, *found.others)}
    assert told == {
        ("caps", Reason.STEPS): "this run has used 80 % of its steps (4 of 5)" * notes,
        ("caps", Reason.WALL_TIME): "this run has used 81 % of its time (81 s of 100 s)" * notes,
        ("budgets:team", Reason.BUDGET): "",
    }  # fmt: skip
    observed = desk(replace(several, caps=replace(caps, mode="observe")))
    found = [observed.ask(CASE) for _ in range(4)][-1]
    assert found is not None
    assert [each.note for each in (found, *found.others)] == ["", ""]


def test_strict_reserves_the_worst_case():
    for strict, amount in ((False, USD), (True, 3 * USD)):
        claims = Bench(replace(DEAR, strict=strict), TERMS).claims(CASE)
        assert [each.amount for each in claims if isinstance(each, Take)] == [amount]


def test_strict_reserves_the_longest_answer_where_the_request_sets_a_limit():
    strict = replace(QUIET, strict=True, budgets=(replace(BUDGET, cost_usd=None, tokens=10**6),))  # fmt: skip
    for longest, amount in ((None, 1000), (500, 1300)):
        claims = Bench(strict, TERMS).claims(replace(CASE, max_output_tokens=longest))
        assert [each.amount for each in claims if isinstance(each, Take)] == [amount]


def test_c20_accounts_outlive_a_reload_with_other_limits():
    before = Desk(Bench(CAPPED, TERMS))
    assert [is_block(before.ask(CASE)) for _ in range(3)] == [False, False, True]
    raised = replace(CAPPED, caps=replace(CAPPED.caps, steps=4))
    after = Desk(Bench(raised, TERMS), before.keeper)
    assert [is_block(after.ask(CASE)) for _ in range(3)] == [False, False, True]


def test_amounts_are_never_more_than_keepers_can_count():
    claims = Bench(DEAR, TERMS).claims(replace(CASE, expected_nano=10**30))
    assert [each.amount for each in claims if isinstance(each, Take)] == [MOST]


@pytest.mark.parametrize(
    ("mode", "tokens", "window", "action"),
    [
        ("enforce", 951, 1000, Action.BLOCK),
        ("observe", 951, 1000, Action.WOULD_BLOCK),
        ("enforce", 950, 1000, None),
        ("enforce", 951, None, None),
        ("off", 951, 1000, None),
    ],
)
def test_a_request_that_leaves_no_room_for_an_answer_is_told(
    mode: str, tokens: int, window: int | None, action: Action | None
):
    caps = replace(CAPPED.caps, mode=mode, steps=None, window_share=0.95)
    case = replace(CASE, input_tokens=tokens, window_tokens=window)
    found = desk(replace(QUIET, caps=caps)).ask(case)
    assert (found.action if found else None) is action
    if found is not None:
        assert (found.policy, found.reason, found.value, found.threshold) == ("caps", Reason.WINDOW, "951", "950")  # fmt: skip


def test_findings_about_claims_behind_the_bench_s_are_not_its_own():
    bench = Bench(CAPPED, TERMS)
    count = len(bench.claims(CASE))
    gate = Finding(count, Level.OVER, 0, 0, 5_000_000)
    assert bench.verdict(Answer(False, (gate,)), CASE) is None
    assert Pass(1, "enforce") is not None  # type: ignore[arg-type]


def test_sites_are_bounded_in_number():
    bench = Bench(PolicySettings(), TERMS, max_sites=3)
    for number in range(50):
        bench.claims(replace(CASE, model=f"model-{number}"))
    assert len(bench._plans) == 3


def test_accounts_of_a_new_turn_minute_and_body_are_others():
    bench = Bench(everything("observe"), TERMS)
    base = bench.claims(CASE)
    for other in (replace(CASE, turn_seq=2), replace(CASE, now_us=CASE.now_us + 60_000_000), replace(CASE, body=77)):  # fmt: skip
        changed = [a.key != b.key for a, b in zip(base, bench.claims(other), strict=True) if isinstance(a, Take)]  # fmt: skip
        assert any(changed)
        assert not all(changed)


def test_a_call_of_no_run_meets_what_holds_for_callers_and_nothing_of_runs():
    asked = desk(CAPPED)
    assert [asked.ask(replace(CASE, run_id="")) for _ in range(5)] == [None] * 5


class Failing(Bench):
    """A policy of it raises."""

    def claims(self, case: Case) -> list:  # type: ignore[type-arg]
        """Raise."""
        raise ZeroDivisionError


@pytest.mark.parametrize(("on_error", "is_refused"), [("allow", False), ("block", True)])  # fmt: skip
def test_c21_a_fault_lets_calls_pass_or_not_as_the_settings_say(on_error: str, is_refused: bool):  # fmt: skip
    bench = Failing(replace(CAPPED, on_error=on_error), TERMS)
    asked, counted = Desk(bench), 0
    try:
        asked.ask(CASE)
    except ZeroDivisionError:
        counted += 1
    said = bench.unjudged()
    assert counted == 1
    assert is_block(said) is is_refused
    if said is not None:
        assert (said.reason, said.is_final, said.wait_seconds) == (Reason.FAULT, False, BUSY_SECONDS)  # fmt: skip


def test_every_scope_has_its_owner():
    scopes = {claim.scope for claim in Bench(everything("enforce"), TERMS).claims(CASE) if isinstance(claim, Take)}  # fmt: skip
    assert scopes == set(Scope)


def needs(given: PolicySettings, kind: Kind = Kind.LLM) -> tuple[bool, ...]:
    return Bench(given, TERMS).needs(Site("acme", "writer", "c", "openai", "gpt-4o", kind))  # fmt: skip


def test_a_site_needs_what_its_policies_look_at_and_nothing_else():
    caps = replace(CapSettings(steps=5, tool_calls=None, attempts=None, cost_usd=None), window_share=None)  # fmt: skip
    assert needs(QUIET) == (False, False, False)
    assert needs(replace(QUIET, caps=caps)) == (False, False, True)
    assert needs(replace(QUIET, caps=replace(caps, cost_usd=1.0))) == (True, False, True)  # fmt: skip
    assert needs(replace(QUIET, caps=replace(caps, steps=None, window_share=0.5))) == (True, False, True)  # fmt: skip
    assert needs(replace(QUIET, repeat=RepeatSettings())) == (False, True, True)
    assert needs(replace(QUIET, repeat=RepeatSettings()), Kind.TOOL) == (False, False, False)  # fmt: skip
    same = SpendRateSettings(cost_usd_per_minute=None, cost_usd_per_hour=None)
    assert needs(replace(QUIET, spend_rate=same)) == (False, True, True)
    assert needs(PolicySettings()) == (True, True, True)


def test_gates_are_named_before_what_enforcing_would_not_look_at_any_more():
    bench = Bench(replace(QUIET, caps=CapSettings("observe", window_share=0.5)), TERMS)
    case = replace(CASE, window_tokens=100, input_tokens=90)
    gate = Verdict(Action.WOULD_BLOCK, "breaker", Reason.UPSTREAM_FAILING, "", "upstream", "0", "0", 5, is_final=False)  # fmt: skip
    said = bench.verdict(Answer(True), case, [gate])
    assert said is not None
    assert [each.policy for each in (said, *said.others)] == ["breaker", "caps"]
    assert bench.verdict(Answer(True), replace(case, is_step=False), [gate]) == gate
