"""The policy `budgets`: how much a tenant, an agent, a caller or a route may spend in an hour, a day or a month.

What lives here: its settings and lines, and whose account each is. What does not: caps of one run (`caps.py`), when a period ends (`periods.py`).

Periods are UTC's: an hour begins at its minute 0, a day at 00:00, a month on its first. An account is the tenant's: agents of the same name
in two tenants have a budget each. Whoever matches a budget spends of the account of its own name: `per: agent` with `agent: "nightly-*"`
gives each nightly agent the whole amount.
"""

from typing import Literal, NamedTuple

import msgspec

from proxy.judge.claims import Scope, Take
from proxy.judge.lines import Amount, Line, Rule, Terms, Vary, nano, take, warn_at
from proxy.judge.matching import ModeName, Site, fits
from proxy.judge.periods import DAY_US, HOUR_US, period_end_us
from proxy.judge.verdict import Reason
from proxy.model import Kind

POLICY = "budgets"
MAX_LEVELS = 8
_SLACK_US = HOUR_US
"""A call that began in a period may be settled a while after its end."""
_VARY = {"hour": Vary.HOUR, "day": Vary.DAY, "month": Vary.MONTH}
_TTL_US = {"hour": HOUR_US, "day": DAY_US, "month": 31 * DAY_US}
_BILLED = (Kind.LLM, Kind.EMBEDDING)


class BudgetSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One budget; each has an account a period for everyone whom it concerns, and there are none unless the settings name them."""

    name: str
    """Stands in verdicts, metrics and keys of accounts."""
    per: Literal["tenant", "agent", "caller", "route"]
    period: Literal["hour", "day", "month"]
    mode: ModeName = "observe"
    cost_usd: float | None = None
    tokens: int | None = None
    steps: int | None = None
    """LLM steps."""
    warn_shares: tuple[float, ...] = (0.5, 0.8, 0.95)
    """Shares of each amount at which a warning is given, once each: half, near, all but spent."""
    tenant: str = ""
    agent: str = ""
    route: str = ""
    model: str = ""
    """Shell-style patterns: whose calls count; empty: any."""


class Account(NamedTuple):
    """An account of a budget in one period."""

    tenant: str
    agent: str
    """Empty, but of a budget per agent."""
    budget: str
    """Its name in the settings."""
    key: int
    limit: int
    until_us: int
    """When the period is over."""


def account_of(rule: Rule, claim: Take, tenant: str, now_us: int) -> Account:
    """Say which account a claim of a budget is made on."""
    agent = rule.name if rule.scope == "agent" else ""
    name = rule.policy.removeprefix(f"{POLICY}:")
    return Account(tenant, agent, name, claim.key, claim.limit, period_end_us(rule.vary, now_us))  # fmt: skip


def budget_lines(
    budgets: tuple[BudgetSettings, ...], site: Site, terms: Terms
) -> list[Line]:
    """Give the budgets that concern the calls of a site, in the order of the settings."""
    found: list[Line] = []
    for budget in budgets:
        if budget.mode != "off" and fits(budget, site):
            found += _lines(budget, site, terms)
    return found


def _lines(budget: BudgetSettings, site: Site, terms: Terms) -> list[Line]:
    found = []
    if site.kind in _BILLED:
        if budget.cost_usd is not None:
            found.append(_line(budget, site, terms, "cost_usd", nano(budget.cost_usd), Amount.COST))  # fmt: skip
        if budget.tokens is not None:
            found.append(_line(budget, site, terms, "tokens", budget.tokens, Amount.TOKENS))  # fmt: skip
    if budget.steps is not None and site.kind is Kind.LLM and not site.is_retry:
        found.append(_line(budget, site, terms, "steps", budget.steps, Amount.ONE))
    return found


def _line(
    budget: BudgetSettings,
    site: Site,
    terms: Terms,
    metric: str,
    limit: int,
    amount: Amount,
) -> Line:
    holder = getattr(site, budget.per)
    levels = tuple(sorted({warn_at(limit, share) for share in budget.warn_shares}))
    rule = Rule(
        f"{POLICY}:{budget.name}",
        Reason.BUDGET,
        budget.per,
        f"{POLICY}[{budget.name}].{metric}",
        levels,
        holder if budget.per != "caller" else "",  # a caller's is a hash
        _VARY[budget.period],
    )
    key = terms.key(b"budget", site.tenant, budget.name, budget.per, holder, budget.period, metric)  # fmt: skip
    ttl_us = _TTL_US[budget.period] + _SLACK_US
    return take(rule, key, Scope.OWN, limit, budget.mode, ttl_us, amount)
