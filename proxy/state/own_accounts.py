"""The accounts of a keeper of state that has them in its own memory.

What lives here: the part of `State` that is about accounts, and whose time is nobody's but this worker's. What does not: the accounts (`accounts.py`), who makes claims (`proxy.govern`).
"""

from collections.abc import Callable, Mapping, Sequence

from proxy.judge.claims import Answer, Change, Claim, Owners, Turned
from proxy.state.accounts import Accounts

MAX_ACCOUNTS = 200_000
"""Of each sort; one takes a quarter of a kilobyte."""


class OwnAccounts:
    """See `State`."""

    def __init__(
        self,
        max_accounts: int = MAX_ACCOUNTS,
        turned: Callable[[Turned], None] = lambda turned: None,
    ) -> None:
        """Keep so many of each sort; `turned` is told of breakers that went from one phase to another."""
        self.accounts = Accounts(max_accounts)
        self._turned = turned

    async def claim(
        self, claims: Sequence[Claim], owners: Owners, now_us: int
    ) -> Answer | None:
        """See `State`."""
        return self._claim(claims, owners, now_us)

    def _claim(self, claims: Sequence[Claim], owners: Owners, now_us: int) -> Answer:
        answer = self.accounts.claim(claims, owners, now_us)
        for each in answer.turned:
            self._turned(each)
        return answer

    async def spent(self, keys: Sequence[int], now_us: int) -> Mapping[int, int] | None:
        """See `State`."""
        return {key: self.accounts.used(key, "", now_us)[0] for key in keys}

    def tell(self, changes: Sequence[Change], now_us: int) -> None:
        """See `State`."""
        for each in self.accounts.apply(changes, now_us):
            self._turned(each)

    async def drained(self, seconds: float) -> bool:
        """See `State`: what is told is taken in at once."""
        return True

    def now_us(self, steady_us: int) -> int:
        """See `State`: as it is."""
        return steady_us

    def time(self, wall_us: int) -> int:
        """See `State`: as it is."""
        return wall_us

    def sweep(self, now_us: int) -> None:
        """See `State`."""
        self.accounts.books.sweep(now_us)
