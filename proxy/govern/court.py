"""What the calls of a worker have in common before the policies.

What lives here: the value. What does not: making it (`governor.py`), one call (`tab.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from proxy.govern.asking import Asking, Quoting
from proxy.govern.noting import Noting
from proxy.govern.said import Answered
from proxy.judge.budgets import Account
from proxy.judge.claims import Change
from proxy.judge.expected import Expected


@dataclass(frozen=True, slots=True)
class Court:
    """What all calls of a worker have in common."""

    seed: int
    clock: Callable[[], int]
    quote: Quoting
    refuses_unpriced: Callable[[], bool]
    """Whether models without a price are refused, whatever the policies say."""
    expected: Expected
    answered: Answered
    tell: Callable[[Sequence[Change], int], None]
    meet: Callable[[Asking, int], None]
    """Told whose a breaker is, by its key."""
    random: Callable[[], int]
    """0 to 65,535."""
    fault: Callable[[str], None]
    is_shared: bool
    """Others keep the accounts: nothing of them is written down here."""
    spend: Callable[[Sequence[Account]], None]
    """Told on which accounts of budgets a call is counted."""
    noting: Noting = field(default_factory=Noting)
