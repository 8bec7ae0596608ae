"""Which verdicts become events, and how often."""

import pytest
from msgspec.structs import replace

from proxy.govern.announcing import (
    A_MINUTE,
    Announcer,
    event_of,
    event_of_breaker,
    every,
    phase_name,
    type_of,
)
from proxy.judge.claims import Phase, Turned
from proxy.judge.verdict import Action, Reason, Verdict
from tests.helpers.spooled import make_open

OPENED = make_open("a1", model_requested="m")
BLOCK = Verdict(Action.BLOCK, "caps", Reason.STEPS, "story", "run", "20", "20")
WARN = replace(BLOCK, action=Action.WARN)
MINUTE_US = 60_000_000


@pytest.mark.parametrize(
    ("policy", "kind"),
    [("caps", "cap"), ("backstop", "cap"), ("budgets:team", "budget"), ("repeat", "loop"), ("spend_rate", "loop"),
     ("breaker", "breaker"), ("rate_gate", "gate"), ("quota_gate", "gate"), ("unpriced", "price"), ("policies", "cap")],
)  # fmt: skip
def test_each_policy_has_a_type_of_events(policy, kind):
    assert type_of(policy) == kind


def test_a_warning_is_told_once_a_run_and_threshold():
    announcer = Announcer()
    told = [announcer.is_due(WARN, OPENED, n * MINUTE_US) for n in range(3)]
    assert told == [True, None, None]
    assert announcer.is_due(replace(WARN, threshold="30"), OPENED, 0)
    assert announcer.is_due(WARN, make_open("a2", run_id="other"), 0)
    assert announcer.is_due(WARN, make_open("a2", run_id="", caller="c"), 0)


def test_refusals_are_told_each_time_up_to_so_many_a_minute():
    announcer = Announcer()
    told = [announcer.is_due(BLOCK, OPENED, 5) for _ in range(A_MINUTE + 2)]
    assert told == [True] * A_MINUTE + [False] * 2
    assert announcer.is_due(BLOCK, OPENED, MINUTE_US + 5)


def test_what_has_been_told_is_remembered_within_bounds():
    announcer = Announcer(capacity=2)
    runs = [make_open(name, run_id=name) for name in "abc"]
    assert [announcer.is_due(WARN, each, 0) for each in (*runs, runs[0])] == [True] * 4


def test_an_event_has_the_whole_verdict():
    event = event_of(BLOCK, OPENED, "e1")
    assert (event.type, event.policy, event.action, event.reason, event.source) == ("cap", "caps", "block", "step_limit", "run")  # fmt: skip
    assert (event.value, event.threshold, event.detail) == ("20", "20", "story")
    assert (event.tenant, event.run_id, event.route, event.model) == ("acme", "run-1", "openai", "m")  # fmt: skip
    assert list(every(replace(BLOCK, others=(WARN,)))) == [replace(BLOCK, others=(WARN,)), WARN]  # fmt: skip


def test_a_breaker_s_event_says_whose_it_is():
    event = event_of_breaker(Turned(7, Phase.CLOSED, Phase.OPEN, 9), "openai", "m", "https://o", "e1", 5)  # fmt: skip
    assert (event.type, event.action, event.reason, event.detail) == ("breaker", "open", "was_closed", "https://o")  # fmt: skip
    assert phase_name(Phase.HALF_OPEN) == "half_open"
