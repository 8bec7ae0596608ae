from proxy.telemetry import ExchangeMeters, Registry, RunMeters
from tests.helpers.counted import counted


def meters(registry: Registry) -> RunMeters:
    return RunMeters(registry, ExchangeMeters(registry, frozenset(), max_names=2))


def test_a_run_that_has_ended_is_counted_by_outcome():
    registry = Registry()
    runs = meters(registry)
    runs.ended("t", "a", "ended", 4, 2_000_000_000_000, 9_000_000)
    runs.ended("t", "a", "failure", 1, 0, -5)
    assert counted(registry, "tacho_runs_total") == {
        ("t", "a", "ended"): 1,
        ("t", "a", "failure"): 1,
    }
    families = {each.name: each for each in registry.families()}
    (steps,) = families["tacho_run_steps"].samples
    (cost,) = families["tacho_run_cost_usd"].samples
    (duration,) = families["tacho_run_duration_seconds"].samples
    assert (steps.value, cost.value, duration.value) == (5, 2, 9)


def test_the_largest_runs_that_live_are_shown_until_there_are_none():
    registry = Registry()
    runs = meters(registry)
    runs.show_live([("t", "a", 4, 1), ("t", "a", 2, 3 * 10**12), ("t", "b", 1, 0)])
    # `counted` leaves zeros out.
    assert counted(registry, "tacho_live_run_steps_max") == {("t", "a"): 4, ("t", "b"): 1}  # fmt: skip
    assert counted(registry, "tacho_live_run_cost_usd_max")["t", "a"] == 3
    runs.show_live([("t", "b", 2, 0)])
    assert counted(registry, "tacho_live_run_steps_max") == {("t", "b"): 2}  # fmt: skip


def test_names_beyond_the_bound_share_one_series():
    registry = Registry()
    runs = meters(registry)
    for agent in "abcd":
        runs.ended("t", agent, "ended", 1, 0, 0)
    assert counted(registry, "tacho_runs_total")["other", "other", "ended"] == 2
