from proxy.telemetry import ExportMeters, Registry


def test_the_oldest_unexported_row_is_that_of_the_slowest_destination():
    registry = Registry()
    meters = ExportMeters(registry)
    meters.set_lag("clickhouse", 2_000_000)
    meters.set_lag("jsonl", 500_000)
    lag, oldest = registry.families()
    assert {sample.labels: sample.value for sample in lag.samples} == {
        ("clickhouse",): 2.0,
        ("jsonl",): 0.5,
    }
    assert oldest.samples[0].value == 2.0


def test_nothing_waits_before_a_destination_says_so():
    registry = Registry()
    ExportMeters(registry)
    assert registry.families()[1].samples[0].value == 0
