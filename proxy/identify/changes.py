"""What to remember of a call: at its admission, and when its answer is known.

What lives here: the changes as values, which each keeper of facts applies in its own way, so that memory and Redis remember the same;
applying one twice changes nothing. What does not: keeping them (`proxy.state`), what follows from facts (`ladder.py`). Pure.
"""

from collections.abc import Iterator
from enum import IntEnum

import msgspec

from proxy.identify.conversation import Conversation
from proxy.identify.echo import Piece
from proxy.identify.facts import Asked, Link, Reply, Session, Waits
from proxy.identify.items import Item
from proxy.identify.ladder import Decision
from proxy.identify.lookup import (
    Hints,
    Lookup,
    context_keys,
    echo_key,
    id_key,
    id_space,
    marks,
    pair_key,
    response_key,
)
from proxy.model import Kind

MAX_KEPT_IDS = 2
"""A request that shows one of an answer's ids shows all, but where an agent leaves results out."""


class Shelf(IntEnum):
    """For how long a fact may matter: each run keeps so many of each shelf."""

    BRIEF = 0
    CHAIN = 1
    LINK = 2
    ECHO = 3


class Push(msgspec.Struct, frozen=True, array_like=True, tag="p"):
    """Put a call beside those that said the same (`facts.with_asked`)."""

    key: int
    shelf: Shelf
    asked: Asked


class Lead(msgspec.Struct, frozen=True, array_like=True, tag="l"):
    """Let a key lead to a run (`facts.with_link`)."""

    key: int
    shelf: Shelf
    link: Link


class Wait(msgspec.Struct, frozen=True, array_like=True, tag="w"):
    """List a run as waiting for tools, or, without any, as waiting no more (`facts.with_waits`)."""

    key: int
    waits: Waits


class Keep(msgspec.Struct, frozen=True, array_like=True, tag="k"):
    """Begin or prolong a session (`facts.with_session`)."""

    key: int
    session: Session


Change = Push | Lead | Wait | Keep


class Call(msgspec.Struct, frozen=True):
    """What of a call its answer's end needs to know again; `asked.step_seq` is to be what the keeper of state said."""

    asked: Asked
    tenant: str
    scope: int
    waiting: tuple[int, ...]
    is_llm: bool
    last: Item | None
    """What the answer is an answer to."""
    marks: tuple[tuple[int, int], ...]
    """What the answer stands behind (`lookup.marks`)."""
    is_prefilled: bool
    continues: Asked | None


class Answer(msgspec.Struct, frozen=True):
    """What of an answer the next request may show."""

    item: Item | None = None
    response_id: str = ""
    echoes: tuple[Piece, ...] = ()
    """`echo.of_answer`."""


def asked_of(
    hints: Hints,
    conversation: Conversation,
    look: Lookup,
    decision: Decision,
    step_id: str,
    run_id: str,
    now_us: int,
) -> Asked:
    """Make the value under which a call is remembered; a retry keeps its step."""
    again = decision.retry_of
    before = again or decision.continues
    grows = look.cuts[0][0] if look.cuts else 0
    brief = [each for each in (look.same, look.retry) if each]
    lasting = dict.fromkeys((look.strict, look.loose, grows))
    return Asked(
        run_id=run_id,
        step_id=again.step_id if again else step_id,
        step_seq=again.step_seq if again else 0,
        turn_seq=decision.turn_seq,
        seen_us=now_us,
        attempt=again.attempt + 1 if again else 0,
        signature=_one(hints.signature, before.signature if before else 0),
        connection=_one(hints.connection, before.connection if before else 0),
        size=len(conversation.text.rstrip()) if look.cuts else 0,
        brief=len(brief),
        lasting=sum(map(bool, lasting)),
        keys=(*brief, *filter(None, (*lasting, decision.shown))),
    )


def at_admission(
    hints: Hints,
    conversation: Conversation,
    look: Lookup,
    decision: Decision,
    asked: Asked,
) -> tuple[Call, list[Change]]:
    """Say what to remember of a call that begins and belongs to a run; a call of none leaves nothing but its bytes."""
    is_llm, count = hints.kind is Kind.LLM, conversation.asked
    items = conversation.items
    call = Call(
        asked, hints.tenant, look.scope, look.waiting, is_llm,
        items[count - 1] if is_llm and count else None, marks(items[:count]) if is_llm else (), count < len(items), decision.continues,
    )  # fmt: skip
    changes = pushes(asked)
    before = decision.continues
    if before is not None and not before.continued_by:
        changes += continued(before, asked.step_id)
    if not asked.run_id:
        return call, changes
    link = Link(asked.run_id, asked.turn_seq)
    if look.trace:
        changes.append(Lead(look.trace, Shelf.LINK, link))
    if (
        before is not None
        and is_llm
        and look.pairs
        and not _newest(items[:count]).telling
    ):
        # Both neighbours were seen here, so that a conversation whose beginning is cut off is still known by them. Where the newest answer
        # has ids, the newest pair is an older one, which may be an example that stands in every request.
        changes.append(Lead(look.pairs[0][0], Shelf.LINK, link))
    if is_llm:
        gone_on = Waits(asked.run_id, asked.turn_seq, asked.seen_us, ())
        changes += [Wait(each, gone_on) for each in look.waiting]
    return call, changes


def of_none(
    hints: Hints, look: Lookup, again: Asked | None, step_id: str, now_us: int
) -> tuple[Call, list[Change]]:
    """Say what to remember of a call that begins and belongs to no run: its bytes, for its next attempt; `again` is the one before."""
    strays = tuple(look.strays)
    asked = Asked(
        run_id="",
        step_id=again.step_id if again else step_id,
        step_seq=0,
        turn_seq=0,
        seen_us=now_us,
        attempt=again.attempt + 1 if again else 0,
        signature=hints.signature,
        connection=hints.connection,
        brief=len(strays),
        keys=strays,
    )
    return Call(asked, hints.tenant, 0, (), False, None, (), False, None), pushes(asked)


def at_answer(
    seed: int, call: Call, state: str, answer: Answer, now_us: int
) -> list[Change]:
    """Say what to remember of a call that is over (`state` as `Asked.state`)."""
    before = call.continues
    seen_us = call.asked.seen_us if state == "done" else max(now_us, call.asked.seen_us)
    asked = msgspec.structs.replace(call.asked, state=state, reply=_reply(call, answer), seen_us=seen_us)  # fmt: skip
    changes: list[Change] = []
    if call.is_llm and asked.run_id:
        shown = _shown(seed, call, answer, state)
        asked = msgspec.structs.replace(asked, keys=(*asked.keys, *shown))
    changes += pushes(asked)
    if state != "done" and before is not None and not before.continued_by:
        changes += pushes(before)  # another one may go on from there
    if not call.is_llm or not asked.run_id:
        return changes
    link, item = Link(asked.run_id, asked.turn_seq), answer.item
    if item is not None:
        if call.last is not None and not item.telling and not call.is_prefilled:
            changes.append(Lead(pair_key(call.scope, call.last, item), Shelf.LINK, link))  # fmt: skip
        if item.names and state == "done":
            waits = Waits(asked.run_id, asked.turn_seq, now_us, item.names)
            changes += [Wait(each, waits) for each in call.waiting]
    changes += [Lead(echo_key(call.scope, each), Shelf.ECHO, link) for each in answer.echoes]  # fmt: skip
    return changes


def _shown(seed: int, call: Call, answer: Answer, state: str) -> list[int]:
    """Give the keys of what the next request may show of an answer: its ids, and itself behind what it stood behind."""
    found, item = [], answer.item
    if answer.response_id and state == "done":
        found.append(response_key(seed, call.tenant, answer.response_id))
    if item is not None:
        in_ids = id_space(seed, call.tenant)
        found += [id_key(in_ids, each) for each in item.telling[:MAX_KEPT_IDS]]
        if not call.is_prefilled:
            found += [each for each, _ in context_keys(call.scope, call.marks, item)]
    return found


def pushes(asked: Asked) -> list[Change]:
    """Put a call under each of its keys."""
    return [Push(each, shelf, asked) for each, shelf in _places(asked)]


def _places(asked: Asked) -> Iterator[tuple[int, Shelf]]:
    shelves = [Shelf.BRIEF] * asked.brief + [Shelf.CHAIN] * asked.lasting
    shelves += [Shelf.LINK] * (len(asked.keys) - len(shelves))
    return zip(asked.keys, shelves, strict=False)


def continued(before: Asked, step_id: str) -> list[Change]:
    """Let a step go on from a call: that one is put under its keys once more, and need not know them any longer."""
    after = msgspec.structs.replace(before, continued_by=step_id, keys=())
    return [Push(each, shelf, after) for each, shelf in _places(before)]


def _one(value: int, known: int) -> int:
    """Give one object for what all calls of a client have."""
    return known if known == value else value


def _newest(items: tuple[Item, ...]) -> Item:
    return next(each for each in reversed(items) if each.role == "assistant")


def _reply(call: Call, answer: Answer) -> Reply | None:
    """Give what of an answer is remembered; where it goes on from a beginning that the request gave, its text is not known."""
    item = answer.item
    if item is None:
        return None
    if not call.is_prefilled:
        return Reply(item.full, item.calls, item.head, item.telling)
    return Reply(0, item.calls, 0, item.telling) if item.calls else None
