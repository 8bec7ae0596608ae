"""The wait before a restart doubles, is capped, and forgets."""

import pytest

from proxy.supervise.backoff import Backoff


def test_it_doubles_up_to_the_cap():
    backoff = Backoff(lambda: 1.0)
    waits = [backoff.after(0.0) for _ in range(9)]
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0])


def test_half_of_it_is_random():
    assert Backoff(lambda: 0.0).after(0.0) == pytest.approx(0.05)


def test_good_service_is_rewarded():
    backoff = Backoff(lambda: 1.0)
    for _ in range(5):
        backoff.after(59.9)
    assert backoff.after(60.0) == pytest.approx(0.1)


def test_many_failures_do_not_overflow():
    backoff = Backoff(lambda: 1.0)
    assert [backoff.after(0.0) for _ in range(2000)][-1] == 10.0
