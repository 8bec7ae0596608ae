"""Letting a run go on that its limits or the pattern of a loop have stopped.

What lives here: from a wish to the accounts that begin anew, written down before it is answered. What does not: accounts under an
allowance (`judge/claims.py`, `state/accounts.py`), the wish itself (`allowance.py`), who may send one (`supervise/admin.py`).

An allowance is for a root run with its subagents, and for a session only where that is said. Nothing is switched off: the same limits hold,
and from the next call on nothing has been counted. It has a number that follows from the wish's id, so that a wish that is
sent again, to whichever worker, lets nobody have more.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from proxy.allowance import Said, Wish, denied, read
from proxy.errors import TachoError
from proxy.identify.facts import Run
from proxy.identify.hashing import key
from proxy.judge.claims import Allow, owner_of
from proxy.record.codec import Event, Memo, encode
from proxy.record.spool import SpoolWriter
from proxy.state import State, tally
from proxy.state.finding import Finding

ACTION = POLICY = "allow"
"""Of the event and in `tacho_verdicts_total`."""
EVENT_TYPE = "cap"
_PATIENT_SECONDS = 5.0
_REMEMBERED = 1024
_SHOWN = 5
_AWAY = "nobody can be asked for what runs have used now ({}); see: tacho status, and try again"


@dataclass(frozen=True, slots=True)
class Around:
    """What letting runs go on needs of its worker."""

    state: State
    spool: SpoolWriter
    seed: int
    idle_seconds: float
    """After so long without a call a run ends."""
    now_us: Callable[[], int]
    """The steady clock."""
    wall_ns: Callable[[], int]
    noted: Callable[[Event], None]
    """Counts an allowance."""
    fault: Callable[[str], None]
    new_id: Callable[[], str]


class Allowing:
    """Lets runs go on; one for a worker."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._answered: OrderedDict[str, Said] = OrderedDict()

    async def take(self, body: bytes) -> Said:
        """Fulfil a wish, or say why not; never raises."""
        try:
            wish = read(body)
        except TachoError as error:
            return denied(400, "bad_wish", str(error))
        if wish.id in self._answered:
            return self._answered[wish.id]
        try:
            said = await self._fulfil(wish)
        except Exception:  # noqa: BLE001  # the guard of the phase judge: whoever asks is answered
            self._around.fault("judge")
            return denied(500, "fault", "the worker failed; see its log")
        if wish.id and said[0] == 200:
            self._answered[wish.id] = said
            if len(self._answered) > _REMEMBERED:
                self._answered.popitem(last=False)
        return said

    async def _fulfil(self, wish: Wish) -> Said:
        state = self._around.state
        found = await state.find(Finding(wish.run, wish.tenant, wish.session))
        if found is None:
            return denied(503, "state_away", _AWAY.format(state.trouble))
        target = _target(wish, found)
        if target is None:
            return self._unknown(wish)
        if not isinstance(target, _Target):
            return target
        return await self._allow(wish, target)

    async def _allow(self, wish: Wish, target: "_Target") -> Said:
        around = self._around
        number, now_us = key(around.seed, b"allowance", wish.id or around.new_id()), around.now_us()  # fmt: skip
        changes = [Allow(owner_of(target.tenant, each), number) for each in (target.root, target.session) if each]  # fmt: skip
        around.state.tell(changes, now_us)
        if not await around.state.drained(_PATIENT_SECONDS):
            return denied(503, "state_away", _AWAY.format(around.state.trouble))
        event = self._event(target)
        around.noted(event)
        records = [encode(event)]
        if not around.state.is_shared:
            records.append(encode(Memo(tally.changed(changes, now_us), tally.ABOUT)))
        is_written = await around.spool.append_wait(records)
        said = {"tenant": target.tenant, "run": target.run, "root": target.root, "session": target.session}  # fmt: skip
        return 200, {"allowed": True, **said, "recorded": is_written}

    def _event(self, target: "_Target") -> Event:
        parts = [name for name, each in (("run", target.root), ("session", target.session)) if each]  # fmt: skip
        whose = f"run {target.root}" if target.root else ""
        if target.session:
            whose = " and ".join(filter(None, (whose, f"session {target.session}")))
        return Event(
            event_id=self._around.new_id(),
            ts_us=self._around.wall_ns() // 1000,
            type=EVENT_TYPE,
            tenant=target.tenant,
            agent=target.agent,
            run_id=target.root,
            policy=POLICY,
            action=ACTION,
            reason="asked",
            source="+".join(parts),
            detail=f"what {whose} had used was forgotten; the same limits hold",
        )

    def _unknown(self, wish: Wish) -> Said:
        of_tenant = f" of tenant {wish.tenant}" if wish.tenant else ""
        what = f"no run{of_tenant} that lives is called {wish.run}, or begins so"
        minutes = max(1, round(self._around.idle_seconds / 60))
        after = f"a run ends {minutes} min after its last call, and if it comes back then, its limits begin anew by themselves"  # fmt: skip
        of_session = "; a session of which no run lives needs its tenant, too (--tenant)" if wish.session else ""  # fmt: skip
        return denied(404, "unknown_run", f"{what}; {after}{of_session}; see: tacho runs")  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Target:
    """Whose accounts begin anew; empty where none is meant."""

    tenant: str
    agent: str = ""
    run: str = ""
    root: str = ""
    session: str = ""


def _target(wish: Wish, found: Sequence[Run]) -> _Target | Said | None:
    """Say who is meant: a run, or a session by its own id; `None`: nobody."""
    if not found:
        # The runs of a session may all have been refused at their begin.
        is_named = wish.session and wish.tenant
        return _Target(wish.tenant, session=wish.run) if is_named else None
    tenants = sorted({each.tenant for each in found})
    if len(tenants) > 1:
        return denied(409, "ambiguous", f"{wish.run} is known in tenants {_listed(tenants)}; say which: --tenant (as JSON: tenant)")  # fmt: skip
    first = found[0]
    if Finding(wish.run, of_session=wish.session).is_session_of(first) and first.run_id != wish.run:  # fmt: skip
        return _Target(first.tenant, session=wish.run)
    if len(found) > 1:
        ids = sorted(each.run_id for each in found)
        return denied(409, "ambiguous", f"{len(ids)} runs begin so: {_listed(ids)}; give more of the id")  # fmt: skip
    session = first.session_id if wish.session else ""
    return _Target(first.tenant, first.agent, first.run_id, first.root_run_id, session)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
