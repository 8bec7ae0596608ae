"""What other policies would have done to calls that were made, against sums that are made here by hand."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model import Kind
from proxy.replay.rows import Call
from proxy.replay.tallies import Sums, Tally
from tests.helpers.judging import NOW_US
from tests.helpers.replayed import SECOND, call, replayed, stops

DOLLAR = 10**12
OFF: dict[str, Any] = {name: {"mode": "off"} for name in ("backstop", "spend_rate", "repeat", "cycle")}  # fmt: skip


def capped(**caps: Any) -> dict[str, Any]:
    none: dict[str, Any] = {"tool_calls": None, "attempts": None, "cost_usd": None, "steps": None, "window_share": None, "turn": {}}  # fmt: skip
    return {**OFF, "caps": {**none, **caps}}


def run(name: str, count: int, **changes: Any) -> list[Call]:
    return [call(name, number, step=number + 1, **changes) for number in range(count)]


def one(tallies: Any, name: str = "r1") -> Tally:
    found: Tally = tallies["acme", name]
    return found


def test_a_cap_of_steps_stops_a_run_behind_its_last_step_and_saves_the_rest():
    found = replayed([*run("r1", 5), *run("r2", 3)], **capped(steps=3))
    assert stops(found) == {"r1": (4, "caps", "step_limit")}
    tally = one(found.tallies)
    assert (tally.made, tally.saved) == (Sums(3, 3, 3300, 3 * DOLLAR), Sums(2, 2, 2200, 2 * DOLLAR))  # fmt: skip
    assert tally.stop is not None
    assert (tally.stop.verdict.value, tally.stop.verdict.threshold) == ("3", "3")
    assert one(found.tallies, "r2").saved == Sums()


@pytest.mark.parametrize(
    ("caps", "step"),
    [
        ({"cost_usd": 2.5}, 4),
        ({"cost_usd": 2}, 3),
        ({"tokens": 4000}, 5),
        ({"attempts": 2}, 3),
        ({"wall_seconds": 2}, 4),
        ({"turn": {"steps": 2}}, 3),
        ({"session": {"steps": 4}}, 5),
    ],
    ids=str,
)
def test_each_cap_stops_where_it_is_used_up(caps: dict[str, Any], step: int):
    found = replayed(run("r1", 6, session_id="s"), **capped(**caps))
    assert stops(found)["r1"][0] == step


def test_a_tool_s_call_is_refused_at_the_step_that_comes_next():
    history = [call("r1", 0, step=1), *(call("r1", n, kind=Kind.TOOL) for n in (1, 2)), call("r1", 3, step=2)]  # fmt: skip
    found = replayed(history, **capped(tool_calls=1))
    assert stops(found) == {"r1": (2, "caps", "tool_call_limit")}
    assert one(found.tallies).made.calls == 2


def test_retries_and_what_is_no_work_are_no_steps():
    history = [call("r1", 0), call("r1", 1, attempt=1), call("r1", 2, is_step=False), call("r1", 3)]  # fmt: skip
    assert stops(replayed(history, **capped(steps=2))) == {}
    assert stops(replayed(history, **capped(steps=1))) == {"r1": (2, "caps", "step_limit")}  # fmt: skip


def test_a_root_and_its_runs_have_one_account_and_each_is_stopped_by_itself():
    child = {"root_run_id": "r1", "parent_run_id": "r1"}
    history = [call("r1", 0), call("k1", 1, **child), call("r1", 2), call("k1", 3, **child), call("k1", 4, **child)]  # fmt: skip
    found = replayed(history, **capped(steps=3))
    assert stops(found) == {"k1": (2, "caps", "step_limit")}
    assert one(found.tallies, "k1").saved.calls == 2


def test_what_a_stopped_run_begins_later_is_not_begun():
    child = {"root_run_id": "k1", "parent_run_id": "r1"}
    history = [*run("r1", 3), call("k1", 3, **child), call("k1", 4, **child), call("k2", 5, root_run_id="k2", parent_run_id="elsewhere")]  # fmt: skip
    found = replayed(history, **capped(steps=1))
    tally = one(found.tallies, "k1")
    assert tally.stop is not None
    assert (tally.stop.with_parent, tally.stop.verdict.reason, tally.made.calls, tally.saved.calls) == ("r1", "step_limit", 0, 2)  # fmt: skip
    assert one(found.tallies, "k2").stop is None


def test_what_a_stopped_run_does_not_spend_is_left_to_others():
    budgets = [{"name": "team", "per": "tenant", "period": "month", "cost_usd": 6}]
    history = [each for n in range(6) for each in (call("r1", n, model_requested="cheap"), call("r2", n + 0.5))]  # fmt: skip
    shared = replayed(history, **capped(), budgets=budgets)
    spent = ("budgets:team", "budget_spent")
    assert stops(shared) == {"r1": (4, *spent), "r2": (4, *spent)}
    caps = capped(when=[{"model": "cheap", "steps": 1}])
    found = replayed(history, **caps, budgets=budgets)
    assert stops(found) == {"r1": (2, "caps", "step_limit"), "r2": (6, *spent)}


def test_calls_in_no_run_are_refused_one_by_one():
    budget = {"name": "own", "per": "caller", "period": "month", "steps": 2}
    found = replayed([call("", second) for second in range(5)], **capped(), budgets=[budget])  # fmt: skip
    tally = one(found.tallies, "")
    assert tally.stop is None
    assert (tally.made.calls, tally.saved.calls) == (2, 3)
    assert tally.refused == {"budgets:own": Sums(3, 3, 3300, 3 * DOLLAR)}


def test_a_new_period_is_a_new_budget_for_new_runs_but_who_was_stopped_stays_stopped():
    budget = {"name": "own", "per": "tenant", "period": "hour", "steps": 2}
    later = 2 * 3600
    history = [*run("r1", 3), call("r1", later), call("r2", later + 1)]
    found = replayed(history, **capped(), budgets=[budget])
    assert stops(found) == {"r1": (3, "budgets:own", "budget_spent")}
    assert one(found.tallies).saved.calls == 2


def test_what_is_only_in_the_way_waits_and_is_made():
    slow = {"closed_us": NOW_US + 60 * SECOND}
    history = [call("r1", 0, **slow), call("r1", 1, **slow), call("r1", 2, **slow)]
    found = replayed(history, **capped(cost_usd=20))
    tally = one(found.tallies)
    assert (stops(found), tally.waits, tally.made.calls) == ({}, 2, 3)


def test_a_call_under_way_when_its_run_is_stopped_goes_on():
    history = [call("r1", 0), call("r1", 1, closed_us=NOW_US + 9 * SECOND), call("r1", 2), call("r1", 3)]  # fmt: skip
    found = replayed(history, **capped(steps=2))
    assert one(found.tallies).made == Sums(2, 2, 2200, 2 * DOLLAR)


def test_before_the_time_that_is_asked_about_all_was_made_but_counts():
    found = replayed(run("r1", 6), since_us=NOW_US + 4 * SECOND, **capped(steps=2))
    assert stops(found) == {"r1": (5, "caps", "step_limit")}
    tally = one(found.tallies)
    assert (tally.made.calls, tally.window.calls, tally.saved.calls) == (4, 2, 2)


def test_what_was_refused_then_is_refused_again_or_nobody_knows_how_it_would_have_gone_on():
    refused = {"outcome": "blocked", "verdict_action": "block", "usd": Decimal(0), "usage_source": "none"}  # fmt: skip
    history = [*run("r1", 2), call("r1", 2, **refused), call("r1", 3, **refused)]
    again = replayed(history, **capped(steps=2))
    assert stops(again) == {"r1": (3, "caps", "step_limit")}
    assert one(again.tallies).saved == Sums()
    more = replayed(history, **capped(steps=3))
    assert stops(more) == {}
    assert one(more.tallies).ended_refused
    allowed = replayed([*history, call("r1", 4)], **capped(steps=3))
    assert stops(allowed) == {}
    assert not one(allowed.tallies).ended_refused


def test_a_loop_is_stopped_by_the_request_that_brings_the_last_of_it():
    history = [call("r1", n, step=n + 1, call_tool=("look",), call_args_hash=(7,)) for n in range(6)]  # fmt: skip
    policies = {**capped(), "repeat": {"warn": 2, "block": 3}}
    assert stops(replayed(history, **policies)) == {"r1": (4, "repeat", "repeated_call")}  # fmt: skip
    polling = [call("r1", n, call_tool=("wait_for",), call_args_hash=(7,)) for n in range(6)]  # fmt: skip
    assert stops(replayed(polling, **policies)) == {}


def test_a_fast_spender_outside_runs_is_found():
    policies = {**capped(), "spend_rate": {"cost_usd_per_minute": 3}}
    found = replayed([call("", n) for n in range(5)], **policies)
    assert one(found.tallies, "").refused["spend_rate"].calls == 2


def test_tenants_have_accounts_of_their_own():
    history = [call("r1", 0), call("r1", 1, tenant="other")]
    assert stops(replayed(history, **capped(steps=1))) == {}


def test_accounts_that_expired_are_forgotten_meanwhile():
    history = [call(f"r{n}", n * 3600) for n in range(3000)]
    found = replayed(history, **capped(steps=5))
    assert (found.calls, len(found.tallies)) == (3000, 3000)
    assert len(found._accounts.books.owned) < 2000


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.booleans()), max_size=40), st.integers(1, 6), st.integers(1, 12))  # fmt: skip
def test_the_same_comes_out_by_plain_arithmetic(
    events: list[tuple[str, int, bool]], steps: int, usd: int
):
    """Calls one after the other: steps are counted, dollars added, and a stopped run spends nothing more."""
    counted: dict[str, int] = {}
    spent: dict[str, int] = {}
    saved: dict[str, int] = {}
    expected: dict[str, str] = {}
    history = []
    for second, (name, dollars, is_retry) in enumerate(events):
        history.append(call(name, second, usd=Decimal(dollars), attempt=int(is_retry)))
        if name not in expected:
            if not is_retry and counted.get(name, 0) == steps:
                expected[name] = "step_limit"
            elif spent.get(name, 0) >= usd:
                expected[name] = "cost_limit"
        if name in expected:
            saved[name] = saved.get(name, 0) + dollars
        else:
            counted[name] = counted.get(name, 0) + (not is_retry)
            spent[name] = spent.get(name, 0) + dollars
    found = replayed(history, **capped(steps=steps, cost_usd=usd))
    assert {name: each[2] for name, each in stops(found).items()} == expected
    for (_, name), tally in found.tallies.items():
        assert tally.made.pico == spent.get(name, 0) * DOLLAR
        assert tally.saved.pico == saved.get(name, 0) * DOLLAR
