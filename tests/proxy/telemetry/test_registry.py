import msgspec
import pytest

from proxy.errors import RecordError
from proxy.telemetry.family import Sample
from proxy.telemetry.registry import Registry, Spec

CALLS = Spec("calls_total", "Calls.", ("who", "outcome"), frozenset({"who"}))
MONEY = Spec("money_total", "Money.", divisor=10**12)
TIMES = Spec(
    "times_seconds", "Times.", ("who",), frozenset({"who"}), 1_000_000, (0.1, 1.0)
)


def samples(registry: Registry, name: str) -> dict[tuple[str, ...], Sample]:
    family = next(family for family in registry.families() if family.name == name)
    return {sample.labels: sample for sample in family.samples}


def test_counter_adds_by_label_set():
    registry = Registry()
    counter = registry.counter(CALLS)
    counter.add(("a", "ok"))
    counter.add(("a", "ok"), 2)
    counter.add(("b", "ok"))
    assert samples(registry, "calls_total")[("a", "ok")].value == 3
    assert samples(registry, "calls_total")[("b", "ok")].value == 1


def test_small_amounts_of_money_are_not_lost_beside_large_ones():
    registry = Registry()
    counter = registry.counter(MONEY)
    counter.add((), 10**18)
    for _ in range(10**3):
        counter.add((), 1)
    counter.add((), 10**9 - 10**3)
    assert samples(registry, "money_total")[()].value == 1_000_000.001


def test_counter_refuses_to_shrink():
    with pytest.raises(ValueError, match="only grows"):
        Registry().counter(MONEY).add((), -1)


def test_wrong_number_of_labels_is_refused():
    with pytest.raises(ValueError, match="has the labels"):
        Registry().counter(CALLS).add(("a",))


def test_a_family_cannot_be_declared_twice():
    registry = Registry()
    registry.counter(MONEY)
    with pytest.raises(ValueError, match="declared twice"):
        registry.gauge(MONEY)


def test_gauge_is_what_it_was_last_told():
    registry = Registry()
    gauge = registry.gauge(MONEY)
    gauge.set((), 5 * 10**12)
    gauge.add((), -2 * 10**12)
    assert samples(registry, "money_total")[()].value == 3.0


def test_histogram_buckets_are_cumulative_and_include_their_bound():
    registry = Registry()
    histogram = registry.histogram(TIMES)
    for micros in (50_000, 100_000, 100_001, 2_000_000):
        histogram.observe(("a",), micros)
    sample = samples(registry, "times_seconds")[("a",)]
    assert sample.buckets == (2, 3, 4)
    assert sample.value == pytest.approx(2.250001)


def test_series_beyond_the_cap_become_other_in_open_labels_only():
    registry = Registry(max_series=101)
    counter = registry.counter(CALLS)
    for number in range(100):
        counter.add((f"user-{number}", "ok"))
        counter.add((f"user-{number}", "failed"))
    found = samples(registry, "calls_total")
    assert len(found) == registry.series == 92
    assert sum(sample.value for sample in found.values()) == 200
    assert {("other", "ok"), ("other", "failed")} <= set(found)
    assert registry.overflowed == 200 - 90


def test_when_the_reserve_is_used_up_everything_becomes_other():
    registry = Registry(max_series=10)
    counter = registry.counter(CALLS)
    for number in range(50):
        counter.add(("a", f"outcome-{number}"))
    found = samples(registry, "calls_total")
    assert len(found) == 10
    assert found[("other", "other")].value > 30


def test_a_histogram_costs_its_buckets():
    registry = Registry(max_series=100)
    histogram = registry.histogram(TIMES)
    for number in range(100):
        histogram.observe((f"user-{number}",), 1)
    assert registry.series <= 100
    assert registry.series == 5 * len(samples(registry, "times_seconds"))


def filled() -> Registry:
    registry = Registry()
    registry.counter(CALLS).add(("a", "ok"), 3)
    registry.histogram(TIMES).observe(("a",), 500_000)
    registry.gauge(MONEY).set((), 7)
    return registry


def test_counts_survive_a_restart_and_gauges_do_not():
    registry = Registry()
    counter = registry.counter(CALLS)
    registry.histogram(TIMES)
    registry.gauge(MONEY)
    counter.add(("a", "ok"))
    registry.restore(filled().snapshot())
    assert samples(registry, "calls_total")[("a", "ok")].value == 4
    assert samples(registry, "times_seconds")[("a",)].buckets == (0, 1, 1)
    assert samples(registry, "money_total") == {}


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(Spec("other_total", "", ("who", "outcome")), id="gone"),
        pytest.param(Spec("calls_total", "", ("who",)), id="other labels"),
        pytest.param(
            Spec("calls_total", "", ("who", "outcome"), bounds=(1.0,)),
            id="other bounds",
        ),
    ],
)
def test_a_family_that_has_changed_is_not_restored(spec):
    registry = Registry()
    if spec.bounds:
        registry.histogram(spec)
    else:
        registry.counter(spec)
    registry.restore(filled().snapshot())
    assert all(not family.samples for family in registry.families())


def test_a_family_that_became_a_gauge_is_not_restored():
    registry = Registry()
    registry.gauge(CALLS)
    registry.restore(filled().snapshot())
    assert samples(registry, "calls_total") == {}


@pytest.mark.parametrize(
    "series", [[[["a"], [1]]], [[["a", "b"], [-1]]], [[["a", "b"], [1, 2]]]]
)
def test_broken_series_are_not_restored(series):
    registry = Registry()
    registry.counter(CALLS)
    saved = {
        "name": "calls_total",
        "label_names": ["who", "outcome"],
        "bounds": [],
        "series": series,
    }
    registry.restore(msgspec.msgpack.encode([saved]))
    assert samples(registry, "calls_total") == {}


@pytest.mark.parametrize("snapshot", [b"", b"nonsense", msgspec.msgpack.encode([1])])
def test_bytes_that_are_no_snapshot_are_refused(snapshot):
    with pytest.raises(RecordError, match="counters"):
        Registry().restore(snapshot)


def test_a_sum_beyond_64_bits_does_not_keep_the_rest_out_of_a_snapshot():
    registry, successor = Registry(), Registry()
    registry.counter(MONEY).add((), 2**70)
    registry.counter(CALLS).add(("a", "ok"))
    successor.counter(CALLS)
    successor.restore(registry.snapshot())
    assert samples(successor, "calls_total")[("a", "ok")].value == 1


def test_a_gauge_that_shows_all_leaves_the_room_of_what_is_gone():
    registry = Registry()
    gauge = registry.gauge(Spec("g", "", ("a",), frozenset({"a"}), combine="max"))
    gauge.show([(("x",), 1), (("y",), 2), (("x",), 3), (("x",), 2)])
    assert registry.series == 2
    assert _values(registry, "g") == {("x",): 3, ("y",): 2}
    gauge.show([(("z",), 4)])
    assert registry.series == 1
    assert _values(registry, "g") == {("z",): 4}


def test_of_what_a_full_gauge_shows_together_the_least_counts_where_the_least_is_meant():
    registry = Registry(max_series=12)
    gauge = registry.gauge(Spec("g", "", ("a",), frozenset({"a"}), combine="min"))
    for _ in range(2):  # what is gone leaves its room
        gauge.show(((f"{n:02}",), 100 - n) for n in range(30))
        shown = _values(registry, "g")
        assert shown[("other",)] == 71
        assert len(shown) == registry.series < 12


def _values(registry, name):
    (family,) = (each for each in registry.families() if each.name == name)
    return {sample.labels: sample.value for sample in family.samples}
