import msgspec

from exporters.prometheus import Meters
from proxy.telemetry import Family


def values(meters: Meters) -> dict[tuple[str, ...], float]:
    families = msgspec.msgpack.decode(meters.encoded(), type=list[Family])
    return {
        (family.name, *each.labels): each.value
        for family in families
        for each in family.samples
    }


def test_lag_is_the_age_of_the_oldest_row_that_is_missing():
    meters = Meters()
    meters.set_lag("clickhouse", 1_000_000, 3_500_000)
    meters.set_lag("jsonl", 0, 3_500_000)
    found = values(meters)
    assert found[("tacho_export_lag_seconds", "clickhouse")] == 2.5
    assert found[("tacho_export_lag_seconds", "jsonl")] == 0
    assert found[("tacho_oldest_unexported_seconds",)] == 2.5


def test_lag_is_never_negative_when_the_clock_goes_backwards():
    meters = Meters()
    meters.set_lag("jsonl", 5, 1)
    assert values(meters)[("tacho_export_lag_seconds", "jsonl")] == 0


def test_dropped_totals_only_grow():
    meters = Meters()
    meters.set_dropped({"dead_letter": 3, "spool_torn": 0})
    meters.set_dropped({"dead_letter": 2})
    meters.set_dropped({"dead_letter": 4})
    found = values(meters)
    assert found[("tacho_dropped_total", "dead_letter")] == 4
    assert ("tacho_dropped_total", "spool_torn") not in found
