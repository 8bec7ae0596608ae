"""The health breaker, the rate gate and the quota gate: whose they are, what a call claims of them, what its end changes.

What lives here: their keys, claims, changes and verdicts. What does not: what an end means (`signals.py`), their settings
(`gate_settings.py`), the rules of a breaker (`breaker.py`), applying claims and changes (`proxy/state`).

The breaker is an upstream's and a model's, whoever calls. The rate gate is a caller's, at an upstream, for a model; the quota gate a caller's at
an upstream, or where a provider sells shares of a model, for that model.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec

from proxy.judge.claims import (
    Change,
    Finding,
    Hold,
    Mode,
    Pass,
    Permit,
    Shut,
    Signal,
)
from proxy.judge.gate_settings import (
    BreakerSettings,
    GateSettings,
    QuotaGateSettings,
    RateGateSettings,
    rule_of,
)
from proxy.judge.matching import Site, effective
from proxy.judge.signals import NEUTRAL, Quota, Signals
from proxy.judge.verdict import Action, Reason, Verdict
from proxy.judge.wording import named

_REMEMBERED = 4096
_MICROSECONDS = 1_000_000


class Gate(StrEnum):
    """The policies of this file, by their names in the settings, rows and headers."""

    BREAKER = "breaker"
    RATE = "rate_gate"
    QUOTA = "quota_gate"


class Passage(msgspec.Struct, frozen=True, gc=False):
    """The gates on one site's way to an upstream."""

    upstream: str
    model: str
    breaker: int
    """The keys. One that is 0 is a gate that is off, or the share of a model that nobody named."""
    rate: int
    quota: int
    model_quota: int
    claims: tuple[Permit | Pass, ...]
    gates: tuple[Gate, ...]
    """Whose each of `claims` is."""


class Gates:
    """Claims and changes under one set of settings; one for a snapshot of the settings."""

    def __init__(self, settings: GateSettings, key: Callable[..., int]) -> None:
        """`key` makes a keyed hash of a kind (bytes) and texts."""
        self._settings = settings
        self._rule = rule_of(settings.breaker)
        self._key = key
        self._passages: dict[tuple[Site, str], Passage] = {}

    def passage(self, site: Site, upstream: str) -> Passage:
        """Give the gates that the calls of a site pass; `upstream` is an origin: scheme, host and port."""
        found = self._passages.get((site, upstream))
        if found is None:
            if len(self._passages) >= _REMEMBERED:
                # Models' names come from agents; to make one anew costs microseconds.
                self._passages.clear()
            found = self._passages[(site, upstream)] = self._made(site, upstream)
        return found

    def _made(self, site: Site, upstream: str) -> Passage:
        settings, model = self._settings, site.model
        whose = (site.tenant, site.caller, upstream)
        claims: list[Permit | Pass] = []
        gates: list[Gate] = []
        breaker = rate = quota = model_quota = 0
        mode = _mode(settings.breaker, site)
        if mode is not Mode.OFF:
            breaker = self._key(b"breaker", upstream, model)
            claims.append(Permit(breaker, mode, self._rule))
            gates.append(Gate.BREAKER)
        mode = _mode(settings.rate_gate, site)
        if mode is not Mode.OFF:
            rate = self._key(b"rate gate", *whose, model)
            claims.append(Pass(rate, mode))
            gates.append(Gate.RATE)
        mode = _mode(settings.quota_gate, site)
        if mode is not Mode.OFF:
            quota = self._key(b"quota gate", *whose)
            claims.append(Pass(quota, mode))
            gates.append(Gate.QUOTA)
            if model:
                model_quota = self._key(b"quota gate", *whose, model)
                claims.append(Pass(model_quota, mode))
                gates.append(Gate.QUOTA)
        keys = (breaker, rate, quota, model_quota)
        return Passage(upstream, model, *keys, tuple(claims), tuple(gates))

    def changes(
        self,
        passage: Passage,
        signals: Signals,
        holds: Sequence[Hold],
        now_us: int,
        random: int,
    ) -> list[Change]:
        """Give what the end of a call changes; `holds` are all that the call holds, `random` is 0 to 65,535.

        Once for `ALIVE` at a stream's first event, and once at the end: a permit goes with both.
        """
        changes: list[Change] = []
        if passage.breaker:
            permit = next((h.permit for h in holds if h.key == passage.breaker), 0)
            if permit or signals.health != NEUTRAL:
                changes.append(
                    Signal(passage.breaker, signals.health, permit, self._rule, random)
                )
        if passage.rate and signals.shuts_rate_gate:
            wait_us = self._rate_wait_us(signals)
            if wait_us:
                changes.append(Shut(passage.rate, now_us + wait_us))
        if passage.quota and signals.quota:
            of_model = signals.quota is Quota.MODEL and passage.model_quota
            gate = passage.model_quota if of_model else passage.quota
            changes.append(Shut(gate, now_us + self._quota_wait_us(signals)))
        return changes

    def _rate_wait_us(self, signals: Signals) -> int:
        settings = self._settings.rate_gate
        asked = signals.wait_seconds
        wait = settings.default_seconds if asked is None else asked
        return int(min(wait, settings.max_seconds) * _MICROSECONDS)

    def _quota_wait_us(self, signals: Signals) -> int:
        settings = self._settings.quota_gate
        wait = max(settings.shut_seconds, signals.wait_seconds or 0.0)
        return int(min(wait, settings.max_seconds) * _MICROSECONDS)


def verdict(passage: Passage, place: int, finding: Finding) -> Verdict:
    """Say what is done about a finding of the claim at this place in the passage."""
    gate = passage.gates[place]
    is_enforced = passage.claims[place].mode is Mode.ENFORCE
    seconds = max(1, -(-finding.wait_us // _MICROSECONDS))
    reason, scope, story = _WORDS[gate]
    model = f"{named(passage.model)} at " if passage.model else ""
    return Verdict(
        action=Action.BLOCK if is_enforced else Action.WOULD_BLOCK,
        policy=gate,
        reason=reason,
        message=story.format(what=f"{model}{passage.upstream}", seconds=seconds),
        scope=scope,
        value=str(seconds),
        threshold="0",
        wait_seconds=seconds,
        is_final=gate is Gate.QUOTA,
    )


_WORDS = {
    Gate.BREAKER: (
        Reason.UPSTREAM_FAILING,
        "upstream",
        "{what} keeps failing, so nothing is sent there for now; the next try is let through in {seconds} s (policies.breaker)",
    ),
    Gate.RATE: (
        Reason.UPSTREAM_LIMIT,
        "caller",
        "{what} has asked this caller to slow down; calls are let through again in {seconds} s (policies.rate_gate)",
    ),
    Gate.QUOTA: (
        Reason.ACCOUNT_SPENT,
        "caller",
        "{what} refuses this caller because the money or the share of its account is used up, so that trying again does not help:"
        " top up or raise the limit at the provider; calls are let through to look again in {seconds} s",
    ),
}
"""Reason, scope and story. The last story is final, so it avoids the words by which frameworks take a refusal for one worth repeating."""


def _mode(
    settings: BreakerSettings | RateGateSettings | QuotaGateSettings, site: Site
) -> Mode:
    return Mode(effective(settings, settings.when, site).mode)
