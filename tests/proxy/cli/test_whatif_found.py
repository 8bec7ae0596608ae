"""What a replay found, as values: which runs are asked about, sums, and how runs went."""

from decimal import Decimal
from typing import Any

from proxy.cli.whatif_found import Found, Outcomes, Saving, found_of, meant
from tests.helpers.judging import NOW_US
from tests.helpers.replayed import SECOND, call, replayed

POLICIES: dict[str, Any] = {
    **{name: {"mode": "off"} for name in ("backstop", "spend_rate", "repeat", "cycle")},
    "caps": {"steps": 2},
    "budgets": [{"name": "own", "per": "caller", "period": "month", "steps": 9}],
}
HISTORY = [
    *(call("r1", n, agent="writer") for n in range(5)),
    *(call("r2", n, agent="reader") for n in (0, 1)),
    *(call("k1", n, agent="reader", root_run_id="r1", parent_run_id="r1") for n in (6, 7)),
    *(call("", n) for n in (8, 9, 10, 11, 12, 13)),
]  # fmt: skip
HISTORY.sort(key=lambda each: each.row.began_us)
OUTCOMES: Outcomes = {("acme", "r1"): ("success", True), ("acme", "r2"): ("success", True), ("other", "r2"): ("success", True), ("acme", "k1"): ("ended", False)}  # fmt: skip


def found(agent: str = "", run: str = "", outcomes: Outcomes = OUTCOMES) -> Found:
    is_meant = meant(agent, run)
    tallies = replayed(HISTORY, **POLICIES).tallies.values()
    return found_of(filter(is_meant, tallies), NOW_US, outcomes, ["breaker"])


def test_sums_are_of_all_calls_and_those_that_would_not_have_been_made():
    said = found()
    assert said.runs == 3
    assert said.calls == Saving(15, 15, 16_500, Decimal(15))
    # Of r1 three calls, both of k1, and one of those in no run: four steps and five are the budget's nine.
    assert said.saved == Saving(6, 6, 6600, Decimal(6))
    assert [(each.policy, each.runs, each.stray_calls, each.saved.usd) for each in said.by_policy] == [("caps", 2, 0, Decimal(5)), ("budgets:own", 0, 1, Decimal(1))]  # fmt: skip
    assert (said.successes, said.successes_stopped) == (2, 1)
    assert (said.longest_steps, said.dearest_usd) == (5, Decimal(5))
    assert said.not_replayed == ("breaker",)
    assert (said.waits, said.refused_before) == (0, 0)


def test_each_stopped_run_says_where_and_why_what_saves_most_first():
    first, second = found().stopped
    assert (first.run, first.agent, first.outcome, first.is_reported) == ("r1", "writer", "success", True)  # fmt: skip
    assert (first.step, first.policy, first.reason, first.scope) == (3, "caps", "step_limit", "run")  # fmt: skip
    assert (first.value, first.threshold, first.with_parent) == ("2", "2", "")
    assert (first.spent.usd, first.saved.usd) == (Decimal(2), Decimal(3))
    assert round(first.at.timestamp() * SECOND) == NOW_US + 2 * SECOND
    assert (second.run, second.with_parent, second.spent.calls, second.is_reported) == ("k1", "r1", 0, False)  # fmt: skip


def test_runs_are_chosen_by_agent_and_by_the_beginning_of_their_id():
    of_reader = found(agent="reader")
    assert [each.run for each in of_reader.stopped] == ["k1"]
    assert (of_reader.runs, of_reader.calls.calls) == (2, 4)
    of_run = found(run="r")
    assert (of_run.runs, [each.run for each in of_run.stopped]) == (2, ["r1"])
    assert found(agent="writer", run="r2").runs == 0


def test_a_run_of_which_nobody_knows_how_it_went_is_no_success():
    said = found(outcomes={})
    assert (said.successes, said.stopped[0].outcome, said.unknown) == (0, "", 3)
    assert found().unknown == 0


def test_runs_without_a_call_in_that_time_are_not_asked_about():
    tallies = replayed(HISTORY, since_us=NOW_US + 5 * SECOND, **POLICIES).tallies
    is_meant = meant("", "")
    assert [run for (_, run), each in tallies.items() if is_meant(each)] == ["k1", ""]


def test_nothing_is_nothing():
    said = found_of([], NOW_US, {}, [])
    assert (said.runs, said.calls.usd, said.stopped, said.longest_steps) == (0, Decimal(0), (), 0)  # fmt: skip
