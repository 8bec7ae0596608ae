"""Settings of the health breaker, the rate gate and the quota gate, and whether they make sense.

What lives here: the structs with their defaults, and checks that name the key, the value and what would be right. What does not: reading the
file (`proxy/config`), what the gates do with it (`gates.py`).
"""

import math
from typing import NoReturn

import msgspec

from proxy.errors import SettingsError
from proxy.judge.claims import BreakerRule
from proxy.judge.matching import ModeName

MOST_SECONDS = 86_400.0
"""However long a provider asks to wait, nobody is believed beyond a day."""

_MICROSECONDS = 1_000_000
_MOST_CALLS = 100_000
_MOST_PROBES = 1000


class GateOverride(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another mode for some calls. Nothing else differs: what a gate knows is shared by calls of several agents and routes."""

    tenant: str = ""
    agent: str = ""
    route: str = ""
    model: str = ""
    """Shell-style patterns; empty: any."""
    mode: ModeName = "observe"


class BreakerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When an upstream's model counts as failing, and how calls come back to it."""

    mode: ModeName = "observe"
    consecutive_failures: int = 5
    """Failures one after the other that open it; 0: these alone do not."""
    failure_percent: int = 50
    """Failures of a hundred calls within the window that open it; 0: these do not."""
    min_calls: int = 10
    """Calls within the window below which percents say nothing."""
    window_seconds: float = 60.0
    open_seconds: float = 5.0
    """How long nothing is sent, the first time; twice as long each time that the probe fails."""
    max_open_seconds: float = 120.0
    jitter_percent: int = 20
    """So much of the open time at most is left out, at random, so that replicas do not come back at once."""
    max_probes: int = 4
    """Probes at once at most: it begins with one and doubles while they succeed."""
    probe_seconds: float = 60.0
    """A probe of which nothing was heard for so long counts no more."""
    when: tuple[GateOverride, ...] = ()


class RateGateSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long a caller waits after a 429."""

    mode: ModeName = "observe"
    default_seconds: float = 1.0
    """Where the provider does not say how long; 0: then it is not shut."""
    max_seconds: float = 300.0
    """However long the provider asks for."""
    when: tuple[GateOverride, ...] = ()


class QuotaGateSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long nothing is sent for a caller whose account is used up."""

    mode: ModeName = "observe"
    shut_seconds: float = 60.0
    """Then calls are let through to look again: somebody may have paid."""
    max_seconds: float = 3600.0
    """However long the provider says that it lasts."""
    when: tuple[GateOverride, ...] = ()


class GateSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The three of them; each is a section of `policies:`."""

    breaker: BreakerSettings = BreakerSettings()
    rate_gate: RateGateSettings = RateGateSettings()
    quota_gate: QuotaGateSettings = QuotaGateSettings()


def rule_of(settings: BreakerSettings) -> BreakerRule:
    """Give the rule in whole numbers."""
    return BreakerRule(
        consecutive=settings.consecutive_failures,
        percent=settings.failure_percent,
        minimum=settings.min_calls,
        window_us=_us(settings.window_seconds),
        open_us=_us(settings.open_seconds),
        longest_us=_us(settings.max_open_seconds),
        jitter_percent=settings.jitter_percent,
        probes=settings.max_probes,
        probe_us=_us(settings.probe_seconds),
    )


def check_gates(path: str, settings: GateSettings) -> None:
    """Raise `SettingsError` for the first thing that cannot work; `path` is where the sections stand, e.g. `policies`."""
    _check_breaker(f"{path}.breaker", settings.breaker)
    rate, quota = settings.rate_gate, settings.quota_gate
    key = f"{path}.rate_gate"
    _check_seconds(f"{key}.max_seconds", rate.max_seconds)
    _check_order(f"{key}.default_seconds", rate.default_seconds, "max_seconds", rate.max_seconds, zero=True)  # fmt: skip
    key = f"{path}.quota_gate"
    _check_seconds(f"{key}.max_seconds", quota.max_seconds)
    _check_order(f"{key}.shut_seconds", quota.shut_seconds, "max_seconds", quota.max_seconds)  # fmt: skip


def _check_breaker(key: str, breaker: BreakerSettings) -> None:
    _check_count(f"{key}.consecutive_failures", breaker.consecutive_failures, 0, _MOST_CALLS)  # fmt: skip
    _check_count(f"{key}.failure_percent", breaker.failure_percent, 0, 100)
    if not breaker.consecutive_failures and not breaker.failure_percent:
        remedy = (
            "more than 0, or failure_percent must be; to have no breaker, set mode: off"
        )
        _fail(f"{key}.consecutive_failures", 0, remedy)
    _check_count(f"{key}.min_calls", breaker.min_calls, 1, _MOST_CALLS)
    _check_seconds(f"{key}.window_seconds", breaker.window_seconds)
    _check_seconds(f"{key}.max_open_seconds", breaker.max_open_seconds)
    _check_order(f"{key}.open_seconds", breaker.open_seconds, "max_open_seconds", breaker.max_open_seconds)  # fmt: skip
    _check_count(f"{key}.jitter_percent", breaker.jitter_percent, 0, 90)
    _check_count(f"{key}.max_probes", breaker.max_probes, 1, _MOST_PROBES)
    _check_seconds(f"{key}.probe_seconds", breaker.probe_seconds)


def _check_count(key: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        _fail(key, value, f"a whole number from {least} to {most}")


def _check_seconds(key: str, value: float, *, zero: bool = False) -> None:
    least = 0.0 if zero else 1 / _MICROSECONDS
    # Not a number is in no range.
    if not (math.isfinite(value) and least <= value <= MOST_SECONDS):
        kind = "0 or a positive number" if zero else "a positive number"
        _fail(key, value, f"{kind} of seconds, at most {MOST_SECONDS:.0f}")


def _check_order(
    key: str, value: float, name: str, most: float, *, zero: bool = False
) -> None:
    _check_seconds(key, value, zero=zero)
    if value > most:
        _fail(key, value, f"at most {name} ({most:g})")


def _fail(key: str, value: object, remedy: str) -> NoReturn:
    raise SettingsError(f"{key}: is {value!r}; it must be {remedy}")


def _us(seconds: float) -> int:
    return round(seconds * _MICROSECONDS)
