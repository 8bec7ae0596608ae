"""Who is told of what is counted."""

import pytest
from msgspec.structs import replace

from proxy.counting import Counting
from proxy.judge.budgets import Account
from proxy.judge.claims import Phase
from proxy.judge.verdict import Action, Reason, Verdict
from proxy.model import RateLimits
from proxy.record.codec import Event
from proxy.runs import RunBook
from proxy.telemetry import ExchangeMeters, Registry, RunMeters
from tests.helpers.counted import counted
from tests.helpers.spooled import make_close, make_end, make_open


class Clock:
    now_us = 5

    def __call__(self) -> int:
        return self.now_us


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def made(clock: Clock) -> tuple[Counting, Registry]:
    registry = Registry()
    meters = ExchangeMeters(registry, frozenset({"gpt-5"}))
    book = RunBook(RunMeters(registry, meters), lambda: "e")
    return Counting(meters, book, clock), registry


def test_calls_events_and_verdicts_are_counted(made):
    counting, registry = made
    opened = make_open("a1")
    counting.under_way("openai", 1)
    counting.under_way("openai", 1)
    counting.under_way("openai", -1)
    counting.applied(opened, make_close("a1"), make_end("a1"))
    counting.noted(Event("e1", 5, "cap", tenant="acme", agent="bot"))
    counting.verdict(opened, Verdict(Action.BLOCK, "caps", Reason.STEPS, "", "run", "1", "1"))  # fmt: skip
    counting.unsaid()
    assert counted(registry, "tacho_inflight") == {("openai",): 1}
    assert sum(counted(registry, "tacho_attempts_total").values()) == 1
    assert counted(registry, "tacho_events_total") == {("acme", "bot", "cap"): 1}
    assert counted(registry, "tacho_verdicts_total") == {("acme", "bot", "caps", "block"): 1}  # fmt: skip
    assert counted(registry, "tacho_dropped_total") == {("verdict_event",): 1}


def test_a_breaker_s_phase_is_shown_and_its_model_only_where_it_is_known(made):
    counting, registry = made
    counting.breaker("openai", "gpt-5", Phase.OPEN)
    counting.breaker("openai", "made-up", Phase.HALF_OPEN)
    assert counted(registry, "tacho_breaker_state") == {("openai", "gpt-5"): 1, ("openai", "other"): 2}  # fmt: skip


def test_a_fault_is_counted_and_logged_with_its_exception(made, caplog):
    counting, registry = made
    counting.fault("meter")
    assert not caplog.records
    try:
        raise RuntimeError("a fault of ours")
    except RuntimeError:
        counting.fault("meter")
    assert [each.exc_info is not None for each in caplog.records] == [True]
    assert counted(registry, "tacho_dropped_total") == {("fault_meter",): 2}


def test_what_is_left_of_limits_is_shown_until_it_is_stale(made, clock):
    counting, registry = made
    for left in (50, 25):
        limits = RateLimits(limit_requests=100, remaining_requests=left)
        closed = replace(make_close("a1"), model_served="gpt-5", ratelimits=limits)
        counting.applied(make_open("a1"), closed, make_end("a1"))
    silent = replace(make_close("a2"), model_served="gpt-5")
    counting.applied(make_open("a2"), silent, make_end("a2"))
    counting.show()
    shown = {("openai", "gpt-5", "requests"): 0.25}
    assert counted(registry, "tacho_ratelimit_remaining_ratio") == shown
    clock.now_us += 601_000_000
    counting.show()
    assert counted(registry, "tacho_ratelimit_remaining_ratio") == {}


def test_what_is_spent_of_budgets_is_shown(made):
    counting, registry = made
    counting.spent([(Account("acme", "bot", "daily", 1, 10, 99), 0.5)])
    assert counted(registry, "tacho_budget_used_ratio") == {("acme", "bot", "daily"): 0.5}  # fmt: skip
