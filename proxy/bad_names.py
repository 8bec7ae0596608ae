"""Names of ours that are none (`/run/two words/...`): each is counted, and now and then the log says so.

What lives here: the count, and the one line a minute. What does not: what a name may be (`proxy.model`), leaving one out (`admission.py`).
"""

import logging
from collections.abc import Callable
from time import monotonic

QUIET_SECONDS = 60.0
_logger = logging.getLogger("tacho.names")


class BadNames:
    """Is told how many names of a call were not valid, and never which: they may hold anything."""

    def __init__(
        self, drop: Callable[[str, int], None], clock: Callable[[], float] = monotonic
    ) -> None:
        self._drop = drop
        self._clock = clock
        self._quiet_until = float("-inf")
        self._unsaid = 0

    def count(self, names: int) -> None:
        """Count, and say so if nothing was said for a minute."""
        self._drop("bad_name", names)
        self._unsaid += names
        now = self._clock()
        if now < self._quiet_until:
            return
        detail = {"names": self._unsaid, "allowed": "1 to 128 of A-Z a-z 0-9 . _ : -"}
        _logger.warning("bad_names_ignored", extra={"detail": detail})
        self._quiet_until, self._unsaid = now + QUIET_SECONDS, 0
