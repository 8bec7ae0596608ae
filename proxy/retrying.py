"""When the proxy tries a failed call again at the same upstream.

What lives here: which failures of an attempt are one of those (`judge/retries.py` says of which statuses), and what of the answer has to be
kept from the agent meanwhile. What does not: making the attempt (`attempting.py`), the budget.
"""

from collections.abc import Callable

from proxy.attempting import Step, Way
from proxy.fallbacks import is_unsent
from proxy.forward.http1 import AnswerHead
from proxy.forward.watch import Ending
from proxy.http.headers import RawHeaders
from proxy.judge.retries import (
    SAFE,
    Budgets,
    RetrySettings,
    may_repeat,
    wait_seconds,
)
from proxy.judge.signals import MAX_ERROR_BYTES, End, Quota, read_signals
from proxy.model import ErrorType, Outcome


class Retries:
    """Finds retries; a `Finder`."""

    def __init__(
        self,
        budgets: Budgets,
        clock: Callable[[], int],
        random: Callable[[], float],
    ) -> None:
        """`clock` is the wall clock in nanoseconds; `random` gives at least 0 and less than 1."""
        self._budgets = budgets
        self._clock = clock
        self._random = random

    def began(self, step: Step) -> None:
        """See `Finder`: each call feeds the budget of its upstream, a retry does not."""
        settings = _settings(step)
        if settings is not None and not step.retried:
            self._budgets.called(step.accepted.match.route.base.origin(), settings)

    def keeps(self, step: Step, head: AnswerHead) -> int:
        """See `Finder`."""
        settings = _settings(step)
        if settings is None or not _may_go_on(step, settings):
            return 0
        return MAX_ERROR_BYTES if _repeats(step, head.status, head.headers) else 0

    def find(self, step: Step, ending: Ending) -> Way | None:
        """See `Finder`."""
        settings = _settings(step)
        if settings is None or not _may_go_on(step, settings) or step.refused:
            return None
        asked, wait = None, 0.0
        if step.relay is not None and step.relay.kept is not None:
            end = _end_of(step)
            signals = read_signals(end, self._clock() // 1000)
            if signals.quota is not Quota.NONE or not _repeats(
                step, end.status or 0, end.headers
            ):
                return None
            asked = signals.wait_seconds
        elif not (is_unsent(step, ending) or _is_stale(step, ending)):
            return None
        if ending.error_type is not ErrorType.STALE_CONNECTION:
            found = wait_seconds(settings, step.retried, asked, self._random())
            if found is None:
                return None
            wait = found
        if not self._budgets.take(step.accepted.match.route.base.origin(), settings):
            return None
        step.retried += 1
        return Way(step.accepted, wait_seconds=wait)


def _settings(step: Step) -> RetrySettings | None:
    return step.call.snapshot.retries.get(step.accepted.match.route.name)


def _may_go_on(step: Step, settings: RetrySettings) -> bool:
    return step.retried < settings.most and not step.accepted.upgrade


def _repeats(step: Step, status: int, headers: RawHeaders) -> bool:
    """Tell whether a call that was answered so may be sent again: its body is here, and the status is one of those."""
    call = step.call
    return call.body is not None and may_repeat(status, step.asked.kind, call.agent.method, headers)  # fmt: skip


def _is_stale(step: Step, ending: Ending) -> bool:
    """Tell whether a call met a connection that the upstream was closing, and only reads, so that it may be sent twice."""
    call = step.call
    is_stale = ending.error_type is ErrorType.STALE_CONNECTION
    return is_stale and call.body == b"" and call.agent.method in SAFE


def _end_of(step: Step) -> End:
    exchange, judging = step.ledger.exchange, step.ledger.judging
    reading, closed = step.ledger.reading, exchange.closed
    outcome = Outcome.UPSTREAM_ERROR if closed is None else closed.outcome
    error_type = ErrorType.NONE if closed is None else closed.error_type
    return End(
        outcome, error_type, reading.error_type, exchange.http_status, reading.error_code, judging.upstream_headers,
        judging.error_body,
    )  # fmt: skip
