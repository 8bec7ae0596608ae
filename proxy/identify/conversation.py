"""What a request to a model carries of its conversation, in one form for all families.

What lives here: reading what was said, and remembering messages and definitions of tools that were read before. What does not: which
run that makes it (`ladder.py`), one message (`messages.py`), where all that stands in a request (`request.py`).

Messages are hashed as they stood on the wire first: one that was seen before is not looked into again, so that a long history costs a
look-up a message.
"""

from collections.abc import Generator

import msgspec
import xxhash

from proxy.identify import request
from proxy.identify.items import Item, joined, user_item
from proxy.identify.known import Known
from proxy.identify.messages import items_of, lenient_get, system_text, texts_of
from proxy.identify.request import AnyRequest
from proxy.identify.tools import tool_names
from proxy.meter import lenient

MAX_ITEMS = 5000
"""Of a longer conversation only the newest are looked at."""
SYSTEM_CHARS = 64_000
ID_CHARS = 256
TEXT_BYTES = 64 << 10
"""Of larger requests no text is kept for `echo.py` and `growth.py`."""
MESSAGE_COSTS = 4000
"""A message takes as long as so many bytes of text."""
SLICE_BYTES = 1 << 20
"""After so much work the event loop gets its turn."""
CACHED_MESSAGES = 50_000
CACHED_BYTES = 32 << 20
CACHED_TOOLS = 256
CACHED_TOOL_BYTES = 1 << 20
ITEM_BYTES = 300
_NAMED = ("session_id", "litellm_session_id", "prompt_cache_key")


class Conversation(msgspec.Struct, frozen=True):
    """What the ladder looks at; empty where the body said nothing of it."""

    items: tuple[Item, ...] = ()
    """What was said, called and returned, in wire order, without system prompts."""
    system: str = ""
    tools: tuple[str, ...] = ()
    """Names of the tools on offer, in wire order."""
    previous_response_id: str = ""
    conversation_id: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    """Members of `metadata` and `client_metadata` that are text, and session ids by their names."""
    text: str = ""
    """Of a small request without any answer in it: all that was written."""
    tail: tuple[msgspec.Raw, ...] = ()
    """The messages from the newest answer on, as they stood on the wire; all of them where there is no answer."""

    @property
    def asked(self) -> int:
        """How many items there are without the answer at the end that this request wants continued."""
        count = len(self.items)
        return count - 1 if count and self.items[-1].role == "assistant" else count

    def before_tail(self) -> tuple[int, ...]:
        """Give the hashes of what was said before `tail`."""
        return tuple(item.full for item in self.items[: _last_answer(self.items)])

    @property
    def brings_results(self) -> bool:
        """Whether `tail` may have results of calls; also one without a tool's name or id counts."""
        return any(item.role == "tool" for item in self.items[_last_answer(self.items) :])  # fmt: skip

    @property
    def has_history(self) -> bool:
        """Whether the model has spoken before."""
        return any(item.role == "assistant" for item in self.items[: self.asked])


def _last_answer(items: tuple[Item, ...]) -> int:
    """Give the place of the newest answer; 0 where there is none."""
    places = range(len(items) - 1, -1, -1)
    return next((at for at in places if items[at].role == "assistant"), 0)


Read = tuple[tuple[Item, ...], str]
"""A message's items, and its text if it is a system prompt."""


class Conversations:
    """Reads requests; remembers messages and definitions by the hash of their bytes."""

    def __init__(
        self,
        seed: int,
        capacity: int = CACHED_MESSAGES,
        capacity_bytes: int = CACHED_BYTES,
    ) -> None:
        """`seed` keys the hashes, so that short messages cannot be guessed from them; so many messages are remembered, of so many bytes."""
        self._seed = seed
        self._known: Known[int, Read] = Known(capacity, capacity_bytes)
        self._tools: Known[int, tuple[str, ...]] = Known(CACHED_TOOLS, CACHED_TOOL_BYTES)  # fmt: skip

    def read(self, body: bytes) -> Conversation | None:
        """Read a request's body; `None` where it is no JSON object. Never raises for anything in it."""
        reading = self.reading(body)
        while True:
            try:
                next(reading)
            except StopIteration as ended:
                found: Conversation | None = ended.value
                return found

    def reading(self, body: bytes) -> Generator[None, None, Conversation | None]:
        """Read as `read` does, in slices: between them the event loop may do something else."""
        is_large = len(body) > SLICE_BYTES
        try:
            said = request.load(body)
        except lenient.UNREADABLE:
            return None
        if is_large:
            yield
        items: list[Item] = []
        system: list[str] = []
        tail: list[msgspec.Raw] = []
        for held in said.lists():
            yield from self._read_messages(held, items, system, tail, is_large=is_large)
        for raw in said.systems():
            system.append(system_text(request.value(raw)))
        if is_large:
            yield
        has_history = any(item.role == "assistant" for item in items)
        conversation = request.value(said.conversation)
        return Conversation(
            items=tuple(items[-MAX_ITEMS:]),
            system="\n".join(filter(None, system))[:SYSTEM_CHARS],
            tools=self._tools_of(said),
            previous_response_id=_id(said.previous_response_id or said.previous_interaction_id),
            conversation_id=lenient.text(lenient_get(conversation, "id") or conversation)[:ID_CHARS],
            metadata=_metadata(said),
            text="" if has_history or len(body) > TEXT_BYTES else _text(said),
            tail=tuple(tail),
        )  # fmt: skip

    def _read_messages(
        self,
        held: list[msgspec.Raw] | msgspec.Raw,
        items: list[Item],
        system: list[str],
        tail: list[msgspec.Raw],
        *,
        is_large: bool,
    ) -> Generator[None, None, None]:
        size, is_later = 0, False
        if request.is_too_long(held):
            return
        if is_large:
            yield
        for message in request.split(held)[-MAX_ITEMS:]:
            size += MESSAGE_COSTS
            if is_large:
                size += len(memoryview(message))
            if size > SLICE_BYTES:
                size = 0
                yield
            place = xxhash.xxh3_64_intdigest(message, self._seed + is_later)
            found, said = self._known.get(place) or self._read(message, place, is_later)
            for item in found:
                if item.role != "assistant":
                    items.append(item)
                elif items and items[-1].role == "assistant":
                    items[-1] = joined(items[-1], item)
                else:
                    is_later = True
                    items.append(item)
                    tail.clear()
            tail.append(message)
            if said:
                system.append(said)

    def _read(self, message: msgspec.Raw, place: int, is_later: bool) -> Read:
        if request.is_dense(message):
            opaque = user_item(self._seed, f"{place:x}")
            found: Read = ((opaque,) if opaque else (), "")
        else:
            made, said = items_of(lenient.value(message), self._seed, is_later=is_later)
            found = made, said[:SYSTEM_CHARS]
        self._known.add(place, found, _weight(found))
        return found

    def _tools_of(self, said: AnyRequest) -> tuple[str, ...]:
        defined = said.definitions()
        if not any(defined):
            return ()
        place = xxhash.xxh3_64_intdigest(b"\xff".join(defined), self._seed)
        known = self._tools.get(place)
        if known is None:
            known = tool_names(*defined)
            self._tools.add(place, known, sum(map(len, known)))
        return known


def _weight(found: Read) -> int:
    items, said = found
    weight = ITEM_BYTES + 4 * len(said)
    for item in items:
        weight += ITEM_BYTES + 4 * (sum(map(len, item.ids)) + sum(map(len, item.names)))
    return weight


def written(body: bytes) -> str:
    """Give all that was written in a small request, by anyone but the model; empty of larger ones."""
    if len(body) > TEXT_BYTES:
        return ""
    try:
        return _text(request.load(body))
    except lenient.UNREADABLE:
        return ""


def _text(said: AnyRequest) -> str:
    found = [
        text
        for held in said.lists()
        for message in request.messages(held)
        for text in texts_of(lenient.value(message))
    ]
    return "\n".join(found)


def _id(raw: msgspec.Raw) -> str:
    return lenient.text(request.value(raw))[:ID_CHARS] if raw else ""


def _metadata(said: AnyRequest) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for raw in (said.metadata, said.client_metadata):
        members = request.value(raw)
        if isinstance(members, dict):
            found |= {k[:ID_CHARS]: v[:2048] for k, v in list(members.items())[:32] if isinstance(v, str)}  # fmt: skip
    for name in _NAMED:
        value = _id(getattr(said, name))
        if value:
            found[name] = value
    return tuple(sorted(found.items()))
