"""Calls that belong to no run, remembered for their next attempt, and what ended runs were: what memory keeps beside runs that live.

What lives here: keeping them within bounds. What does not: the runs (`memory.py`), when a call is done with (`facts.with_stray`).
"""

from collections import OrderedDict

import msgspec

from proxy.identify.facts import RETRY_US, Asked, Calls, Link, Run, with_stray
from proxy.state.totals import Place

MAX_PAST = 10_000
"""Runs that have ended and may come back; one takes half a kilobyte."""


class Strays:
    """Calls that belong to no run, under keys of their own in the table of all facts."""

    def __init__(self, facts: dict[int, Calls | Link], max_keys: int) -> None:
        """Beyond `max_keys` those are forgotten of which was heard the longest ago."""
        self._facts = facts
        self._max_keys = max_keys
        self._heard: OrderedDict[int, int] = OrderedDict()
        self.evicted = 0
        """Keys that were forgotten because of the cap."""

    def keep(self, where: int, asked: Asked) -> None:
        """Keep a call until it is done."""
        fact = with_stray(self._facts.get(where), asked)
        self._heard.pop(where, None)
        if fact is None:
            self._facts.pop(where, None)
            return
        self._facts[where] = fact
        self._heard[where] = max(each.seen_us for each in fact.asked)
        if len(self._heard) > self._max_keys:
            del self._facts[self._heard.popitem(last=False)[0]]
            self.evicted += 1

    def expire(self, now_us: int) -> None:
        """Forget what nobody will try again."""
        while self._heard:
            where, heard_us = next(iter(self._heard.items()))
            if heard_us + RETRY_US > now_us:
                return
            del self._heard[where]
            del self._facts[where]

    def all(self) -> list[tuple[int, Calls]]:
        """Give them, the longest unheard of first."""
        found = ((where, self._facts[where]) for where in self._heard)
        return [(where, fact) for where, fact in found if isinstance(fact, Calls)]


class Past:
    """What runs were that have ended, so that one that comes back goes on where it was."""

    def __init__(self, max_runs: int = MAX_PAST) -> None:
        """Beyond `max_runs` the longest past is forgotten."""
        self._max_runs = max_runs
        self._runs: OrderedDict[Place, Run] = OrderedDict()

    def keep(self, run: Run) -> None:
        """Keep what a run was when it ended."""
        place = (run.tenant, run.run_id)
        self._runs.pop(place, None)
        self._runs[place] = msgspec.structs.replace(run, has_ended=True)
        if len(self._runs) > self._max_runs:
            self._runs.popitem(last=False)

    def take(self, place: Place) -> Run | None:
        """Give a run that comes back."""
        return self._runs.pop(place, None)

    def get(self, place: Place) -> Run | None:
        """Give what a run was, which stays past."""
        return self._runs.get(place)

    def all(self) -> list[Run]:
        """Give them, the longest past first."""
        return list(self._runs.values())
