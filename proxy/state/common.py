"""What belongs to no one run: the sessions of callers, and which runs wait for their tools.

What lives here: keeping it within bounds. What does not: what it says (`identify/facts.py`), the runs (`memory.py`).
"""

from collections import OrderedDict

from proxy.identify.facts import Session, Waiting


class Common:
    """Facts of callers and hosts."""

    def __init__(self, most: int) -> None:
        """Beyond `most` the one is forgotten that was touched the longest ago."""
        self._most = most
        self._facts: OrderedDict[int, Session | Waiting] = OrderedDict()
        self.get = self._facts.get
        """Give what stands under a key, or `None`."""
        self.evicted = 0
        """Facts that were forgotten because of the cap."""

    def keep(self, where: int, fact: Session | Waiting) -> None:
        """Keep a fact."""
        self._facts[where] = fact
        self._facts.move_to_end(where)
        if len(self._facts) > self._most:
            self._facts.popitem(last=False)
            self.evicted += 1

    def all(self) -> list[tuple[int, Session | Waiting]]:
        """Give them, the longest untouched first."""
        return list(self._facts.items())
