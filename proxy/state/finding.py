"""Which of the runs that live is meant by a name that somebody gives.

What lives here: what is looked for, and which of those that fit are meant. What does not: looking (`memory.py`, `redis_finding.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from proxy.identify.facts import Run


@dataclass(frozen=True, slots=True)
class Finding:
    """A run's id or its beginning, as lists of runs show it."""

    name: str
    tenant: str = ""
    """Empty: any."""
    of_session: bool = False
    """A session's whole id fits each of its runs, too."""

    def fits(self, run: Run) -> bool:
        """Tell whether a run may be meant."""
        if self.tenant and run.tenant != self.tenant:
            return False
        return run.run_id.startswith(self.name) or self.is_session_of(run)

    def is_session_of(self, run: Run) -> bool:
        """Tell whether the name is that of a run's session."""
        return self.of_session and run.session_id == self.name

    def best(self, runs: Iterable[Run]) -> list[Run]:
        """Give those that are meant: who is called exactly so, else the runs of that session, else all whose ids begin so."""
        fitting = list(filter(self.fits, runs))
        exact = [each for each in fitting if each.run_id == self.name]
        return exact or list(filter(self.is_session_of, fitting)) or fitting
