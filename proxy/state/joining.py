"""What two words on one run come to, and who a run's accounts belong to.

What lives here: small functions on runs. What does not: keeping runs (`memory.py`, `redis_state.py`).
"""

import msgspec

from proxy.identify.changes import Change, Push
from proxy.identify.facts import Run
from proxy.judge.claims import Owners, owner_of


def owners_of(tenant: str, run_id: str, root_run_id: str, session_id: str) -> Owners:
    """Name the owners of a call's accounts, by `Scope`."""
    return (
        "",
        owner_of(tenant, run_id),
        owner_of(tenant, root_run_id),
        owner_of(tenant, session_id),
    )


def joined(known: Run, run: Run) -> Run:
    """Add to a run what is new of it."""
    return msgspec.structs.replace(
        known,
        turn_seq=max(known.turn_seq, run.turn_seq),
        agent=known.agent or run.agent,
        session_id=known.session_id or run.session_id,
    )


def numbered(change: Change, run_id: str, step_seq: int) -> Change:
    """Write a step's number into its call."""
    if isinstance(change, Push) and change.asked.run_id == run_id and not change.asked.step_seq:  # fmt: skip
        asked = msgspec.structs.replace(change.asked, step_seq=step_seq)
        return Push(change.key, change.shelf, asked)
    return change
