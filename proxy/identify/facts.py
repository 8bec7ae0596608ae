"""What is remembered of runs, as small values under hashed keys, so that memory and Redis hold the same.

What lives here: the values. What does not: who keeps them (`proxy.state`), what follows from them (`ladder.py`).
"""

import msgspec

MAX_RECENT = 64
"""Calls with the same conversation that are told apart; of more, the newest."""
WINDOW_US = 10 * 60 * 1_000_000
"""A run waits for its tools no longer than this."""
MAX_WAITING = 64
"""Runs of one caller that are listed as waiting."""
RETRY_US = 15 * 60 * 1_000_000
"""A request that comes again later than this after it failed is no retry."""


class Reply(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """As what an answer will stand in the next request."""

    full: int = 0
    calls: int = 0
    head: int = 0
    ids: tuple[int, ...] = ()
    """Hashes of those that name one call in the world (`items.Item.telling`)."""


class Asked(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="a"):
    """One call to a model (or tool), under the hash of all that it said."""

    run_id: str
    """Empty: it belongs to no run, and is remembered for its next attempt alone."""
    step_id: str
    step_seq: int
    """0 until the keeper of state has counted it."""
    turn_seq: int
    seen_us: int
    """When it was admitted; once it has failed, when that was."""
    attempt: int = 0
    state: str = "open"
    """`open`, `done`, `failed` (the upstream's fault, or the agent left), `rejected` (a 4xx that stays one) or `blocked` (ours)."""
    reply: Reply | None = None
    """`None` where the answer is not known, or said nothing."""
    continued_by: str = ""
    """The step that went on from here."""
    signature: int = 0
    """Hash of what tells one client from another: User-Agent and peer."""
    connection: int = 0
    size: int = 0
    """Characters of a prompt that may grow (`growth.py`)."""
    brief: int = 0
    """How many of the keys matter for a short time only."""
    lasting: int = 0
    """How many of the keys behind those are of its whole conversation."""
    keys: tuple[int, ...] = ()
    """Under which it is remembered: the brief ones, those of its whole conversation, those of its answer. None any more once another
    call went on from it: nothing that is said of it later has to be put there."""


class Calls(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="c"):
    """The calls that said exactly the same, oldest first."""

    asked: tuple[Asked, ...] = ()


class Link(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="l"):
    """What an id, a trace or a piece of text leads to."""

    run_id: str
    turn_seq: int = 1
    is_ambiguous: bool = False
    """Two runs have it: it leads nowhere."""


class Session(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="s"):
    """Activity of one caller without a long gap."""

    session_id: str
    seen_us: int


class Waits(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One run that waits for its tools."""

    run_id: str
    turn_seq: int
    since_us: int
    tools: tuple[str, ...]


class Waiting(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="w"):
    """Runs of one caller (or host) whose newest answer asked for tools and that have not gone on, the newest last."""

    runs: tuple[Waits, ...] = ()
    crowded_us: int = 0
    """When the newest of those waited that the list had no room for."""


class Run(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="r"):
    """A run that lives."""

    tenant: str
    run_id: str
    root_run_id: str
    parent_run_id: str = ""
    session_id: str = ""
    agent: str = ""
    source: str = ""
    """How it was identified at first."""
    turn_seq: int = 1
    step_seq: int = 0
    began_us: int = 0
    seen_us: int = 0
    has_ended: bool = False
    """It had ended, and came back: its end is not told again."""


Fact = Calls | Link | Session | Waiting


def with_asked(found: Fact | None, asked: Asked) -> Calls:
    """Put a call beside those that said the same; an earlier word on the same step is replaced, but not by an earlier attempt's."""
    others = found.asked if isinstance(found, Calls) else ()
    same = next((each for each in others if each.step_id == asked.step_id), None)
    if same is not None and same.attempt > asked.attempt:
        return Calls(others)
    return Calls((*(each for each in others if each is not same), asked)[-MAX_RECENT:])


def with_stray(found: Fact | None, asked: Asked) -> Calls | None:
    """As `with_asked` for a call that belongs to no run: once it is done nobody will ask for it; `None` where none is left."""
    calls = with_asked(found, asked)
    if asked.state != "done":
        return calls
    others = tuple(
        each
        for each in calls.asked
        if (each.step_id, each.state) != (asked.step_id, "done")
    )
    return Calls(others) if others else None


def with_link(found: Fact | None, link: Link) -> Link:
    """Let a key lead to a run; what leads to two leads nowhere."""
    if isinstance(found, Link) and (found.is_ambiguous or found.run_id != link.run_id):
        return Link(found.run_id, is_ambiguous=True)
    return link


def with_waits(found: Fact | None, waits: Waits) -> Waiting:
    """List a run as waiting, or, without tools, as waiting no more; those that have waited for too long are left out."""
    known = found if isinstance(found, Waiting) else Waiting()
    fresh = [
        each
        for each in known.runs
        if each.run_id != waits.run_id and waits.since_us - each.since_us <= WINDOW_US
    ]
    runs = (*fresh, waits) if waits.tools else tuple(fresh)
    crowded = runs[-MAX_WAITING - 1].since_us if len(runs) > MAX_WAITING else 0
    return Waiting(runs[-MAX_WAITING:], max(known.crowded_us, crowded))


def with_session(found: Fact | None, session: Session) -> Session:
    """Prolong a session; another worker's that began first stays."""
    if isinstance(found, Session) and found.seen_us >= session.seen_us:
        return found
    return session
