"""Which policies a replay asks: all observe, what rows cannot tell is off, and from when on calls must be known."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from proxy.judge.settings import PolicySettings
from proxy.replay.policies import asked, begin_us, left_out


def settings(**policies: Any) -> PolicySettings:
    return msgspec.convert(policies, PolicySettings)


SOME = settings(
    caps={"mode": "enforce", "steps": 5, "when": [{"agent": "a", "mode": "observe"}, {"agent": "b", "mode": "off"}, {"agent": "c", "steps": 1}]},
    backstop={"mode": "off", "when": [{"agent": "a", "mode": "enforce"}]},
    budgets=[{"name": "one", "per": "tenant", "period": "day", "mode": "enforce", "steps": 1}, {"name": "two", "per": "tenant", "period": "hour", "steps": 1}],
    spend_rate={"when": [{"agent": "a", "same_requests": 3}]},
    strict=True,
)  # fmt: skip


def modes(section: Any) -> list[object]:
    return [section.mode, *(each.mode for each in section.when)]


def test_all_that_is_on_observes_and_says_what_it_finds():
    found = asked(SOME, "all")
    assert modes(found.caps) == ["observe", "observe", "off", msgspec.UNSET]
    assert modes(found.backstop) == ["off", "observe"]
    assert [each.mode for each in found.budgets] == ["observe", "observe"]
    assert found.repeat.mode == found.cycle.mode == "observe"
    assert (found.caps.steps, found.strict) == (5, False)


def test_those_that_enforce_may_be_asked_alone():
    found = asked(SOME, "enforced")
    assert modes(found.caps) == ["observe", "off", "off", msgspec.UNSET]
    assert modes(found.backstop) == ["off", "observe"]
    assert [each.mode for each in found.budgets] == ["observe", "off"]
    assert found.repeat.mode == "off"


def test_what_rows_do_not_tell_is_off_and_named():
    found = asked(SOME, "all")
    assert found.same_error.mode == found.no_progress.mode == "off"
    assert found.spend_rate.same_requests is None
    assert found.spend_rate.when[0].same_requests is None
    assert found.spend_rate.cost_usd_per_minute == 20
    assert left_out(SOME) == [
        "same_error", "no_progress", "breaker", "rate_gate", "quota_gate", "tool_calls", "spend_rate.same_requests", "strict",
    ]  # fmt: skip


def test_what_is_off_is_not_missed():
    off: Any = {"mode": "off"}
    names = (
        "same_error",
        "no_progress",
        "breaker",
        "rate_gate",
        "quota_gate",
        "tool_calls",
    )
    assert left_out(settings(**dict.fromkeys(names, off), spend_rate={"same_requests": None})) == []  # fmt: skip
    assert left_out(settings(**dict.fromkeys(names, off), spend_rate=off)) == []
    again = {"mode": "off", "when": [{"agent": "a", "mode": "observe"}]}
    assert left_out(settings(**{**dict.fromkeys(names, off), "breaker": again}, spend_rate=off)) == ["breaker"]  # fmt: skip


def us(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 1_000_000  # type: ignore[arg-type,misc]  # a date and a time


@pytest.mark.parametrize(
    ("periods", "expected"),
    [
        ([], us(2026, 3, 17, 14)),
        (["hour"], us(2026, 3, 17, 14)),
        (["hour", "day"], us(2026, 3, 17)),
        (["month", "day"], us(2026, 3, 1)),
    ],
    ids=str,
)
def test_the_longest_period_that_had_begun_must_be_known(
    periods: list[str], expected: int
):
    budgets = [{"name": each, "per": "tenant", "period": each, "steps": 1} for each in periods]  # fmt: skip
    off = {"name": "off", "per": "tenant", "period": "month", "mode": "off", "steps": 1}
    assert begin_us(settings(budgets=[*budgets, off]), us(2026, 3, 17, 14, 33)) == expected  # fmt: skip
    assert begin_us(settings(budgets=budgets), expected) == expected
