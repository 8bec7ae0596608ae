"""What runs come to, and the event that each leaves."""

import json
from functools import partial
from itertools import count

import pytest
from msgspec.structs import replace

from proxy.identify.facts import Run
from proxy.model import Cost, Outcome, Usage
from proxy.record.codec import Close, Event, Open
from proxy.runs import RunBook
from proxy.telemetry import ExchangeMeters, Registry, RunMeters
from tests.helpers.counted import counted
from tests.helpers.spooled import make_close, make_end, make_open

SECOND = 1_000_000
RUN = Run(
    "acme", "r1", "r0", "r0", "s1", "bot", "new", 1, 2, 5 * SECOND, 9 * SECOND
)  # fmt: skip


class Bench:
    def __init__(self) -> None:
        self.registry = Registry()
        names = ExchangeMeters(self.registry, frozenset())
        ids = count(1)
        self.book = RunBook(RunMeters(self.registry, names), lambda: f"e{next(ids)}")

    def call(self, attempt: int = 0, outcome: Outcome = Outcome.COMPLETED, **close: object) -> None:  # fmt: skip
        opened: Open = make_open("a1", run_id="r1", attempt=attempt)
        closed: Close = make_close("a1", **close)
        self.book.apply(opened, closed, make_end("a1", outcome=outcome))

    def over(self, run: Run = RUN) -> Event:
        self.book.ended(run)
        (event,) = self.book.events(77)
        return event


def test_a_run_that_ends_leaves_one_event_with_its_totals():
    bench = Bench()
    bench.call(usage=Usage(input=5, output=2), cost=Cost(input=1_500_000_000_000))
    bench.call(attempt=1, usage=Usage(input=5), cost=Cost(input=1))
    event = bench.over()
    assert (event.type, event.tenant, event.agent, event.run_id) == ("run_end", "acme", "bot", "r1")  # fmt: skip
    assert (event.reason, event.source, event.ts_us) == ("ended", "new", 77)
    assert event.value == "1.500000000001"
    assert json.loads(event.detail) == {
        "outcome": "ended", "outcome_source": "inferred", "steps": 2, "attempts": 2, "retries": 1,
        "cost_pico_usd": 1_500_000_000_001, "tokens": 12, "started_us": 5 * SECOND, "duration_us": 4 * SECOND,
        "root_run_id": "r0", "parent_run_id": "r0", "session_id": "s1",
    }  # fmt: skip
    assert bench.book.events(78) == []
    assert counted(bench.registry, "tacho_runs_total") == {("acme", "bot", "ended"): 1}


@pytest.mark.parametrize(
    ("outcome", "verdict", "inferred"),
    [
        (Outcome.COMPLETED, "", "ended"),
        (Outcome.COMPLETED, "warn", "ended"),
        (Outcome.CLIENT_ABORT, "", "abandoned"),
        (Outcome.BLOCKED, "block", "capped"),
        (Outcome.BLOCKED, "", "failure"),
        (Outcome.UPSTREAM_ERROR, "", "failure"),
        (Outcome.REJECTED, "", "failure"),
        (Outcome.PROXY_CRASHED, "", "failure"),
    ],
)
def test_an_outcome_is_inferred_from_the_last_call_and_never_a_success(
    outcome, verdict, inferred
):
    bench = Bench()
    bench.call(outcome=Outcome.UPSTREAM_ERROR)
    bench.call(outcome=outcome, verdict_action=verdict)
    assert bench.over().reason == inferred


def test_a_call_without_close_costs_nothing_and_one_without_run_adds_to_none():
    bench = Bench()
    bench.book.apply(make_open("a", run_id=""), None, make_end("a"))
    assert bench.book.snapshot() == ()
    end = make_end("a", outcome=Outcome.PROXY_CRASHED)
    bench.book.apply(make_open("a", run_id="r1"), None, end)
    ((_, _, totals),) = bench.book.snapshot()
    assert (totals.attempts, totals.cost, totals.inferred) == (1, 0, "failure")


def test_totals_go_on_where_a_predecessor_stopped():
    first, second = Bench(), Bench()
    first.call(usage=Usage(input=1))
    second.book.restore(first.book.snapshot())
    second.call(usage=Usage(input=2))
    assert json.loads(second.over().detail)["tokens"] == 3


def test_a_run_that_ended_in_another_life_is_counted_and_does_not_end_again():
    first, second = Bench(), Bench()
    first.call()
    event = first.over()
    second.book.restore(first.book.snapshot())
    second.book.ended(RUN)
    second.book.heard(event)
    assert second.book.events(1) == []
    assert counted(second.registry, "tacho_runs_total") == {("acme", "bot", "ended"): 1}


def test_what_is_reported_of_a_run_counts_and_the_newest_most():
    bench = Bench()
    for outcome in ("failure", "success"):
        bench.book.noted(Event("e", 1, "outcome", "acme", run_id="r1", reason=outcome))
        bench.call(outcome=Outcome.TIMEOUT)
    bench.book.noted(Event("e", 1, "outcome", "acme", reason="capped"))
    event = bench.over()
    assert event.reason == "success"
    assert json.loads(event.detail)["outcome_source"] == "reported"
    assert counted(bench.registry, "tacho_runs_total") == {("acme", "bot", "success"): 1}  # fmt: skip


def test_an_event_of_another_version_changes_nothing():
    bench = Bench()
    bench.book.heard(Event("e", 1, "run_end", detail="{}"))
    assert counted(bench.registry, "tacho_runs_total") == {}


def test_the_largest_live_runs_are_shown_and_calls_that_outlived_theirs_counted():
    bench = Bench()
    bench.call(cost=Cost(input=10**12))
    bench.book.show([RUN])
    assert counted(bench.registry, "tacho_live_run_cost_usd_max") == {("acme", "bot"): 1}  # fmt: skip
    assert len(bench.book.snapshot()) == 1
    bench.book.noted(Event("e", 1, "outcome", "acme", run_id="r9", reason="success"))
    bench.book.show([Run("acme", "r2", "r2")])
    assert bench.book.snapshot() == ()
    assert counted(bench.registry, "tacho_dropped_total") == {("after_run_end",): 1}


def test_what_is_no_work_is_neither_an_attempt_nor_late():
    bench = Bench()
    models: Open = make_open("m", run_id="r1", is_step=False)
    bench.book.apply(models, None, make_end("m", outcome=Outcome.REJECTED))
    bench.book.show([])
    assert counted(bench.registry, "tacho_dropped_total") == {}
    bench.call()
    bench.book.apply(models, make_close("m"), make_end("m", outcome=Outcome.REJECTED))
    event = bench.over()
    assert (event.reason, json.loads(event.detail)["attempts"]) == ("ended", 1)


def test_a_refused_call_is_no_attempt_nor_late_and_says_how_its_run_went():
    bench = Bench()
    refuse = partial(bench.call, outcome=Outcome.BLOCKED, verdict_action="block")
    refuse()  # it named a run, which it did not begin
    bench.book.show([])
    assert bench.book.snapshot() == ()
    assert counted(bench.registry, "tacho_dropped_total") == {}
    bench.call()
    refuse(attempt=1)
    event = bench.over()
    detail = json.loads(event.detail)
    assert (event.reason, detail["attempts"], detail["retries"]) == ("capped", 1, 0)


def test_a_run_that_came_back_does_not_end_again_and_its_calls_are_counted():
    bench = Bench()
    bench.over()
    bench.call()
    for _ in range(2):
        bench.book.ended(replace(RUN, has_ended=True))
    assert bench.book.events(1) == []
    assert counted(bench.registry, "tacho_dropped_total") == {("after_run_end",): 1}


def test_the_end_of_a_run_waits_for_its_calls_and_for_what_is_reported_meanwhile():
    bench = Bench()
    bench.book.ended(RUN)
    busy = {("acme", "r1")}
    assert bench.book.events(1, busy) == []
    bench.call()
    bench.book.noted(Event("e", 1, "outcome", "acme", run_id="r1", reason="success"))
    bench.book.ended(replace(RUN, has_ended=True))
    heir = Bench()
    heir.book.restore(bench.book.snapshot(), bench.book.over())
    heir.call()
    (event,) = heir.book.events(2)
    assert (event.reason, json.loads(event.detail)["attempts"]) == ("success", 2)


def test_a_run_that_ended_before_it_began_took_no_time_and_is_counted():
    bench = Bench()
    event = bench.over(replace(RUN, began_us=10 * SECOND))
    assert json.loads(event.detail)["duration_us"] == 0
    assert counted(bench.registry, "tacho_dropped_total") == {("clock_skew",): 1}
