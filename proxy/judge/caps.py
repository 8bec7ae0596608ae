"""The policies `caps` and `backstop`: how much a turn, a run and a session may take.

What lives here: their settings and lines. What does not: sums over runs (`budgets.py`), how a limit is compared (`proxy.state.accounts`).

A run is the root run with all its subagents. A turn is what one run does for one thing that its user said: what a subagent does counts for the
turn of its own run. Counts are inclusive: with `steps: 20` the 20th step passes and the 21st does not. Of dollars and tokens a lone
call passes as long as anything is left, since what an answer costs is known when it is over.
"""

import msgspec
from msgspec import UNSET, UnsetType

from proxy.judge.claims import Age, Mode, Scope
from proxy.judge.lines import (
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

CAPS, BACKSTOP = "caps", "backstop"
_TOOLS = (Kind.TOOL, Kind.MCP)
_BILLED = (Kind.LLM, Kind.EMBEDDING)


class CapLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of each; `None` is no limit, and 0 of steps or tool calls is none at all."""

    steps: int | None = None
    """LLM steps; a retry of a step is none."""
    tool_calls: int | None = None
    """Calls of tools and MCP servers that pass through here."""
    attempts: int | None = None
    """Upstream exchanges of any kind, retries included."""
    cost_usd: float | None = None
    tokens: int | None = None
    """Input and output, cached or not."""
    wall_seconds: float | None = None
    """Since the first call."""


class CapOverride(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Other caps for some calls; what is not named stays as it is, `turn` and `session` are replaced whole."""

    tenant: str = ""
    agent: str = ""
    route: str = ""
    model: str = ""
    """Shell-style patterns; empty: any."""
    mode: ModeName | UnsetType = UNSET
    steps: int | UnsetType | None = UNSET
    tool_calls: int | UnsetType | None = UNSET
    attempts: int | UnsetType | None = UNSET
    cost_usd: float | UnsetType | None = UNSET
    tokens: int | UnsetType | None = UNSET
    wall_seconds: float | UnsetType | None = UNSET
    turn: CapLimits | UnsetType = UNSET
    session: CapLimits | UnsetType = UNSET
    window_share: float | UnsetType | None = UNSET
    warn_share: float | UnsetType | None = UNSET


class CapSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Caps of a root run, and of turns and sessions. The defaults only observe."""

    mode: ModeName = "observe"
    steps: int | None = 500
    """Well beyond a large task that an agent does alone; a chat is one run as long as nobody pauses for half an hour."""
    tool_calls: int | None = 1000
    attempts: int | None = 2500
    """Steps and tool calls, with two thirds as many retries: clients that retry twice for a while stay below."""
    cost_usd: float | None = 25.0
    tokens: int | None = None
    """None: what counts is their price, and an agent that reads its cache again and again has millions that cost little."""
    wall_seconds: float | None = None
    """None: a run lasts as long as people talk to it, and an agent that waits for a build costs nothing."""
    turn: CapLimits = CapLimits(steps=250)
    """Of a single wish; chats have many short turns, so that this is what finds a runaway in one of them."""
    session: CapLimits = CapLimits()
    """None: a session may last for days."""
    window_share: float | None = 0.95
    """Share of what the model can read that a request may fill: beyond it there is hardly room for an answer."""
    warn_share: float | None = 0.8
    when: tuple[CapOverride, ...] = ()


class BackstopOverride(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another backstop for some calls."""

    tenant: str = ""
    agent: str = ""
    route: str = ""
    model: str = ""
    mode: ModeName | UnsetType = UNSET
    steps: int | UnsetType | None = UNSET
    cost_usd: float | UnsetType | None = UNSET
    warn_share: float | UnsetType | None = UNSET


class BackstopSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The one policy that blocks without being told to: a root run that has gone this far has run away.

    It is meant for what nobody wants, so that it is far above what runs cost; whoever has larger ones says so here, or switches it off.
    """

    mode: ModeName = "enforce"
    steps: int | None = 1000
    cost_usd: float | None = 100.0
    warn_share: float | None = 0.8
    when: tuple[BackstopOverride, ...] = ()


def cap_lines(settings: CapSettings, site: Site, terms: Terms) -> list[Line]:
    """Give the caps of turn, run and session for the calls of a site."""
    now = effective(settings, settings.when, site)
    if now.mode == "off":
        return []
    run = CapLimits(
        now.steps, now.tool_calls, now.attempts, now.cost_usd, now.tokens, now.wall_seconds
    )  # fmt: skip
    parts = (
        (run, Scope.ROOT, "run", CAPS, Vary.NOTHING),
        (now.turn, Scope.RUN, "turn", f"{CAPS}.turn", Vary.TURN),
        (now.session, Scope.SESSION, "session", f"{CAPS}.session", Vary.NOTHING),
    )
    lines = []
    for limits, scope, word, prefix, vary in parts:
        made = _Maker(CAPS, now.mode, now.warn_share, site, terms, scope, word, prefix, vary)  # fmt: skip
        lines += made.lines(limits)
    return lines


def backstop_lines(settings: BackstopSettings, site: Site, terms: Terms) -> list[Line]:
    """Give the backstop for the calls of a site."""
    now = effective(settings, settings.when, site)
    if now.mode == "off":
        return []
    limits = CapLimits(steps=now.steps, cost_usd=now.cost_usd)
    made = _Maker(BACKSTOP, now.mode, now.warn_share, site, terms, Scope.ROOT, "run", BACKSTOP, Vary.NOTHING)  # fmt: skip
    return made.lines(limits)


def window_share(settings: CapSettings, site: Site) -> tuple[ModeName, float | None]:
    """Say how much of what the model can read a request of this site may fill; that needs no account."""
    now = effective(settings, settings.when, site)
    return now.mode, now.window_share


class _Maker(msgspec.Struct, frozen=True):
    """Makes the lines of one scope."""

    policy: str
    mode: ModeName
    warn_share: float | None
    site: Site
    terms: Terms
    scope: Scope
    word: str
    prefix: str
    vary: Vary

    def lines(self, limits: CapLimits) -> list[Line]:
        """Give a line for each limit that a call of the site counts against."""
        site, found = self.site, []
        if limits.steps is not None and site.kind is Kind.LLM and not site.is_retry:
            found.append(self._take(Reason.STEPS, "steps", limits.steps))
        if limits.tool_calls is not None and site.kind in _TOOLS and not site.is_retry:
            found.append(self._take(Reason.TOOL_CALLS, "tool_calls", limits.tool_calls))
        if limits.attempts is not None:
            found.append(self._take(Reason.ATTEMPTS, "attempts", limits.attempts))
        if limits.cost_usd is not None and site.kind in _BILLED:
            found.append(self._take(Reason.COST, "cost_usd", nano(limits.cost_usd), Amount.COST))  # fmt: skip
        if limits.tokens is not None and site.kind in _BILLED:
            found.append(self._take(Reason.TOKENS, "tokens", limits.tokens, Amount.TOKENS))  # fmt: skip
        if limits.wall_seconds is not None:
            found.append(self._age(micro(limits.wall_seconds)))
        return found

    def _take(
        self, reason: Reason, metric: str, limit: int, amount: Amount = Amount.ONE
    ) -> Line:
        rule = self._rule(reason, metric, limit)
        ttl_us = self.terms.ttl_us(self.scope)
        return take(rule, self._key(metric), self.scope, limit, self.mode, ttl_us, amount)  # fmt: skip

    def _age(self, limit_us: int) -> Line:
        rule = self._rule(Reason.WALL_TIME, "wall_seconds", limit_us)
        ttl_us = self.terms.ttl_us(self.scope)
        warn_us = warn_at(limit_us, self.warn_share)
        key = self._key("wall_seconds")
        return Line(rule, Age(key, self.scope, limit_us, warn_us, Mode(self.mode), ttl_us))  # fmt: skip

    def _key(self, metric: str) -> int:
        return self.terms.key(b"account", self.site.tenant, self.prefix, metric)

    def _rule(self, reason: Reason, metric: str, limit: int) -> Rule:
        near = warn_at(limit, self.warn_share)
        levels = (near,) if near > 0 else ()
        return Rule(self.policy, reason, self.word, f"{self.prefix}.{metric}", levels, vary=self.vary)  # fmt: skip
