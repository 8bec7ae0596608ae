"""The calls in a store, asked for in pieces: a store bounds what one answer may have, and how long it may take.

What lives here: where to cut, and asking. What does not: the lines (`proxy/replay/rows.py`), what becomes of the calls (`proxy/replay/replayer.py`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from proxy.cli.questions import NoAnswerError, ask, statement
from proxy.cli.store import Store
from proxy.errors import TachoError
from proxy.replay.rows import FORMAT, Call, Lines

MINUTE_US = 60_000_000
PIECE = 50_000
"""Lines; together some 30 MB. A minute that has more is asked for whole."""


class Minute(msgspec.Struct, frozen=True):
    """A row of `replayed_minutes.sql`."""

    minute_us: int
    calls: int


def read_calls(
    store: Store, tell: Callable[[Call], None], *, tenant: str, since_us: int, history_us: int
) -> None:  # fmt: skip
    """Tell of all calls of `replayed_calls.sql`, in order; raise `NoAnswerError` where the store complains."""
    asked = {"tenant": tenant, "since_us": str(since_us), "history_us": str(history_us)}
    lines = Lines(tell)
    for from_us, until_us in pieces(ask(store, "replayed_minutes", Minute, asked)):
        _read(store, lines, {**asked, "from_us": str(from_us), "until_us": str(until_us)})  # fmt: skip
    lines.flush_call()


def pieces(minutes: Sequence[Minute], most: int = PIECE) -> Iterator[tuple[int, int]]:
    """Cut between minutes, so that each piece has `most` lines at most where no minute alone has more."""
    lines, from_us, until_us = 0, 0, 0
    for each in minutes:
        if lines and lines + each.calls > most:
            yield from_us, until_us
            lines = 0
        if not lines:
            from_us = each.minute_us
        lines += each.calls
        until_us = each.minute_us + MINUTE_US
    if lines:
        yield from_us, until_us


def _read(store: Store, lines: Lines, parameters: Mapping[str, str]) -> None:
    try:
        status = store.ask(statement(store, "replayed_calls"), FORMAT, lines, parameters)  # fmt: skip
    except msgspec.MsgspecError as error:
        raise TachoError(f"the store's calls cannot be read: {error}; were they written by a newer version?") from error  # fmt: skip
    if status != 0:
        raise NoAnswerError
