"""The runs whose calls passed through this worker, as they then were; all of them are in Redis.

What lives here: remembering a bounded number of them. What does not: asking and telling (`redis_state.py`).
"""

from collections import OrderedDict
from collections.abc import Iterator

from proxy.identify.facts import Run
from proxy.state.totals import NOTHING, Place, Totals


class Seen:
    """For those who ask how large the runs are that live."""

    def __init__(self, most: int) -> None:
        """Beyond `most` the one is forgotten that was seen the longest ago."""
        self._most = most
        self._runs: OrderedDict[Place, tuple[Run, Totals]] = OrderedDict()

    def saw(self, run: Run, totals: Totals) -> Run:
        """Remember a run."""
        place = (run.tenant, run.run_id)
        self._runs[place] = (run, totals)
        self._runs.move_to_end(place)
        if len(self._runs) > self._most:
            self._runs.popitem(last=False)
        return run

    def get(self, place: Place) -> tuple[Run | None, Totals]:
        """Give a run, and what it has come to."""
        return self._runs.get(place, (None, NOTHING))

    def end(self, place: Place) -> None:
        """Forget a run."""
        self._runs.pop(place, None)

    def forget(self, before_us: int) -> None:
        """Forget those that were not seen since."""
        while self._runs:
            place, (run, _) = next(iter(self._runs.items()))
            if run.seen_us > before_us:
                return
            del self._runs[place]

    def runs(self) -> Iterator[Run]:
        """Give them, the longest unseen first."""
        return (run for run, _ in self._runs.values())
