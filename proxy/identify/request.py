"""Where a request to a model keeps messages, system prompt, tool definitions and ids, whatever its family.

What lives here: taking a body apart without looking into what it consists of. What does not: what a message says (`messages.py`), what
a definition says (`tools.py`).

All families are read by the same few members, since no two of them use one name for different things. Whatever a stranger sends takes
a few milliseconds at most: what consists of very many values is not decoded.
"""

from typing import Any, Generic, TypeVar

import msgspec

from proxy.meter import lenient

QUICK_BYTES = 512 << 10
"""A body up to this size has its lists split while it is read; of a larger one it is asked before how long they are."""
MAX_MESSAGES = 50_000
"""A longer list is not split."""
LARGE_BYTES = 256 << 10
COMMAS = {4: LARGE_BYTES, 20: 1 << 20}
"""One byte in so many is a comma, from this size on: that would hold up the event loop."""
_SAMPLE_BYTES = 4096

T = TypeVar("T")


class Request(msgspec.Struct, Generic[T]):
    """The members that matter; their values are put off."""

    messages: T | msgspec.UnsetType = msgspec.UNSET
    input: T | msgspec.UnsetType = msgspec.UNSET
    contents: T | msgspec.UnsetType = msgspec.UNSET
    chat_history: T | msgspec.UnsetType = msgspec.UNSET
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

    def lists(self) -> list[Any]:
        """Give what holds messages, older ones first: Cohere's `message` comes after its `chat_history`."""
        found = (self.chat_history, self.messages, self.contents, self.input,
                 self.prompt, self.inputText, self.message, self.tool_results)  # fmt: skip
        return [each for each in found if each]

    def systems(self) -> list[msgspec.Raw]:
        """Give what holds system prompts."""
        found = (self.system, self.instructions, self.preamble, self.system_instruction, self.systemInstruction)  # fmt: skip
        return [each for each in found if each]

    def definitions(self) -> tuple[msgspec.Raw, msgspec.Raw, msgspec.Raw]:
        """Give what holds definitions of tools; the last is Converse's, which has them one level deeper."""
        return self.tools, self.functions, self.toolConfig


AnyRequest = Request[list[msgspec.Raw]] | Request[msgspec.Raw]

_SPLIT = msgspec.json.Decoder(Request[list[msgspec.Raw]])
_WHOLE = msgspec.json.Decoder(Request[msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])


def load(body: bytes) -> AnyRequest:
    """Take a body apart; raises one of `lenient.UNREADABLE` where it is no JSON object."""
    if len(body) <= QUICK_BYTES:
        try:
            return _SPLIT.decode(body)
        except lenient.UNREADABLE:  # a list is none, or there is half a surrogate pair
            pass
    return lenient.load(_WHOLE, body)


def messages(held: list[msgspec.Raw] | msgspec.Raw) -> list[msgspec.Raw]:
    """Give what a list consists of; what is none consists of itself, of a list that is too long nothing is given."""
    return [] if is_too_long(held) else split(held)


def is_too_long(held: list[msgspec.Raw] | msgspec.Raw) -> bool:
    """Tell whether a list has too many messages, before it is split; a large one takes some milliseconds."""
    return not isinstance(held, list) and _may_be_long(held) and _is_long(held)


def split(held: list[msgspec.Raw] | msgspec.Raw) -> list[msgspec.Raw]:
    """Give what a list that is not too long consists of."""
    if isinstance(held, list):
        return held
    try:
        return _LIST.decode(held)
    except lenient.UNREADABLE:
        return [held]  # one message, or plain text


def value(raw: msgspec.Raw) -> Any:
    """Decode a member; `None` where it is absent, cannot be read, or consists of very many values."""
    return None if not raw or is_dense(raw) else lenient.value(raw)


def is_dense(raw: msgspec.Raw) -> bool:
    """Tell whether something large consists of many values; a sample is enough."""
    size = len(memoryview(raw))
    if size <= LARGE_BYTES:
        return False
    commas = _commas(raw)
    return any(size > least and commas * share > 1 for share, least in COMMAS.items())


def _commas(raw: msgspec.Raw) -> float:
    """Give the share of commas in something large."""
    view = memoryview(raw)
    places = range(0, len(view), LARGE_BYTES)
    sample = b"".join(view[at : at + _SAMPLE_BYTES] for at in places)
    return sample.count(b",") / len(sample)


def _may_be_long(raw: msgspec.Raw) -> bool:
    size = len(memoryview(raw))
    return size > LARGE_BYTES and size * _commas(raw) > 4 * MAX_MESSAGES


class _TooLongError(ValueError):
    """More messages than are looked at."""


def _is_long(raw: msgspec.Raw) -> bool:
    """Count the objects in a list, up to the bound; anything else in a list with so many commas is no conversation."""
    left = iter(range(MAX_MESSAGES))

    class Each(msgspec.Struct):
        def __post_init__(self) -> None:
            if next(left, None) is None:
                raise _TooLongError

    try:
        msgspec.json.Decoder(list[Each]).decode(raw)
    except lenient.UNREADABLE:
        return True
    return False
