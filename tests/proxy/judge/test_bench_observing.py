"""Observing says exactly what enforcing would do: the same verdicts, up to and including the first refusal of those who share accounts."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.judge.bench import Bench, Spent
from proxy.judge.case import Case
from proxy.judge.claims import owner_of, taken_back
from proxy.judge.settings import PolicySettings
from proxy.judge.verdict import Action, Verdict
from proxy.model import Kind
from proxy.state.accounts import Accounts
from tests.helpers.judging import CASE, TERMS, USD

SECOND = 1_000_000
ROOTS = {"a": "a", "b": "a", "c": "c", "d": "d", "": ""}
"""Runs and their roots."""
SESSIONS = {"a": "s", "b": "s", "c": "t", "d": "", "": ""}
CAPS = {
    "steps": 4, "tool_calls": 2, "attempts": 6, "cost_usd": 5, "tokens": 6000, "wall_seconds": 90, "turn": {"steps": 3, "cost_usd": 4},
    "session": {"steps": 5, "tokens": 8000}, "window_share": 0.5,
}  # fmt: skip
OF_RUNS: dict[str, Any] = {
    "backstop": {"steps": 6, "cost_usd": 7},
    "caps": CAPS,
    "repeat": {"warn": 2, "block": 3},
    "cycle": {"warn": 2, "block": 2},
    "same_error": {"warn": 2, "block": 3},
    "no_progress": {"warn": 2, "block": 3},
    "spend_rate": {"mode": "off"},
}
OF_ALL: dict[str, Any] = {
    **OF_RUNS,
    "spend_rate": {"cost_usd_per_minute": 6, "cost_usd_per_hour": 9, "same_requests": 4},
    "budgets": [
        {"name": "team", "per": "tenant", "period": "hour", "steps": 7, "tokens": 12_000},
        {"name": "own", "per": "agent", "period": "hour", "cost_usd": 6},
    ],
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """A call, and what became of it."""

    case: Case
    spent: Spent | None
    seconds: int
    """How long it takes; others begin meanwhile."""


def _step(draw: st.DrawFn, now_us: int) -> Step:
    run = draw(st.sampled_from(sorted(ROOTS)))
    kind = draw(st.sampled_from([Kind.LLM, Kind.LLM, Kind.LLM, Kind.TOOL, Kind.EMBEDDING]))  # fmt: skip
    brought = draw(st.lists(st.integers(1, 2), max_size=2))
    costs = draw(st.integers(0, 3)) * USD
    case = replace(
        CASE, run_id=run, session_id=SESSIONS[run], kind=kind, now_us=now_us, is_retry=draw(st.booleans()) and draw(st.booleans()),
        agent=draw(st.sampled_from(["writer", "reader"])), turn_seq=draw(st.integers(1, 2)), expected_nano=USD, expected_tokens=1000,
        input_tokens=draw(st.sampled_from([100, 600])), window_tokens=1000, body=draw(st.integers(1, 3)), calls=tuple(brought),
        tools=("look",) * len(brought), results=tuple(brought), errors=tuple(brought[:1]) if draw(st.booleans()) else (),
    )  # fmt: skip
    return Step(case, draw(st.sampled_from([Spent(costs, 1500), None])), draw(st.sampled_from([0, 1, 15, 60, 300])))  # fmt: skip


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """Give calls in the order of their begin, some of them at once."""
    now_us, found = CASE.now_us, []
    for _ in range(draw(st.integers(1, 30))):
        now_us += draw(st.sampled_from([0, 1, 10])) * SECOND
        found.append(_step(draw, now_us))
    return found


def policies(mode: str, named: dict[str, Any]) -> PolicySettings:
    """Give the policies, all in one mode unless they name another."""
    moded = {name: {"mode": mode, **each} for name, each in named.items() if name != "budgets"}  # fmt: skip
    budgets = [{"mode": mode, **each} for each in named.get("budgets", ())]
    return msgspec.convert({**moded, "budgets": budgets}, PolicySettings)


def judged(settings: PolicySettings, history: Sequence[Step]) -> list[Verdict | None]:
    """Ask as a worker does: who is refused asks again and again all the same."""
    bench, accounts = Bench(settings, TERMS), Accounts(10_000)
    under_way: list[tuple[int, Callable[[int], None]]] = []
    verdicts = []
    for step in history:
        case = step.case
        for ends in [each for each in under_way if each[0] <= case.now_us]:
            ends[1](ends[0])
            under_way.remove(ends)
        claims = bench.claims(case)
        owners = ("", *(owner_of("acme", each) for each in (case.run_id, ROOTS[case.run_id], case.session_id)))  # fmt: skip
        answer = accounts.claim(claims, owners, case.now_us)  # type: ignore[arg-type]  # four, as they must be
        verdict = bench.verdict(answer, case)
        verdicts.append(verdict)
        if verdict is not None and verdict.action is Action.BLOCK:
            if answer.admitted:
                accounts.apply(taken_back(claims, answer), case.now_us)
            continue
        changes = bench.settled(case, claims, answer, step.spent)

        def end(now_us: int, changes: Any = changes) -> None:
            accounts.apply(changes, now_us)

        under_way.append((case.now_us + step.seconds * SECOND, end))
        under_way.sort(key=lambda each: each[0])
    return verdicts


def told(verdict: Verdict | None) -> Hashable:
    """Give all that is said, but whether it was only observed."""
    if verdict is None:
        return None
    action = Action.BLOCK if verdict.action is Action.WOULD_BLOCK else verdict.action
    return replace(verdict, action=action, others=())


def every(verdict: Verdict | None) -> set[Hashable]:
    return set() if verdict is None else {told(each) for each in (verdict, *verdict.others)}  # fmt: skip


def compare(history: Sequence[Step], named: dict[str, Any], group: Callable[[Case], str]) -> None:  # fmt: skip
    """Hold both to each other, for each group up to its first refusal."""
    observed = judged(policies("observe", named), history)
    enforced = judged(policies("enforce", named), history)
    over: set[str] = set()
    for step, seen, kept in zip(history, observed, enforced, strict=True):
        assert seen is None or seen.action is not Action.BLOCK
        assert kept is None or kept.action is not Action.WOULD_BLOCK
        name = group(step.case)
        if name in over:
            continue
        assert told(seen) == told(kept)
        if kept is not None and kept.action is Action.BLOCK:
            over.add(name)
            assert every(kept) <= every(seen)
        else:
            assert every(kept) == every(seen)


def sharing(case: Case) -> str:
    """Say with whom a call shares accounts of runs; where it is in none, with nobody."""
    return SESSIONS[case.run_id] or ROOTS[case.run_id]


@settings(max_examples=300)
@given(histories())
def test_observing_says_what_enforcing_does_until_a_run_is_refused(history: list[Step]):
    compare(history, OF_RUNS, sharing)


@settings(max_examples=300)
@given(histories())
def test_with_accounts_that_all_share_it_does_so_until_anybody_is_refused(
    history: list[Step],
):
    compare(history, OF_ALL, lambda _: "all")


@settings(max_examples=100)
@given(histories())
def test_what_is_off_says_nothing(history: list[Step]):
    assert not any(judged(policies("off", {**OF_ALL, "caps": {**CAPS, "mode": "off"}}), history))  # fmt: skip


MATCHES = [("tenant", "acme", "other"), ("agent", "wri*", "read*"), ("route", "openai", "anthropic"), ("model", "gpt-*", "claude-*")]  # fmt: skip
LIMITED: dict[str, dict[str, Any]] = {
    "backstop": {"steps": 1},
    "caps": {"steps": 1, "turn": {}},
    "spend_rate": {"same_requests": 1},
    "repeat": {"warn": 2, "block": 2},
    "cycle": {"warn": 2, "block": 2},
    "same_error": {"warn": 2, "block": 2},
    "no_progress": {"warn": 2, "block": 2},
}
ACTIONS = {"observe": Action.WOULD_BLOCK, "enforce": Action.BLOCK}


def looping(policy: str) -> list[Step]:
    """Give calls of one run that break each limit: the same again, or two in turn."""
    found = []
    for number in range(8):
        entry = 1 + (number % 2 if policy == "cycle" else 0)
        case = replace(CASE, run_id="c", calls=(entry,), tools=("look",), results=(entry,), errors=(entry,), now_us=CASE.now_us + number * SECOND)  # fmt: skip
        found.append(Step(case, Spent(0, 0), 0))
    return found


@pytest.mark.parametrize("base", ["off", "observe", "enforce"])
@pytest.mark.parametrize("mode", ["off", "observe", "enforce"])
@pytest.mark.parametrize("match", MATCHES, ids=lambda each: each[0])
@pytest.mark.parametrize("policy", LIMITED)
def test_each_policy_has_a_mode_for_each_match(
    policy: str, match: tuple[str, str, str], mode: str, base: str
):
    name, fitting, other = match
    for pattern, expected in ((fitting, mode), (other, base)):
        when = [{name: pattern, "mode": mode}]
        named = {**{each: {"mode": "off"} for each in LIMITED}, policy: {**LIMITED[policy], "mode": base, "when": when}}  # fmt: skip
        verdicts = judged(policies("off", named), looping(policy))
        actions = {each.action for each in verdicts if each is not None} - {Action.WARN}
        assert actions == ({ACTIONS[expected]} if expected in ACTIONS else set())


def test_of_what_puts_off_and_what_ends_the_latter_is_told_in_either_mode():
    """The cost is in the way while the first call is under way; its turn's steps are used up for good."""
    history = [Step(replace(CASE, run_id="c", expected_nano=USD), None, 60)] * 2
    named = {"caps": {"cost_usd": 1.5, "turn": {"steps": 1}}}
    compare(history, named, sharing)
    (_, seen) = judged(policies("observe", named), history)
    assert seen is not None
    assert [each.reason for each in (seen, *seen.others)] == ["step_limit", "in_flight"]
