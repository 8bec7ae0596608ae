"""Whose budgets calls have come for, so that what is spent of them can be shown.

What lives here: the accounts whose period runs, bounded in number. What does not: what is on them (`proxy.state`), gauges (`proxy.telemetry`).
"""

from collections import OrderedDict
from collections.abc import Iterable

from proxy.judge.budgets import Account

MAX_ACCOUNTS = 1000


class Spending:
    """The accounts of budgets that calls were counted on; beyond `capacity` the one goes that was heard of least recently."""

    def __init__(self, capacity: int = MAX_ACCOUNTS) -> None:
        self._capacity = capacity
        self._known: OrderedDict[int, Account] = OrderedDict()

    def note(self, accounts: Iterable[Account]) -> None:
        """Take in what a call was counted on."""
        known = self._known
        for each in accounts:
            known[each.key] = each
            known.move_to_end(each.key)
            if len(known) > self._capacity:
                known.popitem(last=False)

    def running(self, now_us: int) -> list[Account]:
        """Give those whose period runs; the others are forgotten."""
        for each in [each for each in self._known.values() if each.until_us <= now_us]:
            del self._known[each.key]
        return list(self._known.values())

    def forget(self) -> None:
        """Forget all, since the settings have changed."""
        self._known.clear()
