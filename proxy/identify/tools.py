"""Names of the tools on offer.

What lives here: where definitions have their names. What does not: where the definitions stand (`request.py`).
"""

from typing import Any

import msgspec

from proxy.identify import request
from proxy.identify.messages import lenient_get
from proxy.meter import lenient

MAX_TOOLS = 500
NAME_CHARS = 256


class _Config(msgspec.Struct):
    tools: msgspec.Raw = msgspec.Raw()


_CONFIG = msgspec.json.Decoder(_Config)


def tool_names(
    tools: msgspec.Raw, functions: msgspec.Raw, config: msgspec.Raw
) -> tuple[str, ...]:
    """Give the names in wire order; what is no definition has none. `config` is Converse's `toolConfig`."""
    found: list[str] = []
    for raw in (tools, functions, _inner(config)):
        for tool in request.messages(raw)[:MAX_TOOLS] if raw else ():
            found += _names(request.value(tool))
    return tuple(found[:MAX_TOOLS])


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
    return [name[:NAME_CHARS]] if name else []
