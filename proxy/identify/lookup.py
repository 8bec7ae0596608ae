"""Which facts may matter for a request: all keys at once, so that asking for them is one round trip.

What lives here: the chain of hashes over a conversation, and the keys made of it. What does not: what follows from what was found
(`ladder.py`).

Keys come in two chains. In the strict one each item counts in full. In the loose one results, and what a user says after the first
answer, count only as having been there, and digits of the first prompt do not: agents cut old observations, inject reminders and
clocks. What is found by it alone needs a better fit of the answer (`continuation.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from proxy.identify.caller import CLIENT_KEY
from proxy.identify.conversation import Conversation
from proxy.identify.echo import Piece
from proxy.identify.growth import Cut
from proxy.identify.hashing import MASK, digest, key, mix, utf8
from proxy.identify.items import Item
from proxy.model import Kind

MAX_PREFIXES = 32
"""So many of the newest prefixes of a conversation are looked up."""
MAX_LOOKED_IDS = 24
MAX_PAIRS = 16


@dataclass(frozen=True, slots=True)
class Hints:
    """What is known of a request beside the conversation."""

    tenant: str
    caller: str
    kind: Kind
    run: str = ""
    """What path or header named."""
    harness_run: str = ""
    harness_parent: str = ""
    trace_id: str = ""
    body_hash: int = 0
    """Of path and body; 0 where the body was not read."""
    signature: int = 0
    """Hash of User-Agent and the peer's address."""
    connection: int = 0
    is_retry: bool = False
    """The client says so itself."""
    retry_count: int = 0
    """How often it says to have tried before."""
    retry_key: str = ""
    """An id that stays over a client's retries."""
    tool: str = ""
    """The tool, or the route, that is called."""
    peer: str = ""
    """The host that calls."""
    user_agent: str = ""
    agent: str = ""
    """The agent, where it was not made of a prompt: agents of a crew have several prompts."""
    session: str = ""
    """What a header or an agent tool named."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """The keys of all facts that may matter for one request; 0 where there is none."""

    same: int = 0
    """Calls of exactly these bytes."""
    retry: int = 0
    """Calls under the client's own id of the logical call."""
    stray_same: int = 0
    stray_retry: int = 0
    """As these two, of calls that belong to no run."""
    strict: int = 0
    loose: int = 0
    """Calls with this whole conversation."""
    prefixes: tuple[tuple[int, int, int], ...] = ()
    """(Number of items, strict key, loose key), longest first."""
    ids: tuple[int, ...] = ()
    """Calls that issued ids, newest first."""
    newest_ids: int = 0
    """How many of them belong to the newest answer."""
    contexts: tuple[tuple[int, int], ...] = ()
    """(Key, characters): calls whose answer was the newest one here, behind the same user message, behind the same answer."""
    newest: int = 0
    """How many items stand before the newest answer; 0 where there is none."""
    pairs: tuple[tuple[int, int], ...] = ()
    """(Key, characters), newest first."""
    cuts: tuple[tuple[int, Cut], ...] = ()
    """(Key, place), latest place first."""
    response: int = 0
    trace: int = 0
    echoes: tuple[tuple[int, int], ...] = ()
    """(Key, characters)."""
    waiting: tuple[int, ...] = ()
    """Where runs that wait are listed: of the caller, of the host."""
    session: int = 0
    scope: int = field(default=0, compare=False)

    def keys(self) -> list[int]:
        """Give all of them, each once."""
        found = [self.same, self.retry, *self.strays, self.strict, self.loose, self.response, self.trace, self.session, *self.ids, *self.waiting]  # fmt: skip
        for _, strict, loose in self.prefixes:
            found += (strict, loose)
        for listed in (self.pairs, self.contexts, self.cuts, self.echoes):
            found += [each[0] for each in listed]
        return [each for each in dict.fromkeys(found) if each]

    @property
    def strays(self) -> list[int]:
        """Give the keys under which a call that belongs to no run is remembered."""
        return [each for each in (self.stray_same, self.stray_retry) if each]


_CHAIN, _LOOSE, _SAME, _RETRY, _PAIR, _ECHO, _CUT, _CONTEXT, _STRAY = range(
    0x1F01, 0x1F0A
)
_RESULT, _LATER, _NOTHING = 0x2F01, 0x2F02, 0x2F03


def lookup(
    seed: int,
    hints: Hints,
    conversation: Conversation,
    echoes: Sequence[Piece] = (),
    cuts: Sequence[Cut] = (),
) -> Lookup:
    """Say which facts to look up. `echoes` and `cuts` are those of the conversation's text."""
    tenant = hints.tenant
    scope = key(seed, b"scope", tenant, hints.caller)
    is_llm = hints.kind is Kind.LLM
    items = conversation.items if is_llm else ()
    asked = conversation.asked if items else 0
    strict, loose = _chains(seed, items)
    in_chain, in_loose = mix(scope, _CHAIN), mix(scope, _LOOSE)
    in_echo, in_ids = mix(scope, _ECHO), id_space(seed, tenant)
    newest = _newest_answer(items, asked)
    ids, own = _newest_ids(items, newest)
    response, pair, in_cuts = conversation.previous_response_id, mix(scope, _PAIR), mix(scope, _CUT)  # fmt: skip
    same = mix(mix(scope, _SAME), hints.body_hash) if hints.body_hash else 0
    retry = _retry_key(seed, hints) if hints.retry_key else 0
    in_strays = mix(digest(seed, utf8(hints.run)), _STRAY)
    return Lookup(
        same=same,
        retry=retry,
        stray_same=mix(in_strays, same) if same else 0,
        stray_retry=mix(in_strays, retry) if retry else 0,
        strict=mix(in_chain, strict[asked]) if asked else 0,
        loose=mix(in_loose, loose[asked]) if asked else 0,
        prefixes=tuple((n, mix(in_chain, strict[n]), mix(in_loose, loose[n])) for n in _places(items)),
        ids=tuple(id_key(in_ids, each) for each in ids),
        newest_ids=own,
        contexts=context_keys(scope, marks(items[:newest]), items[newest]) if newest else (),
        newest=newest,
        pairs=tuple((mix(pair, each), size) for each, size in _pairs(items[:asked])[:MAX_PAIRS]),
        cuts=tuple((mix(in_cuts, cut.digest), cut) for cut in cuts) if is_llm else (),
        response=response_key(seed, tenant, response) if response else 0,
        trace=key(seed, b"trace", tenant, hints.trace_id) if hints.trace_id else 0,
        echoes=tuple((mix(in_echo, digested), chars) for digested, chars in echoes) if is_llm else (),
        waiting=waiting_keys(seed, hints),
        session=key(seed, b"session", tenant, hints.caller, hints.user_agent, hints.agent),
        scope=scope,
    )  # fmt: skip


def id_space(seed: int, tenant: str) -> int:
    """Give the space of a tenant's ids: whatever the caller's credential, an id leads to one run."""
    return key(seed, b"ids", tenant)


def response_key(seed: int, tenant: str, response_id: str) -> int:
    """Give the key of the call that was answered under an id."""
    return key(seed, b"response", tenant, response_id)


def id_key(space: int, telling: int) -> int:
    """Give the key of an id that a provider issued (`Item.telling`)."""
    return mix(space, telling)


def echo_key(scope: int, piece: Piece) -> int:
    """Give the key of a piece of an answer."""
    return mix(mix(scope, _ECHO), piece.digest)


def pair_key(scope: int, before: Item, answer: Item) -> int:
    """Give the key of two neighbours of which the later is an answer."""
    return mix(mix(scope, _PAIR), mix(before.full, answer.full))


def marks(items: Sequence[Item]) -> tuple[tuple[int, int], ...]:
    """Give what an answer that comes next stands behind, with its characters: what the user said last, what was answered last.

    A beginning counts for an answer's text, since frameworks cut and decorate what follows, and its calls count for the rest.
    """
    said = next((each for each in reversed(items) if each.role == "user"), None)
    before = next((each for each in reversed(items) if each.role == "assistant"), None)
    answered = (before.calls or before.head, before.size) if before else (_NOTHING, 0)
    return (answered, (said.loose, said.size)) if said else (answered,)


def context_keys(
    scope: int, before: Sequence[tuple[int, int]], answer: Item
) -> tuple[tuple[int, int], ...]:
    """Give the keys of an answer and what it stands behind, with their characters."""
    said = mix(mix(scope, _CONTEXT), answer.calls or answer.head)
    return tuple((mix(said, mark), size + answer.size) for mark, size in before)


def waiting_keys(seed: int, hints: Hints) -> tuple[int, ...]:
    """Give the lists in which a run of this caller waits: its own and, as tools have other credentials, its host's. A client key is the same for both."""
    own = key(seed, b"waiting", hints.tenant, hints.caller)
    if not hints.peer or hints.caller.startswith(CLIENT_KEY):
        return (own,)
    return own, key(seed, b"host", hints.tenant, hints.peer)


def _retry_key(seed: int, hints: Hints) -> int:
    """Name a logical call by its client's own id of it, and by its bytes: some clients give one id to different calls."""
    said = mix(key(seed, b"retry", hints.tenant, hints.caller, hints.retry_key), _RETRY)
    return mix(said, hints.body_hash)


def _chains(seed: int, items: Sequence[Item]) -> tuple[list[int], list[int]]:
    """Give the rolling hashes after 0, 1, … items."""
    chain = bare = seed or 1
    strict, loose = [chain], [bare]
    later = 0
    for item in items:  # `mix`, written out: this is done for each item of each request
        full = item.full
        chain = (hash((chain, full)) & MASK) or 1
        strict.append(chain)
        if item.role == "assistant":
            later = _LATER
        else:
            full = _RESULT if item.role == "tool" else later or item.loose
        bare = (hash((bare, full)) & MASK) or 1
        loose.append(bare)
    return strict, loose


def _places(items: Sequence[Item]) -> list[int]:
    """Say after how many items an earlier request may have ended, the latest place first."""
    last = len(items) - 1
    places = [n for n in range(last, 0, -1) if items[n].role == "assistant"]
    if last > 0 and items[last].role != "assistant":
        places.insert(0, last)
    return places[:MAX_PREFIXES]


def _newest_answer(items: Sequence[Item], asked: int) -> int:
    return next((n for n in range(asked - 1, 0, -1) if items[n].role == "assistant"), 0)


def _newest_ids(items: Sequence[Item], newest: int) -> tuple[list[int], int]:
    """Give ids, the newest first, and how many of them stand in the newest answer and behind it."""
    found: dict[int, None] = {}
    own = 0
    for place in range(len(items) - 1, -1, -1):
        for each in items[place].telling:
            found[each] = None
        if place >= newest:
            own = len(found)
        if len(found) >= MAX_LOOKED_IDS:
            break
    return list(found)[:MAX_LOOKED_IDS], min(own, MAX_LOOKED_IDS)


def _pairs(items: Sequence[Item]) -> list[tuple[int, int]]:
    """Hash neighbours of which the later is an answer: what stays of a conversation whose beginning was cut off. Newest first.

    Where the answer has ids, these decide.
    """
    found = [
        (mix(before.full, after.full), before.size + after.size)
        for before, after in pairwise(items[-4 * MAX_PAIRS :])
        if after.role == "assistant" and not after.telling
    ]
    return found[::-1]
