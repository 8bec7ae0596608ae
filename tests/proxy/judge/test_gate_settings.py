"""Settings of the gates that make no sense stop the start, and say why."""

import math

import msgspec
import pytest

from proxy.errors import SettingsError
from proxy.judge.claims import BreakerRule
from proxy.judge.gate_settings import (
    BreakerSettings,
    GateSettings,
    QuotaGateSettings,
    RateGateSettings,
    check_gates,
    rule_of,
)


def test_the_defaults_hold_and_are_those_of_the_rule():
    check_gates("policies", GateSettings())
    assert rule_of(BreakerSettings()) == BreakerRule()


def test_the_rule_counts_in_whole_numbers():
    settings = BreakerSettings(
        consecutive_failures=0,
        failure_percent=20,
        min_calls=3,
        window_seconds=0.5,
        open_seconds=1.5,
        max_open_seconds=2.0,
        jitter_percent=0,
        max_probes=1,
        probe_seconds=9.0,
    )
    check_gates("policies", GateSettings(settings))
    rule = BreakerRule(0, 20, 3, 500_000, 1_500_000, 2_000_000, 0, 1, 9_000_000)
    assert rule_of(settings) == rule


@pytest.mark.parametrize(
    ("settings", "key", "remedy"),
    [
        (BreakerSettings(consecutive_failures=-1), "breaker.consecutive_failures", "from 0 to"),
        (BreakerSettings(consecutive_failures=0, failure_percent=0), "breaker.consecutive_failures", "mode: off"),
        (BreakerSettings(failure_percent=101), "breaker.failure_percent", "from 0 to 100"),
        (BreakerSettings(min_calls=0), "breaker.min_calls", "from 1 to"),
        (BreakerSettings(window_seconds=0), "breaker.window_seconds", "a positive number"),
        (BreakerSettings(open_seconds=-2), "breaker.open_seconds", "a positive number"),
        (BreakerSettings(open_seconds=121), "breaker.open_seconds", "at most max_open_seconds (120)"),
        (BreakerSettings(max_open_seconds=math.inf), "breaker.max_open_seconds", "a positive number"),
        (BreakerSettings(jitter_percent=91), "breaker.jitter_percent", "from 0 to 90"),
        (BreakerSettings(max_probes=0), "breaker.max_probes", "from 1 to"),
        (BreakerSettings(probe_seconds=math.nan), "breaker.probe_seconds", "a positive number"),
        (RateGateSettings(default_seconds=-0.1), "rate_gate.default_seconds", "0 or a positive number"),
        (RateGateSettings(default_seconds=301), "rate_gate.default_seconds", "at most max_seconds (300)"),
        (RateGateSettings(max_seconds=0), "rate_gate.max_seconds", "a positive number"),
        (RateGateSettings(max_seconds=1e9), "rate_gate.max_seconds", "at most 86400"),
        (QuotaGateSettings(shut_seconds=0), "quota_gate.shut_seconds", "a positive number"),
        (QuotaGateSettings(shut_seconds=7200), "quota_gate.shut_seconds", "at most max_seconds (3600)"),
        (QuotaGateSettings(max_seconds=math.nan), "quota_gate.max_seconds", "a positive number"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_named_with_its_value_and_what_would_be_right(
    settings, key, remedy
):
    section = key.partition(".")[0]
    with pytest.raises(SettingsError) as raised:
        check_gates("policies", GateSettings(**{section: settings}))
    said = str(raised.value)
    value = getattr(settings, key.partition(".")[2])
    assert said.startswith(f"policies.{key}: is {value!r}; it must be ")
    assert remedy in said


def test_a_rate_gate_may_wait_only_where_the_provider_says_so():
    check_gates("policies", GateSettings(rate_gate=RateGateSettings(default_seconds=0)))


@pytest.mark.parametrize(
    "section", [{"brekaer": {}}, {"breaker": {"mode": "on"}}, {"rate_gate": {"max": 3}}]
)
def test_unknown_names_are_refused(section):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(section, GateSettings)
