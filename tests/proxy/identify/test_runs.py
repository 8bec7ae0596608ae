import pytest

from proxy.identify.runs import RunCounter, RunLimits, run_of
from proxy.model import Kind, RunSource

HOUR_US = 3600 * 1_000_000


@pytest.mark.parametrize(
    ("given", "kind", "expected"),
    [
        ("r", Kind.TOOL, ("r", RunSource.EXPLICIT)),
        ("", Kind.LLM, ("", RunSource.UNMATCHED)),
        ("", Kind.TOOL, ("", RunSource.NONE)),
        ("", Kind.EMBEDDING, ("", RunSource.NONE)),
    ],
)
def test_a_run_is_what_was_given_or_nothing(given, kind, expected):
    assert run_of(given, kind) == expected


def test_steps_count_from_one_in_each_run_of_each_tenant():
    counter = RunCounter(RunLimits())
    steps = [
        counter.next_step(tenant, run, 0)
        for tenant, run in (("a", "r"), ("a", "r"), ("b", "r"), ("a", "s"))
    ]
    assert steps == [1, 2, 1, 1]
    assert len(counter) == 3


def test_the_longest_idle_run_is_forgotten_beyond_the_cap():
    counter = RunCounter(RunLimits(max_runs=2))
    for run in ("a", "b", "a", "c"):
        counter.next_step("t", run, 0)
    assert counter.evicted == 1
    assert counter.next_step("t", "a", 0) == 3
    assert counter.next_step("t", "b", 0) == 1


def test_a_run_that_is_idle_for_long_begins_anew():
    counter = RunCounter(RunLimits(expire_seconds=3600))
    counter.next_step("t", "r", 0)
    assert counter.next_step("t", "r", HOUR_US - 1) == 2
    assert counter.next_step("t", "r", 3 * HOUR_US) == 1
    assert counter.evicted == 0


def test_a_successor_counts_on():
    first = RunCounter(RunLimits())
    first.next_step("t", "r", 5)
    first.next_step("t", "r", 6)
    second = RunCounter(RunLimits())
    second.restore(first.snapshot())
    second.observe("t", "r", 3, 7)
    second.observe("t", "r", 2, 4)
    assert list(second.snapshot()) == [("t", "r", 3, 7)]
    assert second.next_step("t", "r", 8) == 4


@pytest.mark.parametrize("limits", [{"max_runs": 0}, {"expire_seconds": 0}])
def test_limits_that_remember_nothing_are_refused(limits):
    with pytest.raises(ValueError, match="remembers"):
        RunLimits(**limits)
