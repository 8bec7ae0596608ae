"""Clients lower limits; they never lift them."""

from exporters.clickhouse.limits import Limits, lower

LIMITS = Limits(
    query_seconds=60, result_bytes=100, memory_bytes=1000, query_size_bytes=10
)


def test_a_client_lowers_limits_and_never_lifts_them() -> None:
    wanted = {
        "max_execution_time": "2.5",
        "max_result_bytes": "0",
        "max_memory_usage": "9999",
        "final": "1",
    }
    assert LIMITS.apply(wanted) == {
        "result_overflow_mode": "throw",
        "final": "1",
        "max_execution_time": "2.5",
        "max_result_bytes": "100",
        "max_memory_usage": "1000",
        "max_query_size": "10",
    }


def test_a_lift_is_named() -> None:
    assert LIMITS.lifted({"final": "1", "max_execution_time": "59"}) == ""
    assert LIMITS.lifted({"max_execution_time": "0"}) == "max_execution_time"
    assert LIMITS.lifted({"max_memory_usage": "1001"}) == "max_memory_usage"


def test_limits_are_written_without_losing_digits() -> None:
    assert lower("", 2 << 30) == "2147483648"
    assert lower("nonsense", 60.0) == lower("-1", 60.0) == lower("nan", 60.0) == "60"
