"""What a report asks, and how it reads the answers."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from proxy.cli.questions import NoAnswerError
from proxy.cli.report_rows import report
from proxy.cli.store import Store
from tests.helpers.fake_store import FakeStore, fake_store
from tests.helpers.report_rows import would_row

WOULD = (
    '{"tenant":"acme","policy":"%s","agent":"booker","runs":"2","calls":"14","began":"2026-11-22 17:10:21.000000","first_run":"R1",'
    '"first_step":21,"steps":"31","usd":4.25,"estimated_rows":"0","unpriced_attempts":"0"}\n'
)
BREAKER = (
    '{"route":"openai","model":"m","upstream":"https://o","openings":"1","seconds":3.5,"longest_seconds":3.5,"is_open":%s,'
    '"began":"2026-11-22 17:10:21.000000","ended":"2026-11-22 17:10:24.500000"}\n'
)


def store_of(server: FakeStore) -> Store:
    return Store(server.url, "default", "", "tacho")


def test_everything_is_asked_for_the_same_time_and_agent():
    with fake_store() as server:
        server.answer = (200, b"")
        server.answers = {
            "AS calls FROM": (200, b'{"calls":"7"}\n'),
            "-- What would the policies": (200, (WOULD % "caps" + WOULD % "").encode()),
            "-- Which health breakers": (200, (BREAKER % 0 + BREAKER % 1).encode()),
        }
        found = report(store_of(server), 3600, "booker")
        assert len(server.asked) == 6
        assert all("param_since_seconds=3600" in asked.path for asked in server.asked)
        of_agents = [asked for asked in server.asked if "param_agent=booker" in asked.path]  # fmt: skip
        assert len(of_agents) == 5
    assert (found.calls, found.agent, found.since_seconds) == (7, "booker", 3600)
    (would,) = found.would_have_stopped
    assert (would.policy, would.calls, would.usd) == ("caps", 14, Decimal("4.25"))
    assert found.together is not None
    assert [each.is_open for each in found.breakers] == [False, True]
    assert found.breakers[0].ended == datetime(2026, 11, 22, 17, 10, 24, 500_000, tzinfo=UTC)  # fmt: skip
    assert (len(found.refused), len(found.warnings), len(found.gates)) == (0, 0, 0)


def test_where_nothing_would_have_been_stopped_there_is_no_sum():
    with fake_store() as server:
        server.answers = {"AS calls FROM": (200, b'{"calls":0}\n')}
        server.answer = (200, b"")
        assert report(store_of(server), 3600, "").together is None


def test_a_store_that_refuses_gives_no_report():
    with fake_store() as server:
        server.answer = (500, b"Code: 60. DB::Exception: no such table")
        with pytest.raises(NoAnswerError):
            report(store_of(server), 3600, "")


def test_dollars_say_how_sure_they_are():
    assert would_row().mark == ""
    assert would_row(estimated_rows=1).mark == "~"
    assert would_row(estimated_rows=1, unpriced_attempts=1).mark == "≥"
