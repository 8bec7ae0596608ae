"""The policy `spend_rate`: how fast a caller's agent spends, and how often it asks the same.

What lives here: its settings and lines. What does not: loops within a run (`loops.py`), what calls cost in a day (`budgets.py`).

It is for runaways whose calls never join a run, since each is a conversation of its own: nothing else sees that there are many. Its
accounts belong to tenant, caller and agent. Time is cut into windows that follow one another (a minute begins with its second 0), which takes
one number an account; a burst across a border counts half in each, so that up to twice the amount may pass within a minute.

The same question is one whose body is the same once clocks and ids are masked (`masking.py`); retries are not counted. Only calls that a
provider bills are looked at: that a tool is asked the same again and again is how one waits for it.
"""

import msgspec
from msgspec import UNSET, UnsetType

from proxy.judge.claims import Scope
from proxy.judge.lines import (
    US_PER_SECOND,
    Amount,
    Line,
    Rule,
    Terms,
    Vary,
    micro,
    nano,
    take,
    warn_at,
)
from proxy.judge.matching import ModeName, Site, effective
from proxy.judge.verdict import Reason
from proxy.model import Kind

POLICY = "spend_rate"
_BILLED = (Kind.LLM, Kind.EMBEDDING)
_SLACK_US = 60 * US_PER_SECOND
"""An account outlives its window by this, for calls that are settled later."""


class SpendRateOverride(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Other limits for some calls."""

    tenant: str = ""
    agent: str = ""
    route: str = ""
    model: str = ""
    mode: ModeName | UnsetType = UNSET
    cost_usd_per_minute: float | UnsetType | None = UNSET
    cost_usd_per_hour: float | UnsetType | None = UNSET
    same_requests: int | UnsetType | None = UNSET
    same_seconds: float | UnsetType = UNSET
    warn_share: float | UnsetType | None = UNSET


class SpendRateSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How fast one agent of one caller may be. The defaults only observe: what is fast depends on how many people an agent serves."""

    mode: ModeName = "observe"
    cost_usd_per_minute: float | None = 20.0
    cost_usd_per_hour: float | None = 200.0
    """A sixth of what the minute allows: bursts are usual, an hour of them is not."""
    same_requests: int | None = 100
    """So many times may the same be asked within `same_seconds`; health checks and polls that ask a model stay below."""
    same_seconds: float = 600.0
    warn_share: float | None = 0.8
    when: tuple[SpendRateOverride, ...] = ()


def spend_rate_lines(
    settings: SpendRateSettings, site: Site, terms: Terms
) -> list[Line]:
    """Give the lines for the calls of a site."""
    now = effective(settings, settings.when, site)
    if now.mode == "off" or site.kind not in _BILLED:
        return []
    lines = []
    for metric, usd, vary, seconds in (
        ("cost_usd_per_minute", now.cost_usd_per_minute, Vary.MINUTE, 60),
        ("cost_usd_per_hour", now.cost_usd_per_hour, Vary.HOUR, 3600),
    ):
        if usd is not None:
            rule = _rule(now, Reason.TOO_FAST, metric, nano(usd), site, vary, seconds)
            ttl_us = micro(seconds) + _SLACK_US
            key = _key(terms, site, metric)
            lines.append(take(rule, key, Scope.OWN, nano(usd), now.mode, ttl_us, Amount.COST))  # fmt: skip
    if now.same_requests is not None and site.has_body and not site.is_retry:
        seconds = max(1, round(now.same_seconds))
        rule = _rule(now, Reason.SAME_REQUEST, "same_requests", now.same_requests, site, Vary.BODY, seconds)  # fmt: skip
        key = _key(terms, site, "same_requests")
        lines.append(take(rule, key, Scope.OWN, now.same_requests, now.mode, micro(seconds)))  # fmt: skip
    return lines


def _key(terms: Terms, site: Site, metric: str) -> int:
    return terms.key(b"spend", site.tenant, site.caller, site.agent, metric)


def _rule(
    now: SpendRateSettings,
    reason: Reason,
    metric: str,
    limit: int,
    site: Site,
    vary: Vary,
    seconds: int,
) -> Rule:
    near = warn_at(limit, now.warn_share)
    levels = (near,) if near > 0 else ()
    return Rule(POLICY, reason, "caller", metric, levels, site.agent, vary, seconds)
