"""Which earlier call a conversation goes on from.

What lives here: the rungs of one conversation: its prefix and the answer behind it, ids that the provider issued, neighbours that were
seen before, a prompt that grew. What does not: the rungs above and below (`ladder.py`).

A conversation goes on where an earlier request's whole list of messages is a proper prefix of this one's and what follows it is what
that request was answered. Ids that providers issue decide before texts do; texts that fit nothing that was answered decide nothing, so
that two runs which begin alike are not taken for one.
"""

from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

from proxy.identify.conversation import Conversation
from proxy.identify.facts import Asked, Calls, Fact, Link
from proxy.identify.fits import (
    BY_CALLS,
    BY_HEAD,
    BY_ID,
    BY_OTHER_IDS,
    BY_REPLY,
    UNTOLD,
    Found,
    pick,
    score_in_context,
)
from proxy.identify.items import HEAD_CHARS, Item, head
from proxy.identify.lookup import Hints, Lookup

ANEW_US = 2 * 60 * 1_000_000
"""A conversation whose only call failed is tried anew within this time, by the same client."""
TELLING_CHARS = 60
"""Neighbours shorter than this together are said in many conversations."""
CONTEXT_CHARS = 24
"""Less is enough where the call is known that was answered this, and is the only one."""

MAX_LINES = 6
ISSUED = "a tool call's id"


class Joined(NamedTuple):
    """The run that a conversation belongs to."""

    run_id: str
    turn_seq: int
    asked: Asked | None
    """The call from which it goes on, where that is known."""
    evidence: str
    is_strong: bool


def continuation(
    seed: int,
    hints: Hints,
    conversation: Conversation,
    look: Lookup,
    found: Mapping[int, Fact],
    now_us: int,
) -> Joined | None:
    """Find the run; `None` where nothing fits."""
    best = _newest(hints, conversation, look, found) or _grown(seed, hints, conversation, look, found)  # fmt: skip
    if best is not None:
        turn = turn_after(conversation, best.asked.turn_seq)
        return Joined(best.asked.run_id, turn, best.continues, best.evidence, best.score >= BY_CALLS)  # fmt: skip
    return _older(hints, conversation, look, found) or _anew(hints, look, found, now_us)


def _newest(
    hints: Hints, conversation: Conversation, look: Lookup, found: Mapping[int, Fact]
) -> Found | None:
    """Find the call that was answered what stands here as the newest answer: only from that one a conversation goes on, or branches off."""
    places = [each for each in look.prefixes if each[0] >= look.newest]
    best = _by_prefix(hints, conversation, places, found)
    own = {each for item in conversation.items[look.newest :] for each in item.telling}
    issued = _known_by(look.ids[: look.newest_ids], found, own)
    if issued is not None and (best is None or (best.score < BY_ID and best.asked.run_id != issued.run_id)):  # fmt: skip
        return Found(issued, BY_ID, ISSUED)
    if best is None and look.newest:
        return _by_context(hints, conversation.items[look.newest], look, found)
    return best


def _older(
    hints: Hints, conversation: Conversation, look: Lookup, found: Mapping[int, Fact]
) -> Joined | None:
    """Find a call from which this conversation went on earlier; the newest answer is not known as anybody's."""
    issued = _known_by(look.ids[look.newest_ids :], found)
    if issued is not None:
        turn = turn_after(conversation, issued.turn_seq)
        return Joined(issued.run_id, turn, issued, ISSUED, True)
    places = [each for each in look.prefixes if each[0] < look.newest]
    best = _by_prefix(hints, conversation, places, found)
    if best is not None:
        turn = turn_after(conversation, best.asked.turn_seq)
        return Joined(best.asked.run_id, turn, best.continues, "an earlier part of the conversation", False)  # fmt: skip
    link = _by_pairs(look, found)
    if link is not None:
        turn = turn_after(conversation, link.turn_seq)
        return Joined(link.run_id, turn, None, "a part of the conversation", False)
    return None


def turn_after(conversation: Conversation, turn_seq: int) -> int:
    """Count a turn where a user speaks after the newest answer; results of tools, and what stands beside them, are none."""
    spoke = False
    for item in reversed(conversation.items):
        if item.role == "tool":
            return turn_seq
        if item.role == "assistant":
            break
        spoke = True
    return turn_seq + spoke


def _by_prefix(
    hints: Hints,
    conversation: Conversation,
    places: Sequence[tuple[int, int, int]],
    found: Mapping[int, Fact],
) -> Found | None:
    """Find the call whose whole request is the longest proper prefix of this one, and whose answer stands behind it."""
    items = conversation.items
    for n, strict, loose in places:
        reply = items[n] if items[n].role == "assistant" else None
        # What the request itself begins the answer with may stand in many: it goes on only from an answer that begins so.
        best = pick(hints, found.get(strict), reply, UNTOLD if n < conversation.asked or reply is None else BY_HEAD)  # fmt: skip
        if best is None and reply is not None:
            best = pick(hints, found.get(loose), reply, BY_CALLS)
        if best is not None:
            return best
    return None


def _grown(
    seed: int,
    hints: Hints,
    conversation: Conversation,
    look: Lookup,
    found: Mapping[int, Fact],
) -> Found | None:
    """Find the call whose prompt is the beginning of this one's, and whose answer stands behind it."""
    for where, cut in look.cuts:
        known = found.get(where)
        for asked in reversed(known.asked) if isinstance(known, Calls) else ():
            behind = conversation.text[asked.size : asked.size + 8 * HEAD_CHARS]
            answered = asked.reply
            if asked.size > cut.place and answered and answered.head and _starts(seed, behind, answered.head):  # fmt: skip
                return Found(asked, BY_REPLY)
    return None


def _starts(seed: int, text: str, start: int) -> bool:
    """Tell whether a text begins with an answer of which the beginning is known; a short one ends with a line."""
    lines = text.split("\n", MAX_LINES)[:MAX_LINES]
    shorter = ("\n".join(lines[: n + 1]) for n in range(len(lines)))
    return head(seed, text) == start or any(head(seed, each) == start for each in shorter)  # fmt: skip


def _by_pairs(look: Lookup, found: Mapping[int, Fact]) -> Link | None:
    """Find the run that the newest neighbours lead to; short ones must agree with others."""
    chars: dict[str, int] = {}
    for each, size in look.pairs:
        link = found.get(each)
        if isinstance(link, Link) and not link.is_ambiguous:
            chars[link.run_id] = chars.get(link.run_id, 0) + size
            if chars[link.run_id] >= TELLING_CHARS:
                return link
    return None


def _anew(
    hints: Hints, look: Lookup, found: Mapping[int, Fact], now_us: int
) -> Joined | None:
    """Find the first call that said the same in other bytes, or was refused here: it is not repeated but tried anew.

    Where several runs began like that, only over the connection of the one that failed: users of a service do, and fail together.
    """
    known = found.get(look.strict)
    calls = known.asked if isinstance(known, Calls) else ()
    for asked in reversed(calls):
        failed = asked.state in ("failed", "blocked")
        is_recent = now_us - asked.seen_us <= ANEW_US
        is_same = asked.signature == hints.signature != 0
        is_free = is_recent and is_same and not asked.continued_by
        is_only = asked.connection == hints.connection != 0 or all(each.run_id == asked.run_id for each in calls)  # fmt: skip
        if failed and is_free and is_only:
            return Joined(asked.run_id, asked.turn_seq, asked, "a call that failed is tried anew", False)  # fmt: skip
    return None


def _known_by(
    keys: Sequence[int], found: Mapping[int, Fact], issued: Set[int] | None = None
) -> Asked | None:
    """Find the call of the first id that is known; one that issued one of these, where they are given, and did not just show them."""
    for each in keys:
        known = found.get(each)
        calls = [
            asked
            for asked in (known.asked if isinstance(known, Calls) else ())
            if issued is None or (asked.reply and not issued.isdisjoint(asked.reply.ids))
        ]  # fmt: skip
        if calls:
            return max(calls, key=lambda asked: (not asked.continued_by, asked.seen_us))
    return None


def _by_context(
    hints: Hints, reply: Item, look: Lookup, found: Mapping[int, Fact]
) -> Found | None:
    """Find the call of one run alone that was answered this behind the same user message or the same answer, whatever else has changed."""
    chars: dict[str, int] = {}
    fitting: dict[str, Found] = {}
    for each, size in look.contexts:
        known = found.get(each)
        for asked in known.asked if isinstance(known, Calls) else ():
            score = score_in_context(hints, asked, reply)
            if score:
                chars[asked.step_id] = chars.get(asked.step_id, 0) + size
                fitting[asked.step_id] = Found(asked, score, "the newest answer")
    told = [
        each
        for step_id, each in fitting.items()
        if chars[step_id] >= (CONTEXT_CHARS if each.score > BY_OTHER_IDS else TELLING_CHARS)
    ]  # fmt: skip
    free = [each for each in told if not each.asked.continued_by] or told
    most = max((chars[each.asked.step_id] for each in free), default=0)
    best = [each for each in free if chars[each.asked.step_id] == most]
    if _runs(best) > 1:
        best = [each for each in best if each.asked.connection == hints.connection]
    if _runs(best) != 1:
        return None
    return max(best, key=lambda each: (each.score, each.asked.seen_us))


def _runs(found: Sequence[Found]) -> int:
    return len({each.asked.run_id for each in found})
