"""Names that are none are all counted, and said once a minute."""

import logging

import pytest

from proxy.bad_names import BadNames


def test_all_are_counted_and_the_log_gets_a_line_a_minute(
    caplog: pytest.LogCaptureFixture,
):
    now, counted = [5.0], [0]

    def drop(reason: str, count: int) -> None:
        assert reason == "bad_name"
        counted[0] += count

    names = BadNames(drop, lambda: now[0])
    with caplog.at_level(logging.WARNING, "tacho"):
        for at, count in ((5.0, 1), (64.9, 2), (65.0, 1)):
            now[0] = at
            names.count(count)
    assert counted == [4]
    details = [record.__dict__["detail"] for record in caplog.records]
    assert [record.getMessage() for record in caplog.records] == ["bad_names_ignored"] * 2  # fmt: skip
    assert [each["names"] for each in details] == [1, 3]
