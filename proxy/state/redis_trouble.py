"""What is wrong with Redis, in words, and what follows for who asks.

What lives here: telling an error that concerns one question from one that concerns all, saying it, and logging it now and then. What does
not: the connection (`redis_line.py`), when Redis is left alone because it is slow (`circuit.py`).

A Redis that answers and takes nothing in (its memory is full, its disk is, its replicas are away) is asked nothing but whether it lives until
it takes that in again: what is known of runs is of no use where nothing can be added, and calls need not wait to hear so. Any other error
belongs to the keys of one question, and costs that.
"""

import logging
import re
import time
from collections.abc import Callable, Mapping

from redis.exceptions import (
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ResponseError,
)

from proxy.state.redis_asked import Script

RECENT_SECONDS = 60.0
"""For so long an error is said to be there whose script nobody asked for again."""
LOG_SECONDS = 60.0
"""How often the same is said at most."""
_OF_ALL: Mapping[str, str] = {
    "OOM": "its memory is full",
    "MISCONF": "it cannot write to its disk",
    "NOREPLICAS": "too few of its replicas answer",
    "MASTERDOWN": "its master is away",
    "CLUSTERDOWN": "its cluster is down",
    "NOPERM": "its user may not run our scripts",
    "BUSY": "a script of somebody's keeps it busy",
}
_CODES = {
    OutOfMemoryError: "OOM",
    MasterDownError: "MASTERDOWN",
    ClusterDownError: "CLUSTERDOWN",
    NoPermissionError: "NOPERM",
}
_CODE = re.compile(r"\b[A-Z]{3,20}\b")
_logger = logging.getLogger("tacho.state")


def code_of(error: ResponseError) -> str:
    """Give the word by which Redis names an error; scripts put theirs behind the place where it happened."""
    found = _CODES.get(type(error))
    if found is not None:
        return found
    words = _CODE.findall(str(error))
    return next((each for each in words if each != "ERR"), "ERR")


def kinds_of(error: Exception) -> str:
    """Give the names of what went wrong."""
    found = (type(each.__cause__ or each).__name__ for each in _leaves(error))
    return " ".join(sorted(set(found)))


def _leaves(error: Exception) -> list[Exception]:
    if not isinstance(error, ExceptionGroup):
        return [error]
    return [leaf for each in error.exceptions for leaf in _leaves(each)]


class Trouble:
    """Of one connection after the other."""

    def __init__(self, place: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._place = place
        self._clock = clock
        self._told_at: dict[str, float] = {}
        self._failing: dict[str, tuple[str, float]] = {}
        """Scripts whose newest answer was an error, which, and when."""
        self.refusal = ""
        """Why Redis takes nothing in; empty where it does."""

    def words(self, *, is_connected: bool, is_slow: bool) -> str:
        """Say what is wrong; nothing where Redis is asked and answers."""
        where = f"redis at {self._place}"
        if not is_connected:
            return f"{where} is not connected"
        if self.refusal:
            return f"{where} takes nothing in: {self.refusal}"
        if is_slow:
            return f"{where} is slow"
        since = self._clock() - RECENT_SECONDS
        errors = sorted({code for code, at in self._failing.values() if at > since})
        return f"{where} answers with errors: {', '.join(errors)}" if errors else ""

    def failed(self, script: Script, error: ResponseError) -> bool:
        """Take an error; say whether it is about all questions."""
        code = code_of(error)
        is_of_all = code in _OF_ALL
        if is_of_all:
            self.refusal = f"{_OF_ALL[code]} ({code})"
        else:
            self._failing[script.sha] = (code, self._clock())
        self.tell("redis_refuses" if is_of_all else "redis_error", {"error": code})
        return is_of_all

    def worked(self, script: Script) -> bool:
        """Take an answer; say whether Redis takes things in again."""
        self._failing.pop(script.sha, None)
        if self.refusal and script.is_probe:
            self.refusal = ""
            return True
        return False

    def began(self) -> None:
        """Begin anew on a new connection."""
        self.refusal = ""
        self._failing.clear()

    def tell(self, event: str, detail: Mapping[str, object]) -> None:
        """Log something, unless that was done a moment ago."""
        now = self._clock()
        if now - self._told_at.get(event, -LOG_SECONDS) >= LOG_SECONDS:
            self._told_at[event] = now
            _logger.warning(event, extra={"detail": {"at": self._place, **detail}})
