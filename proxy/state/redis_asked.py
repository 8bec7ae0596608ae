"""What is asked of Redis, and what that came to, counted.

What lives here: one question, how long it may wait, and the counts. What does not: sending it and waiting (`redis_line.py`), what it says (`redis_scripts.py`).
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Taker = Callable[[Any], None]
"""Takes a reply for which nobody waits. It does not raise."""


class Script:
    """A script, and the hash by which Redis knows it."""

    def __init__(self, text: str, *, is_probe: bool = False) -> None:
        """A probe always writes, and has time: that it works says that Redis takes things in."""
        self.text = text
        self.is_probe = is_probe
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class Asked:
    """A script that is run once; a note, where nobody waits for what it replies."""

    __slots__ = ("again", "args", "deadline", "future", "is_excused", "script", "sends_text", "since", "taken")  # fmt: skip

    def __init__(self, script: Script, args: Sequence[bytes], taken: Taker | None = None) -> None:  # fmt: skip
        """`taken` gets the reply of a note, and one that comes too late for who asked."""
        self.script = script
        self.args = args
        self.taken = taken
        self.again: Sequence[bytes] | None = None
        """What to send on the next connection where this one broke before the reply: the script may have run, or not."""
        self.future: asyncio.Future[Any] | None = None
        self.sends_text = False
        self.is_excused = False
        self.since = 0.0
        self.deadline = 0.0

    def command(self) -> tuple[Any, ...]:
        """Give the words that are sent."""
        if self.sends_text:
            return ("EVAL", self.script.text, 0, *self.args)
        return ("EVALSHA", self.script.sha, 0, *self.args)

    def is_moot(self) -> bool:
        """Tell whether who asked is gone."""
        return self.future is not None and self.future.done()

    def answered(self, reply: Any) -> bool:
        """Hand the reply on; say whether somebody was waiting for it."""
        if self.future is not None and not self.future.done():
            self.future.set_result(reply)
            return True
        if self.taken is not None:
            self.taken(reply)
        return False

    def left(self) -> None:
        """See to the reply where who asked was cancelled in the very moment in which it came."""
        future = self.future
        if self.taken is None or future is None or not future.done():
            return
        if not future.cancelled() and future.exception() is None:
            self.taken(future.result())


class Unavailable(Exception):  # noqa: N818 - a state, no mistake
    """Redis did not answer, or not in time, or is not asked for the moment."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long, and how much, is waited for."""

    wait_seconds: float = 0.05
    """Who asks waits no longer than this."""
    connect_seconds: float = 2.0
    stalled_seconds: float = 1.0
    """A connection on which nothing was answered for so long is given up."""
    pending: int = 10_000
    """So many questions and notes wait at most."""


@dataclass(slots=True)
class Counts:
    """What Redis cost. Monotone."""

    late: int = 0
    """Answers that came too late."""
    refused: int = 0
    """Questions that were not asked: no connection, a pause, or too many waiting."""
    failed: int = 0
    """Questions that were lost with a connection, or answered with an error."""
    dropped: int = 0
    """Notes that were lost."""
    connects: int = 0


@dataclass(slots=True)
class Kept:
    """What happened beside what `Counts` counts. Monotone."""

    unknown: int = 0
    """Calls that were identified without what is remembered."""
    uncounted: int = 0
    """Calls that were admitted without being remembered."""
    raced: int = 0
    """Calls that found another one to have gone on from the same one."""
    unwritable: int = 0
    """Calls and answers that could not be written as bytes, and runs that another version wrote."""
    unjudged: int = 0
    """Calls whose claims nobody judged in time."""
    untold: int = 0
    """Changes of accounts for which there was no room to wait, or whose account in Redis is none."""
    taken_back: int = 0
    """Calls whose claims were admitted too late, and taken back."""
    freed: int = 0
    """Accounts on which a dead worker had reserved something that was settled for it."""


def losses(kept: Kept, counts: Counts) -> Mapping[str, int]:
    """Count what was forgotten too early or could not be asked, by reason."""
    return {
        "state_unknown": kept.unknown,
        "state_uncounted": kept.uncounted,
        "state_unwritable": kept.unwritable,
        "state_unjudged": kept.unjudged,
        "state_note": counts.dropped + kept.untold,
    }
