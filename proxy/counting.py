"""What a worker counts of its calls, and of its own faults.

What lives here: who is told of what. What does not: series (`telemetry`), runs' totals (`runs.py`).
"""

import logging
import sys
from collections.abc import Callable, Iterable

from proxy.govern.announcing import phase_name
from proxy.judge.budgets import Account
from proxy.judge.claims import Phase
from proxy.judge.headroom import Headroom
from proxy.judge.verdict import Verdict
from proxy.record.codec import Close, End, Event, Open
from proxy.runs import RunBook
from proxy.telemetry import ExchangeMeters

_logger = logging.getLogger("tacho.worker")


class Counting:
    """Tells meters and books; one for a worker."""

    def __init__(
        self, meters: ExchangeMeters, book: RunBook, clock: Callable[[], int]
    ) -> None:
        """`clock` is a steady one, in microseconds."""
        self._meters = meters
        self._book = book
        self._clock = clock
        self._headroom = Headroom()

    def applied(self, opened: Open, closed: Close, ended: End) -> None:
        """Count an exchange that is over."""
        self._meters.apply(opened, closed, ended)
        self._book.apply(opened, closed, ended)
        model = self._meters.model(closed.model_served or opened.model_requested)
        self._headroom.note(opened.route, model, closed.ratelimits, self._clock())

    def show(self) -> None:
        """Bring what is shown of the providers' limits up to date."""
        self._meters.show_headroom(self._headroom.gauges(self._clock()))

    def spent(self, shares: Iterable[tuple[Account, float]]) -> None:
        """Show what is spent of budgets."""
        self._meters.show_budgets(shares)

    def noted(self, event: Event) -> None:
        """Count an event."""
        self._meters.event(event)
        self._book.noted(event)

    def under_way(self, route: str, change: int) -> None:
        """Count a route's calls under way: one more, one less."""
        if change > 0:
            self._meters.begin(route)
        else:
            self._meters.finish(route)

    def verdict(self, opened: Open, verdict: Verdict) -> None:
        """Count a verdict."""
        self._meters.verdict(opened, verdict.policy, verdict.action)

    def allowed(self, event: Event) -> None:
        """Count that a run may go on."""
        self.noted(event)
        self._meters.verdict(event, event.policy, event.action)

    def unsaid(self) -> None:
        """Count a verdict that gets no event, since there were too many."""
        self._meters.drop("verdict_event")

    def breaker(self, route: str, model: str, phase: Phase) -> None:
        """Show a breaker's phase."""
        self._meters.note_breaker(route, model, phase)
        detail = {"route": route, "model": model, "state": phase_name(phase)}
        _logger.warning("breaker", extra={"detail": detail})

    def fault(self, phase: str) -> None:
        """Count a fault of ours, and log the exception that is being handled."""
        self._meters.drop(f"fault_{phase}")
        if sys.exc_info()[0] is not None:
            detail = {"phase": phase}
            _logger.error("fault", extra={"detail": detail}, exc_info=sys.exc_info())
