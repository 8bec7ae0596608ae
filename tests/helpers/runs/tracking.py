"""The rungs, the keeper and the order in which a call meets them, without a proxy around it."""

import sys
from collections.abc import Coroutine, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
import xxhash

from proxy.identify import changes, echo, growth
from proxy.identify.conversation import Conversation, Conversations, written
from proxy.identify.facts import Calls, Run
from proxy.identify.items import Call, answer_item
from proxy.identify.ladder import Decision, decide
from proxy.identify.lookup import Hints, lookup
from proxy.identify.messages import canonical
from proxy.identify.sessions import session_of
from proxy.model import Kind
from proxy.state import State
from proxy.state.memory import MemoryState

SEED = 77
DAY_US = 24 * 3600 * 1_000_000
T = TypeVar("T")


class Begun(NamedTuple):
    call: changes.Call
    decision: Decision
    run: Run | None
    body: bytes
    step_seq: int


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run what never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        value: T = ended.value
        return value
    raise AssertionError("it waited")


def report(*said: Any) -> None:
    """Show figures to who runs the test with `-s`."""
    sys.stdout.write(" ".join(map(str, said)) + "\n")


def content(state: MemoryState) -> object:
    """Give all but the order in which two runs said the same."""
    facts = {
        where: frozenset(fact.asked) if isinstance(fact, Calls) else fact
        for where, fact in state._facts.items()
    }
    return list(state.runs()), facts, dict(state.common.all()), state.strays.all()


class Tracker:
    """One worker's identification; `log` has what a spool would. `name` keeps its ids and another worker's apart."""

    def __init__(self, state: MemoryState | None = None, name: str = "", shared: State | None = None) -> None:  # fmt: skip
        self.state = MemoryState(100_000, DAY_US) if state is None else state
        self.keeper: State = self.state if shared is None else shared
        self.name = name
        self.conversations = Conversations(SEED)
        self.log: list[tuple[Run, list[changes.Change]]] = []
        self._made = 0

    def begin(self, body: bytes, now_us: int, **hints: Any) -> Begun:
        return drive(self.begun(body, now_us, **hints))

    async def begun(self, body: bytes, now_us: int, **hints: Any) -> Begun:
        """Begin a call, again where another worker's call came first; the last time as it is."""
        for tries_left in (2, 1, 0):
            begun = await self._begun(body, now_us, tries_left > 0, hints)
            if begun is not None:
                return begun
        raise AssertionError("a call that is taken as it is was not taken")

    async def _begun(self, body: bytes, now_us: int, may_lose: bool, hints: dict[str, Any]) -> Begun | None:  # fmt: skip
        hints = {"tenant": "t", "caller": "c", "kind": Kind.LLM} | hints
        hints.setdefault("body_hash", xxhash.xxh3_64_intdigest(body, SEED))
        known = Hints(**hints)
        said = self.conversations.read(body) if known.kind is Kind.LLM else None
        conversation = said or Conversation()
        text = conversation.text
        cuts = growth.cuts(text, SEED)
        look = lookup(SEED, known, conversation, echo.pieces(text, SEED), cuts)
        found = await self.keeper.look(look.keys()) or {}
        decision = decide(SEED, known, conversation, look, found, now_us)
        session, kept = session_of(known, look, found, now_us)
        self._made += 1
        run_id = decision.run_id or (
            f"run-{self.name}{self._made}" if decision.makes_run else ""
        )
        asked = changes.asked_of(known, conversation, look, decision, f"step-{self.name}{self._made}", run_id, now_us)  # fmt: skip
        call, noted = changes.at_admission(known, conversation, look, decision, asked)
        if not run_id:
            return Begun(call, decision, None, body, 0)
        run = Run("t", run_id, run_id, decision.parent_run_id, session, "", decision.source.value,
                  decision.turn_seq, 0, now_us, now_us)  # fmt: skip
        is_step = decision.retry_of is None
        admitted = await self.keeper.admit(
            run, [*noted, *kept], is_step=is_step, step_id=asked.step_id if may_lose else "",
        )  # fmt: skip
        if admitted is None:
            return None
        run = admitted
        self.log.append((run, [*noted, *kept]))
        step = decision.retry_of.step_seq if decision.retry_of else run.step_seq
        call = msgspec.structs.replace(call, asked=msgspec.structs.replace(asked, step_seq=step))  # fmt: skip
        return Begun(call, decision, run, body, step)

    def end(self, begun: Begun, now_us: int, state: str = "done", text: str = "",
            calls: Sequence[tuple[str, str, Any]] = (), response_id: str = "",
            signatures: Sequence[str] = (), media: Sequence[bytes] = ()) -> None:  # fmt: skip
        if begun.run is None:
            return
        made: list[Call] = [(call_id, name, canonical(args)) for call_id, name, args in calls]  # fmt: skip
        item = answer_item(SEED, text, made, media, signatures)
        pieces = echo.of_answer(text, written(begun.body), SEED) if state == "done" else []  # fmt: skip
        answer = changes.Answer(item, response_id, tuple(pieces))
        noted = changes.at_answer(SEED, begun.call, state, answer, now_us)
        self.keeper.note("t", begun.run.run_id, noted, now_us)
        self.log.append((begun.run, noted))
