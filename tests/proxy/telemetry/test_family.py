import msgspec
import pytest

from proxy.telemetry import Family, Sample, merge


def counter(*samples: Sample, combine="sum", label_names=("route",)) -> Family:
    return Family(
        "calls_total", "counter", "Calls.", label_names, samples, combine=combine
    )


def test_equal_label_sets_of_two_processes_are_summed_and_others_kept():
    merged = merge(
        [
            [counter(Sample(("a",), 1), Sample(("b",), 2))],
            [counter(Sample(("b",), 3), Sample(("c",), 4))],
        ]
    )
    assert merged == [counter(Sample(("a",), 1), Sample(("b",), 5), Sample(("c",), 4))]


def test_histograms_are_summed_bucket_by_bucket():
    family = Family("t", "histogram", "T.", (), (Sample((), 1.5, (1, 2)),), (1.0,))
    (merged,) = merge([[family], [family]])
    assert merged.samples == (Sample((), 3.0, (2, 4)),)


@pytest.mark.parametrize(("combine", "expected"), [("sum", 5), ("max", 3), ("min", 2)])
def test_a_family_says_how_its_values_combine(combine, expected):
    (merged,) = merge(
        [
            [counter(Sample(("a",), 2), combine=combine)],
            [counter(Sample(("a",), 3), combine=combine)],
        ]
    )
    assert merged.samples[0].value == expected


def test_a_family_of_another_shape_is_left_out():
    first = counter(Sample(("a",), 1))
    assert merge([[first], [counter(Sample((), 9), label_names=())]]) == [first]


def test_families_travel_as_messagepack():
    family = counter(Sample(("a",), 1))
    packed = msgspec.msgpack.encode([family])
    assert msgspec.msgpack.decode(packed, type=list[Family]) == [family]
