"""What a request to a model carries of its conversation, in one form for all families.

What lives here: where messages, system prompt and tool definitions stand in a request, and remembering messages that were read before.
What does not: which run that makes it (`ladder.py`), one message (`messages.py`).

All families are read by the same few members, since no two of them use one name for different things. Messages are hashed as they
stood on the wire first: one that was seen before is not looked into again, so that a long history costs a look-up a message.
"""

from collections import OrderedDict
from collections.abc import Generator
from typing import Any

import msgspec
import xxhash

from proxy.identify.items import Item, joined, user_item
from proxy.identify.messages import items_of, lenient_get, system_text, texts_of
from proxy.meter import lenient

MAX_ITEMS = 5000
"""Of a longer conversation only the newest are looked at."""
SYSTEM_CHARS = 64_000
MAX_TOOLS = 500
ID_CHARS = 256
TEXT_BYTES = 64 << 10
"""Of larger requests no text is kept for `echo.py` and `growth.py`."""
DENSE_BYTES = 1 << 20
DENSE_SHARE = 20
"""A large message of which one byte in so many is a comma would hold up the event loop: it is hashed as it stands, its ids are not seen."""
MESSAGE_COSTS = 2000
"""A message takes as long as so many bytes of text."""
SLICE_BYTES = 1 << 20
"""After so much work the event loop gets its turn."""
CACHED_MESSAGES = 10_000
"""Some 5 MB."""


class _Request(msgspec.Struct):
    messages: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    contents: msgspec.Raw = msgspec.Raw()
    chat_history: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()
    prompt: msgspec.Raw = msgspec.Raw()
    inputText: msgspec.Raw = msgspec.Raw()  # noqa: N815
    tool_results: msgspec.Raw = msgspec.Raw()
    system: msgspec.Raw = msgspec.Raw()
    instructions: msgspec.Raw = msgspec.Raw()
    preamble: msgspec.Raw = msgspec.Raw()
    system_instruction: msgspec.Raw = msgspec.Raw()
    systemInstruction: msgspec.Raw = msgspec.Raw()  # noqa: N815
    tools: msgspec.Raw = msgspec.Raw()
    functions: msgspec.Raw = msgspec.Raw()
    toolConfig: msgspec.Raw = msgspec.Raw()  # noqa: N815
    previous_response_id: msgspec.Raw = msgspec.Raw()
    previous_interaction_id: msgspec.Raw = msgspec.Raw()
    conversation: msgspec.Raw = msgspec.Raw()
    metadata: msgspec.Raw = msgspec.Raw()
    client_metadata: msgspec.Raw = msgspec.Raw()
    session_id: msgspec.Raw = msgspec.Raw()
    litellm_session_id: msgspec.Raw = msgspec.Raw()
    prompt_cache_key: msgspec.Raw = msgspec.Raw()


_REQUEST = msgspec.json.Decoder(_Request)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_MESSAGES = ("chat_history", "messages", "contents", "input", "prompt", "inputText", "message", "tool_results")  # fmt: skip
"""Older ones first: Cohere's `message` comes after its `chat_history`."""
_SYSTEM = ("system", "instructions", "preamble", "system_instruction", "systemInstruction")  # fmt: skip
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

    @property
    def asked(self) -> int:
        """How many items there are without the answer at the end that this request wants continued."""
        count = len(self.items)
        return count - 1 if count and self.items[-1].role == "assistant" else count

    @property
    def has_history(self) -> bool:
        """Whether the model has spoken before."""
        return any(item.role == "assistant" for item in self.items[: self.asked])


class Conversations:
    """Reads requests; remembers messages by the hash of their bytes."""

    def __init__(self, seed: int, capacity: int = CACHED_MESSAGES) -> None:
        """`seed` keys the hashes, so that short messages cannot be guessed from them."""
        self._seed = seed
        self._capacity = capacity
        self._known: OrderedDict[int, tuple[tuple[Item, ...], str]] = OrderedDict()

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
        try:
            said = lenient.load(_REQUEST, body)
        except lenient.UNREADABLE:
            return None
        items: list[Item] = []
        system: list[str] = []
        for member in _MESSAGES:
            if raw := getattr(said, member):
                yield from self._read_messages(raw, items, system)
        for member in _SYSTEM:
            if raw := getattr(said, member):
                system.append(system_text(lenient.value(raw)))
        conversation = lenient.value(said.conversation)
        earlier = said.previous_response_id or said.previous_interaction_id
        has_history = any(item.role == "assistant" for item in items)
        return Conversation(
            items=tuple(items[-MAX_ITEMS:]),
            system="\n".join(filter(None, system))[:SYSTEM_CHARS],
            tools=_tools(said),
            previous_response_id=_id(lenient.value(earlier)),
            conversation_id=_id(lenient_get(conversation, "id") or conversation),
            metadata=_metadata(said),
            text="" if has_history or len(body) > TEXT_BYTES else _text(said),
        )

    def _read_messages(
        self, raw: msgspec.Raw, items: list[Item], system: list[str]
    ) -> Generator[None, None, None]:
        size, is_later = 0, False
        for message in _messages(raw)[-MAX_ITEMS:]:
            size += len(memoryview(message)) + MESSAGE_COSTS
            if size > SLICE_BYTES:
                size = 0
                yield
            found, said = self._read_message(message, is_later)
            for item in found:
                if item.role != "assistant":
                    items.append(item)
                elif items and items[-1].role == "assistant":
                    items[-1] = joined(items[-1], item)
                else:
                    is_later = True
                    items.append(item)
            if said:
                system.append(said)

    def _read_message(
        self, message: msgspec.Raw, is_later: bool
    ) -> tuple[tuple[Item, ...], str]:
        place = xxhash.xxh3_64_intdigest(message, self._seed + is_later)
        known = self._known.get(place)
        if known is None:
            if _is_dense(message):
                opaque = user_item(self._seed, f"{place:x}")
                known = ((opaque,) if opaque else (), "")
            else:
                known = items_of(lenient.value(message), self._seed, is_later=is_later)  # fmt: skip
            self._known[place] = known
            if len(self._known) > self._capacity:
                self._known.popitem(last=False)
        return known


def written(body: bytes) -> str:
    """Give all that was written in a small request, by anyone but the model; empty of larger ones."""
    if len(body) > TEXT_BYTES:
        return ""
    try:
        return _text(lenient.load(_REQUEST, body))
    except lenient.UNREADABLE:
        return ""


def _text(said: _Request) -> str:
    found = [
        text
        for member in _MESSAGES
        if (raw := getattr(said, member))
        for message in _messages(raw)
        for text in texts_of(lenient.value(message))
    ]
    return "\n".join(found)


def _messages(raw: msgspec.Raw) -> list[msgspec.Raw]:
    try:
        return _LIST.decode(raw)
    except lenient.UNREADABLE:
        return [raw]  # one message, or plain text


def _is_dense(message: msgspec.Raw) -> bool:
    """Tell whether a large message consists of many values; a sample is enough."""
    view = memoryview(message)
    if len(view) <= DENSE_BYTES:
        return False
    sample = b"".join(
        view[at : at + 4096] for at in range(0, len(view), DENSE_BYTES // 4)
    )
    return sample.count(b",") * DENSE_SHARE > len(sample)


def _id(found: Any) -> str:
    return lenient.text(found)[:ID_CHARS]


def _tools(said: _Request) -> tuple[str, ...]:
    config = _inner(said.toolConfig)
    found: list[str] = []
    for raw in (said.tools, said.functions, config):
        for tool in _messages(raw)[:MAX_TOOLS] if raw else ():
            found += _names(lenient.value(tool))
    return tuple(found[:MAX_TOOLS])


class _Config(msgspec.Struct):
    tools: msgspec.Raw = msgspec.Raw()


_CONFIG = msgspec.json.Decoder(_Config)


def _inner(config: msgspec.Raw) -> msgspec.Raw:
    try:
        return _CONFIG.decode(config).tools if config else config
    except lenient.UNREADABLE:
        return msgspec.Raw()


def _names(tool: Any) -> list[str]:
    """Give the names of one definition: Gemini lists several functions in one."""
    declared = lenient_get(tool, "functionDeclarations") or lenient_get(tool, "function_declarations")  # fmt: skip
    if isinstance(declared, list):
        return [name for each in declared[:MAX_TOOLS] for name in _own_name(each)]
    return _own_name(tool)


def _own_name(tool: Any) -> list[str]:
    inner = lenient_get(tool, "function") or lenient_get(tool, "toolSpec") or tool
    name = lenient.text(lenient_get(inner, "name"))
    return [name[:ID_CHARS]] if name else []


def _metadata(said: _Request) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for raw in (said.metadata, said.client_metadata):
        members = lenient.table(raw) or {}
        found |= {k[:ID_CHARS]: v[:2048] for k, v in list(members.items())[:32] if isinstance(v, str)}  # fmt: skip
    for name in _NAMED:
        value = _id(lenient.value(getattr(said, name)))
        if value:
            found[name] = value
    return tuple(sorted(found.items()))
