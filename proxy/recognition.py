"""Which run a call belongs to: its body, its hints and what is remembered, put together.

What lives here: the order in which a request is read, looked up, decided on and remembered. What does not: the rungs
(`identify/ladder.py`), who remembers (`proxy.state`), the names that a row has besides (`admission.py`).

Between looking up and remembering nothing waits where the state is this process's memory, so that two calls cannot both be the next
one of a run.
"""

import asyncio
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from proxy.govern.asking import Placed
from proxy.govern.tab import Tab
from proxy.identify import changes, echo, growth
from proxy.identify.attempts import stray_retry_of
from proxy.identify.changes import Change, Push
from proxy.identify.conversation import Conversation, Conversations
from proxy.identify.facts import Asked, Calls, Fact, Run, Session, Waiting
from proxy.identify.ladder import Decision, decide
from proxy.identify.lookup import Hints, Lookup, lookup, response_key
from proxy.identify.sessions import session_of
from proxy.model import Kind, RunSource
from proxy.recognised import Recognised
from proxy.state import State
from proxy.trail import Trail

TRIES = 3
"""So often a call is decided on: where another worker's call came first, what is known has changed. The last time it stands."""
LATE_SECONDS = 0.01
"""For an answer that another worker tells of only now: so much later is looked once more where a call's history is of nobody known."""
_UNPROVEN = frozenset({RunSource.NEW, RunSource.UNMATCHED})
NO_CONVERSATION = Conversation()


@dataclass(frozen=True, slots=True)
class Incoming:
    """A call as recognition sees it."""

    hints: Hints
    attempt_id: str
    is_step: bool
    conversation: Conversation = NO_CONVERSATION
    body: bytes = field(default=b"", repr=False)
    agent: str = ""
    tab: Tab | None = None
    """What it claims of the policies; `None` where they have nothing to say."""


class Recognizer:
    """Recognises the runs of one worker's calls."""

    def __init__(self, seed: int, state: State, new_id: Callable[[int], str]) -> None:
        """`seed` keys all hashes; `new_id` gets the wall clock in nanoseconds."""
        self._seed = seed
        self._state = state
        self._new_id = new_id
        self._conversations = Conversations(seed)

    async def read(self, body: bytes) -> Conversation | None:
        """Read a request; a large one in slices, between which others get their turn. `None` where it is no JSON object."""
        reading = self._conversations.reading(body)
        while True:
            try:
                next(reading)
            except StopIteration as ended:
                found: Conversation | None = ended.value
                return found
            await asyncio.sleep(0)

    async def recognise(self, call: Incoming, now_us: int) -> Recognised:
        """Find the call's run and remember the call; what is no step is found only."""
        seed, hints, conversation = self._seed, call.hints, call.conversation
        now_us = self._state.time(now_us)
        pieces = echo.pieces(conversation.text, seed)
        cuts = growth.cuts(conversation.text, seed)
        look = lookup(seed, hints, conversation, pieces, cuts)
        placed, tries, has_waited = None, TRIES, not self._state.is_shared
        while placed is None:
            found = await self._state.look(look.keys())
            if found is None:
                return self._unasked(hints, conversation, look, now_us)
            decision = decide(seed, hints, conversation, look, found, now_us)
            if not has_waited and _misses(conversation, decision, look, found):
                has_waited = True
                await asyncio.sleep(LATE_SECONDS)
                continue
            tries -= 1
            placed = await self._placed(call, look, found, decision, now_us, may_lose=tries > 0)  # fmt: skip
        return placed

    async def _placed(
        self,
        call: Incoming,
        look: Lookup,
        found: Mapping[int, Fact],
        decision: Decision,
        now_us: int,
        *,
        may_lose: bool,
    ) -> Recognised | None:
        """Remember the call where it leaves something; `None` where another call came first."""
        hints, conversation = call.hints, call.conversation
        session = session_of(hints, look, found, now_us)
        known = found.get(look.session)
        is_known = isinstance(known, Session) and known.session_id == session[0]
        session_id = session[0] if is_known else hints.session
        if _is_mute(hints, conversation) and decision.source in _UNPROVEN:
            placed = Recognised(RunSource.UNMATCHED, session_id=session_id)
            return self._followed(call, look, found, placed, now_us)
        if decision.source is RunSource.NONE or not call.is_step:
            placed = _passing(hints, decision, session_id)
            return self._followed(call, look, found, placed, now_us)
        joined = await self._remembered(call, look, decision, session, now_us, may_lose=may_lose)  # fmt: skip
        if joined is None:
            return None
        awaited = _awaited(look, found, decision.run_id)
        return dataclasses.replace(joined, awaited=awaited)

    def _unasked(
        self, hints: Hints, conversation: Conversation, look: Lookup, now_us: int
    ) -> Recognised:
        """Say what the request alone says, since nobody can be asked what is remembered: a run that is made up would stay alone."""
        decision = decide(self._seed, hints, conversation, look, {}, now_us)
        if decision.source in _UNPROVEN:
            source = RunSource.UNMATCHED if hints.kind is Kind.LLM else RunSource.NONE
            return Recognised(source, session_id=hints.session)
        return _passing(hints, decision, hints.session)

    async def _remembered(
        self,
        incoming: Incoming,
        look: Lookup,
        decision: Decision,
        session: tuple[str, list[Change]],
        now_us: int,
        *,
        may_lose: bool,
    ) -> Recognised | None:
        hints, conversation = incoming.hints, incoming.conversation
        run_id = decision.run_id or self._new_id(now_us * 1000)
        asked = changes.asked_of(hints, conversation, look, decision, incoming.attempt_id, run_id, now_us)  # fmt: skip
        call, noted = changes.at_admission(hints, conversation, look, decision, asked)
        noted += session[1]
        run = Run(
            hints.tenant, run_id, run_id, decision.parent_run_id, session[0], incoming.agent,
            decision.source.value, decision.turn_seq, 0, now_us, now_us,
        )  # fmt: skip
        is_new = decision.retry_of is None
        step_id = asked.step_id if may_lose else ""
        tab = incoming.tab
        if tab is not None:
            tab.place(self._where(hints, decision, run, is_retry=not is_new))
        admitted = await self._state.admit(run, noted, is_step=is_new, step_id=step_id, plea=tab)  # fmt: skip
        if admitted is None:
            return None
        run = admitted
        if tab is not None and tab.is_refused:
            return _refused(hints, decision, run)
        if is_new:
            counted = replace(asked, step_seq=run.step_seq)
            noted = [_counted(each, asked, counted) for each in noted]
            asked, call = counted, replace(call, asked=counted)
        trail = Trail(self._seed, self._state, call, run, noted, incoming.body)
        return Recognised(
            decision.source,
            run,
            asked,
            run.session_id,
            decision.turn_seq if hints.kind is Kind.LLM else run.turn_seq,
            decision.retry_layer,
            trail=trail,
        )

    def _where(self, hints: Hints, decision: Decision, run: Run, *, is_retry: bool) -> Placed:  # fmt: skip
        """Say where policies count a call: under the turn and the agent that its row will show, as far as they are known here."""
        live = self._state.seen((run.tenant, run.run_id)) or run
        turn_seq = decision.turn_seq if hints.kind is Kind.LLM else live.turn_seq
        return Placed(run.run_id, turn_seq, run.session_id, is_retry, run.agent or live.agent)  # fmt: skip

    async def run_of_answer(self, tenant: str, response_id: str) -> str:
        """Give the live run of which one of the newest answers had this id; empty where none is known."""
        where = response_key(self._seed, tenant, response_id)
        known = (await self._state.look([where]) or {}).get(where)
        return known.asked[-1].run_id if isinstance(known, Calls) else ""

    async def pass_by(self, call: Incoming, now_us: int) -> Recognised:
        """Say what the headers of a call say that is no step and shows no conversation, and which attempt it is. May raise, as above."""
        look = lookup(self._seed, call.hints, NO_CONVERSATION)
        found = await self._state.look(look.strays) or {}
        return self._followed(call, look, found, self.by_headers(call.hints), self._state.time(now_us))  # fmt: skip

    def _followed(
        self,
        call: Incoming,
        look: Lookup,
        found: Mapping[int, Fact],
        placed: Recognised,
        now_us: int,
    ) -> Recognised:
        """Remember a call that leaves nothing in a run as far as its next attempt needs it."""
        tenant = call.hints.tenant
        repeated = stray_retry_of(call.hints, look, found, now_us)
        again, layer = repeated or (None, "")
        kept, noted = changes.of_none(call.hints, look, again, call.attempt_id, now_us)
        if not noted:
            return placed
        self._state.note(tenant, "", noted, now_us)
        nowhere = Run(tenant, "", "", seen_us=now_us)
        trail = Trail(self._seed, self._state, kept, nowhere, noted, b"")
        return dataclasses.replace(
            placed, asked=kept.asked, retry_layer=layer, trail=trail
        )

    def by_headers(self, hints: Hints) -> Recognised:
        """Say what the headers alone say; nothing is looked up or remembered."""
        decision = decide(self._seed, hints, NO_CONVERSATION, Lookup(), {}, 0)
        if decision.source is RunSource.NEW:
            return Recognised(RunSource.UNMATCHED, session_id=hints.session)
        placed = _passing(hints, decision, hints.session)
        return dataclasses.replace(placed, turn_seq=None)


def _refused(hints: Hints, decision: Decision, run: Run) -> Recognised:
    """Say where a call belongs that the policies refuse. It is not remembered; a run that it would have begun has no name unless one was given."""
    if not decision.run_id:
        return Recognised(RunSource.NONE, session_id=run.session_id)
    turn_seq = decision.turn_seq if hints.kind is Kind.LLM else run.turn_seq
    return Recognised(decision.source, run, None, run.session_id, turn_seq)


def _misses(
    conversation: Conversation,
    decision: Decision,
    look: Lookup,
    found: Mapping[int, Fact],
) -> bool:
    """Tell whether a call goes on from one that is not known."""
    if decision.source is RunSource.RESPONSE_ID and conversation.previous_response_id:
        return look.response not in found
    return decision.source is RunSource.UNMATCHED


def _awaited(look: Lookup, found: Mapping[int, Fact], run_id: str) -> tuple[str, ...]:
    known = found.get(look.waiting[0])
    runs = known.runs if isinstance(known, Waiting) else ()
    return next((each.tools for each in runs if each.run_id == run_id), ())


def _is_mute(hints: Hints, conversation: Conversation) -> bool:
    """Tell whether a call to a model shows nothing by which another one could be told to go on from it."""
    known = conversation.items or conversation.previous_response_id or conversation.conversation_id  # fmt: skip
    return hints.kind is Kind.LLM and not known


def _passing(hints: Hints, decision: Decision, session_id: str) -> Recognised:
    """Name the run of a call that leaves nothing behind."""
    if decision.source in _UNPROVEN:  # a model list begins no run
        return Recognised(RunSource.NONE, session_id=session_id)
    run_id = decision.run_id or decision.parent_run_id
    if not run_id:
        return Recognised(decision.source, session_id=session_id)
    run = Run(hints.tenant, run_id, run_id, session_id=session_id)
    return Recognised(decision.source, run, session_id=session_id, turn_seq=decision.turn_seq)  # fmt: skip


def _counted(change: Change, before: Asked, counted: Asked) -> Change:
    if isinstance(change, Push) and change.asked is before:
        return Push(change.key, change.shelf, counted)
    return change
