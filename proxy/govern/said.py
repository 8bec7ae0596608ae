"""What the newest part of a conversation says to the patterns of loops: calls whose results are new, these results, and what is asked.

What lives here: hashes of masked texts. What does not: which messages are new (`identify.conversation`), masking (`judge.masking`), patterns.
"""

import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence

import msgspec

from proxy.identify import request
from proxy.identify.conversation import Conversation
from proxy.identify.hashing import digest, mix, utf8
from proxy.identify.messages import canonical, parts_of, result_text
from proxy.identify.parts import Parts
from proxy.judge.masking import MAX_BYTES, masked, masked_result
from proxy.model import ToolCall

MAX_RESULTS = 64
"""Of a request with more new results the newest are looked at."""
ASKED_BYTES = 2 << 10
"""Of what is asked, so much from its beginning is masked: each call asks, and most of them ask much."""
_ANSWERED = 8192
_CALL, _RESULT, _ASKED = b"\x11", b"\x12", b"\x13"
_FAILED = re.compile(
    rb"\s*(?:\{\s*\"(?:error|exception|isError)\"|[a-z_.]{0,40}(?:error|exception)\b|traceback \(most recent call last\)|failed\b)",
    re.IGNORECASE,
)
"""How results begin that say that the call failed, in families that have no flag for it."""


class Said(msgspec.Struct, frozen=True):
    """See the members of `Case` with the same names."""

    body: int = 0
    calls: tuple[int, ...] = ()
    tools: tuple[str, ...] = ()
    results: tuple[int, ...] = ()
    errors: tuple[int, ...] = ()


NOTHING = Said()
_Made = tuple[str, int]
"""A call's tool, and its hash."""


class Answered:
    """Calls that answers made whose requests will not show them again, since the provider keeps the conversation; bounded."""

    def __init__(self, capacity: int = _ANSWERED) -> None:
        self._capacity = capacity
        self._made: OrderedDict[tuple[str, str], _Made] = OrderedDict()

    def note(
        self, seed: int, tenant: str, calls: Iterable[ToolCall], now_us: int
    ) -> None:
        """Remember the calls of an answer."""
        for each in calls:
            if each.id:
                made = _made(seed, each.name, canonical(each.arguments), now_us)
                self._made[(tenant, each.id)] = made
                self._made.move_to_end((tenant, each.id))
        while len(self._made) > self._capacity:
            self._made.popitem(last=False)

    def get(self, tenant: str, call_id: str) -> _Made | None:
        """Give a call by its id."""
        return self._made.get((tenant, call_id))


def said(
    seed: int,
    tenant: str,
    conversation: Conversation,
    body: bytes | None,
    answered: Answered,
    now_us: int,
) -> Said:
    """Read what is new in a request; `body` is what came where it is no conversation."""
    if not body:
        return NOTHING
    tail = conversation.tail
    if not tail:
        return Said(_asked(seed, body, now_us))
    before = hash(conversation.before_tail())
    if conversation.brings_results:
        # What is too dense to be looked into while it is identified is not looked into here, either.
        parts = [parts_of(request.value(each)) for each in tail]
        if any(each.results for each in parts):
            return _with_results(seed, tenant, before, parts, answered, now_us)
    return Said(mix(before, _asked(seed, b"\xff".join(tail), now_us)))


def _with_results(
    seed: int,
    tenant: str,
    before: int,
    parts: Sequence[Parts],
    answered: Answered,
    now_us: int,
) -> Said:
    made = {
        call_id or name: (name, arguments)
        for each in parts
        for call_id, name, arguments in each.calls
    }
    calls, tools, results, errors = [], [], [], []
    new = [(each, part) for part in parts for each in part.results][-MAX_RESULTS:]
    for (call_id, name, body), part in new:
        text = result_text(body)
        result = digest(seed, _RESULT, masked_result(text))
        is_failed = call_id in part.failed or _FAILED.match(text[:MAX_BYTES])
        found = made.get(call_id) or made.get(name)
        call = _made(seed, *found, now_us) if found else answered.get(tenant, call_id)
        if is_failed:
            errors.append(result)
        if call is not None:
            tools.append(call[0])
            calls.append(call[1])
            results.append(result)
    # What is asked follows from what is hashed anyway: masking takes a microsecond for fifty bytes.
    texts = utf8("\n".join(text for each in parts for text in each.text))
    asked = _asked(seed, texts, now_us) if texts else 1
    asked = mix(asked, hash((before, *calls, *results, *errors)))
    return Said(asked, tuple(calls), tuple(tools), tuple(results), tuple(errors))


def _asked(seed: int, text: bytes, now_us: int) -> int:
    return digest(seed, _ASKED, masked(text[:ASKED_BYTES], now_us), text[ASKED_BYTES:])


def _made(seed: int, name: str, arguments: bytes, now_us: int) -> _Made:
    return name, digest(seed, _CALL, utf8(name), masked(arguments, now_us))
