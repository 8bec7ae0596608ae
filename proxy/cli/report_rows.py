"""What `tacho report` asks, and the answers as values.

What lives here: rows of the questions about policies, asking them. What does not: the SQL (`dashboards/queries/`), how they look
(`report_text.py`).
"""

from datetime import datetime
from decimal import Decimal

import msgspec

from proxy.cli.figures import AT_LEAST, ESTIMATED
from proxy.cli.questions import ask, work
from proxy.cli.store import Store


class WouldRow(msgspec.Struct, frozen=True):
    """A row of `would_have_stopped.sql`."""

    tenant: str
    policy: str
    """Empty: all together."""
    agent: str
    runs: int
    calls: int
    began: datetime
    first_run: str
    first_step: int
    """0 where its number is not known."""
    steps: int
    usd: Decimal | None
    estimated_rows: int
    unpriced_attempts: int

    @property
    def mark(self) -> str:
        """What stands before its dollars, as `RunRow.mark` says."""
        if self.unpriced_attempts:
            return AT_LEAST
        return ESTIMATED if self.estimated_rows else ""


class SaidRow(msgspec.Struct, frozen=True):
    """A row of `refusals.sql` and `warnings.sql`."""

    tenant: str
    policy: str
    reason: str
    agent: str
    runs: int
    calls: int
    began: datetime
    ended: datetime
    last_run: str


class BreakerRow(msgspec.Struct, frozen=True):
    """A row of `breakers.sql`."""

    route: str
    model: str
    upstream: str
    openings: int
    seconds: float
    longest_seconds: float
    is_open: bool
    began: datetime
    ended: datetime


class GateRow(msgspec.Struct, frozen=True):
    """A row of `gates_shut.sql`."""

    policy: str
    route: str
    model: str
    refused: int
    would_refuse: int
    began: datetime
    ended: datetime
    seconds: float


class Report(msgspec.Struct, frozen=True):
    """What the policies did in a span of time, and would have done."""

    since_seconds: int
    agent: str
    """Whose calls; empty: everybody's."""
    calls: int
    """Calls of that time that are work."""
    would_have_stopped: list[WouldRow]
    together: WouldRow | None
    """All of them, each step and dollar once; `None` where there are none."""
    refused: list[SaidRow]
    warnings: list[SaidRow]
    breakers: list[BreakerRow]
    """Of everybody: a breaker is nobody's own."""
    gates: list[GateRow]


def report(store: Store, since_seconds: int, agent: str) -> Report:
    """Ask everything."""
    span = {"since_seconds": str(since_seconds)}
    asked = span | {"agent": agent}
    would = ask(store, "would_have_stopped", WouldRow, asked)
    return Report(
        since_seconds,
        agent,
        work(store, since_seconds, agent),
        [row for row in would if row.policy],
        next((row for row in would if not row.policy), None),
        ask(store, "refusals", SaidRow, asked),
        ask(store, "warnings", SaidRow, asked),
        ask(store, "breakers", BreakerRow, span),
        ask(store, "gates_shut", GateRow, asked),
    )
