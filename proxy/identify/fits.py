"""How well what stands in a request fits what an earlier call was answered.

What lives here: the fits, and the choice among calls that said the same. What does not: which calls come into question
(`continuation.py`).
"""

from typing import NamedTuple

from proxy.identify.facts import MAX_RECENT, Asked, Calls, Fact, Reply
from proxy.identify.items import SIGNATURE, Item
from proxy.identify.lookup import Hints

EXTENDS = "the conversation goes on"
BY_ID, BY_REPLY, BY_CALLS, BY_HEAD, BY_OTHER_IDS, UNTOLD = 6, 5, 4, 3, 2, 1
"""The fits, the best first. `UNTOLD`: the answer is not known."""

_Ranked = tuple[int, bool, bool, bool, int, int]
"""Fit, same client, not gone on from, same connection, when, and which call."""


class Found(NamedTuple):
    """A call, and how well it fits."""

    asked: Asked
    score: int
    evidence: str = EXTENDS
    """Another one than this: not all that was asked stands here, too; the history was cut, summed up or edited."""

    @property
    def continues(self) -> Asked | None:
        """Give the call from which the conversation goes on, where that is certain.

        Under other ids it may be somebody else's: the call stays free for the one who has the right ones. A changed history with an
        answer from which another call went on is what a summary leaves behind more often than a branch.
        """
        is_unsure = self.score == BY_OTHER_IDS
        is_rest = self.asked.continued_by and self.evidence != EXTENDS
        return None if is_unsure or is_rest else self.asked


def pick(
    hints: Hints, known: Fact | None, reply: Item | None, least: int
) -> Found | None:
    """Choose among calls that said the same the one that was answered what follows; `least` is the worst fit that is good enough."""
    if not isinstance(known, Calls):
        return None
    ranked = [
        (score, each.signature == hints.signature, not each.continued_by,
         each.connection == hints.connection, each.seen_us, place)
        for place, each in enumerate(known.asked)
        if (score := _score(hints, each, reply)) >= least
    ]  # fmt: skip
    if not ranked:
        return None
    best = max(ranked)
    if best[0] <= BY_HEAD and _is_doubtful(known.asked, ranked, best):
        return None
    return Found(known.asked[best[-1]], best[0])


def _is_doubtful(
    asked: tuple[Asked, ...], ranked: list[_Ranked], best: _Ranked
) -> bool:
    """Tell whether a weak fit may be anybody's: another run's call fits as well but for the time, or so many said the same that some were forgotten."""
    if len(asked) >= MAX_RECENT:
        return True
    run_id = asked[best[-1]].run_id
    return any(each[:4] == best[:4] and asked[each[-1]].run_id != run_id for each in ranked)  # fmt: skip


def _score(hints: Hints, asked: Asked, reply: Item | None) -> int:
    """Say how well what follows fits what that call was answered; 0 does not fit."""
    answered = asked.reply
    if (
        reply is None
    ):  # the answer was left out: only what was never answered goes on like this
        return UNTOLD if answered is None and asked.state == "failed" else 0
    if answered is None:
        return UNTOLD if asked.state in ("done", "failed") else 0
    if any(each in answered.ids for each in reply.telling):
        return BY_ID
    fit = _fit(answered, reply)
    has_other_ids = bool(answered.ids and reply.telling)
    if fit > BY_HEAD and not has_other_ids:
        return fit
    # The same words under other ids, or only their beginning: of one client, and once.
    is_alike = asked.signature == hints.signature and not asked.continued_by
    return min(fit, BY_OTHER_IDS if has_other_ids else BY_HEAD) if is_alike else 0


def _fit(answered: Reply, reply: Item) -> int:
    if answered.full == reply.full:
        return BY_REPLY
    if answered.calls and answered.calls == reply.calls:
        return BY_CALLS
    return BY_HEAD if answered.head and answered.head == reply.head else 0


def score_in_context(hints: Hints, asked: Asked, reply: Item) -> int:
    """Say how well an answer fits where the conversation before it is another one: any other ids count against it."""
    score, answered = _score(hints, asked, reply), asked.reply
    if answered is None or score <= UNTOLD:
        return 0
    has_ids = any(not each.startswith(SIGNATURE) for each in reply.ids)
    is_renamed = score < BY_ID and has_ids and bool(answered.ids)
    return BY_OTHER_IDS if is_renamed else score
