"""What tools a request offers, and what each of them takes.

What lives here: reading the definitions of all families. What does not: whether arguments fit a schema (`argument_schemas.py`), what is said of a
call (`tool_calls.py`).

Definitions are read by their shape, since no two families use one name for different things. Where a request may have tools that do not stand in
it (a stored prompt, cached content, an agent that the provider keeps, a kind of tool that is not known here), no name is unknown. Tools that
the provider runs itself are no calls of the agent's, and need no name here.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Any

import msgspec

from proxy.meter import lenient

MAX_TOOLS = 5000
MAX_DEFINITION_BYTES = 4 << 20
"""Definitions that are longer, all together, are not read."""


class Takes(Enum):
    """What a tool's arguments are."""

    OBJECT = "object"
    """A JSON object, which fits the schema where there is one."""
    TEXT = "text"
    """Whatever the model writes: a program, or text by a grammar."""
    ANY = "any"
    """What only the provider knows: its own kinds of tools have no schema in the request."""


class Offer(msgspec.Struct, frozen=True):
    """One tool."""

    name: str
    takes: Takes = Takes.OBJECT
    schema: bytes = b""
    """JSON; empty where there is none."""


class Offers(msgspec.Struct, frozen=True):
    """The tools of one request."""

    tools: dict[str, Offer]
    is_all: bool
    """There are no others."""


class Definitions(msgspec.Struct):
    """The members of a request that say what tools there are; put off."""

    tools: msgspec.Raw = msgspec.Raw()
    functions: msgspec.Raw = msgspec.Raw()
    toolConfig: msgspec.Raw = msgspec.Raw()  # noqa: N815
    prompt: msgspec.Raw = msgspec.Raw()
    promptVariables: msgspec.Raw = msgspec.Raw()  # noqa: N815
    cachedContent: msgspec.Raw = msgspec.Raw()  # noqa: N815
    cached_content: msgspec.Raw = msgspec.Raw()
    agent: msgspec.Raw = msgspec.Raw()
    agent_id: msgspec.Raw = msgspec.Raw()
    assistant_id: msgspec.Raw = msgspec.Raw()
    previous_response_id: msgspec.Raw = msgspec.Raw()
    previous_interaction_id: msgspec.Raw = msgspec.Raw()
    conversation: msgspec.Raw = msgspec.Raw()
    inputs: msgspec.Raw = msgspec.Raw()

    def written(self) -> tuple[msgspec.Raw, ...]:
        """Give what the definitions stand in."""
        return self.tools, self.functions, self.toolConfig

    def size(self) -> int:
        """Give the length of it all, in bytes."""
        return sum(len(memoryview(raw)) for raw in self.written())

    def keeps_others(self) -> bool:
        """Whether the provider may keep tools of this request. What goes on from an earlier answer does where it names none itself."""
        held = (self.promptVariables, self.cachedContent, self.cached_content, self.agent, self.agent_id, self.assistant_id)  # fmt: skip
        goes_on = (self.previous_response_id, self.previous_interaction_id, self.conversation, self.inputs)  # fmt: skip
        return (
            any(map(_says, held))
            or bytes(self.prompt).startswith(
                b"{"
            )  # a stored one; elsewhere it is a text
            or (not any(map(_says, self.written())) and any(map(_says, goes_on)))
        )


_DEFINITIONS = msgspec.json.Decoder(Definitions)
_ANY = msgspec.json.Decoder()
_encode = msgspec.json.Encoder().encode

_SCHEMAS = ("parameters", "input_schema", "inputSchema", "parametersJsonSchema", "parameters_json_schema")  # fmt: skip
_PLAIN = frozenset({"", "function", "custom", "client"})
"""Types of definitions whose arguments are what the schema says."""
_RUN_BY_PROVIDER = (
    "web_search", "web_fetch", "file_search", "code_interpreter", "code_execution", "image_generation", "mcp", "retrieval", "browser_search",
    "google_search", "google_maps", "url_context", "x_search", "collections_search", "document_library", "connector", "openrouter:",
)  # fmt: skip
"""How types begin of tools that the provider runs, and that have no name."""
_OF_OPENAI = {
    "local_shell": "local_shell_call",
    "shell": "shell_call",
    "apply_patch": "apply_patch_call",
    "computer": "computer_call",
}
"""Tools without a name, and the name under which the meter reads their calls."""
_OF_GEMINI = frozenset(
    ("codeExecution", "googleSearch", "googleSearchRetrieval", "googleMaps", "urlContext", "enterpriseWebSearch", "retrieval", "fileSearch",
     "code_execution", "google_search", "google_search_retrieval", "google_maps", "url_context", "enterprise_web_search", "file_search")
)  # fmt: skip
_OF_CONVERSE = frozenset({"systemTool", "cachePoint"})
_COHERE_TYPES = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "list": "array",
    "dict": "object",
}


def definitions(body: bytes) -> Definitions | None:
    """Find the definitions in a request; `None` where it is no JSON object, or they are too long."""
    try:
        found = lenient.load(_DEFINITIONS, body)
    except lenient.UNREADABLE:
        return None
    return found if found.size() <= MAX_DEFINITION_BYTES else None


def offers(found: Definitions) -> Offers:
    """Read them. What no definition can be made of may be a tool, too."""
    tools: dict[str, Offer] = {}
    is_all = not found.keeps_others()
    entries = [entry for raw in found.written() for entry in _entries(raw)]
    for entry in entries[:MAX_TOOLS]:
        for offer in _offered(entry):
            if offer is None:
                is_all = False
            elif offer.name in tools and tools[offer.name] != offer:
                tools[offer.name] = Offer(offer.name, Takes.ANY)
            else:
                tools[offer.name] = offer
    return Offers(tools, is_all and len(entries) <= MAX_TOOLS)


def _says(raw: msgspec.Raw) -> bool:
    return bool(raw) and bytes(raw) not in (b"null", b'""', b"[]", b"{}")


def _entries(raw: msgspec.Raw) -> list[Any]:
    try:
        found = lenient.load(_ANY, raw) if raw else None
    except lenient.UNREADABLE:
        return [None]
    if isinstance(found, dict):  # Converse has the list one level deeper
        found = found.get("tools", [])
    if found is None:
        return []
    return found if isinstance(found, list) else [found]


def _offered(entry: Any) -> Iterator[Offer | None]:
    """Give the tools of one entry; `None` for one of which nothing can be said."""
    if not isinstance(entry, dict):
        yield None
        return
    declared = entry.get("functionDeclarations", entry.get("function_declarations"))
    if isinstance(declared, list):
        for each in declared:
            yield _own(each, "")
    kind = lenient.text(entry.get("type"))
    if kind == "namespace":
        yield from _of_namespace(entry)
    elif (inner := _inner(entry)) is not None:
        yield _own(inner, kind)
    elif not (kind.startswith(_RUN_BY_PROVIDER) or _is_known(entry, declared)):
        name = _OF_OPENAI.get("computer" if kind.startswith("computer") else kind)
        yield Offer(name, Takes.ANY) if name else None


def _is_known(entry: dict[str, Any], declared: Any) -> bool:
    """Tell whether all members of a nameless entry are known to be no tools of the agent's."""
    if isinstance(declared, list):
        return set(entry) <= _OF_GEMINI | {"functionDeclarations", "function_declarations"}  # fmt: skip
    return bool(entry) and set(entry) <= _OF_GEMINI | _OF_CONVERSE


def _of_namespace(entry: dict[str, Any]) -> Iterator[Offer | None]:
    """Give the tools of a namespace, bare and under their full names."""
    name = lenient.text(entry.get("name"))
    for each in lenient.items(entry.get("tools")):
        offer = _own(_inner(each), "") if isinstance(each, dict) else None
        yield offer
        if offer is not None:
            for between in (".", "__"):
                yield msgspec.structs.replace(offer, name=f"{name}{between}{offer.name}")  # fmt: skip


def _inner(entry: dict[str, Any]) -> dict[str, Any] | None:
    """Give the part of an entry that has the name."""
    inner = entry
    for member in ("function", "toolSpec", "custom"):
        if isinstance(entry.get(member), dict):
            inner = entry[member]
            if member == "custom":
                inner = {**inner, "type": "custom"}
    return inner if lenient.text(inner.get("name")) else None


def _own(said: Any, kind: str) -> Offer | None:
    name = lenient.text(said.get("name")) if isinstance(said, dict) else ""
    if not name:
        return None
    kind = kind or lenient.text(said.get("type"))
    schema = _schema(said)
    if kind not in _PLAIN:
        return Offer(name, Takes.ANY)
    if kind == "custom" and not schema:
        return Offer(name, Takes.TEXT)
    return Offer(name, Takes.OBJECT, schema)


def _schema(said: dict[str, Any]) -> bytes:
    for member in _SCHEMAS:
        schema = said.get(member)
        if isinstance(schema, dict):
            inner = schema.get("json")
            if member == "inputSchema" and isinstance(inner, dict):
                schema = inner
            return _encode(schema)
    defined = said.get("parameter_definitions")
    return _encode(_of_cohere(defined)) if isinstance(defined, dict) else b""


def _of_cohere(defined: dict[str, Any]) -> dict[str, Any]:
    """Make a schema of the first version's definitions, which name types as Python does."""
    properties: dict[str, Any] = {}
    for name in defined:
        kind = lenient.text(lenient.member(defined, name).get("type")).partition("[")[0].lower()  # fmt: skip
        named = _COHERE_TYPES.get(kind, kind)
        properties[name] = {"type": named} if named in _COHERE_TYPES.values() else {}
    required = [name for name in defined if lenient.member(defined, name).get("required") is True]  # fmt: skip
    return {"type": "object", "properties": properties, "required": required}
