"""What an LLM call is called by what it reads.

What lives here: naming a step after the tools whose results stand at the end of its conversation. What does not: the other rungs
(`step_names.py`).
"""

import re
from collections.abc import Sequence

from proxy.identify.items import SIGNATURE, Item

MAX_NAMED = 3
_TOOL = re.compile(r"[\w./:-]{1,64}", re.ASCII)


def step_name(items: Sequence[Item], awaited: Sequence[str] = ()) -> str:
    """Give e.g. `after search` or `after 5 tools`; empty where the step reads no result of a tool that has a name.

    `awaited` are the tools that the run waits for, in case the conversation names none itself.
    """
    tools = answered_tools(items)
    if not tools and items and items[-1].role == "tool":
        tools = tuple(dict.fromkeys(filter(_TOOL.fullmatch, awaited)))
    if len(tools) > MAX_NAMED:
        return f"after {len(tools)} tools"
    return f"after {', '.join(sorted(tools))}" if tools else ""


def answered_tools(items: Sequence[Item]) -> tuple[str, ...]:
    """Give the tools whose results come after the newest answer, each once, in wire order."""
    results: list[Item] = []
    asked: Item | None = None
    for item in reversed(items):
        if item.role == "assistant":
            asked = item
            break
        if item.role == "tool":
            results.append(item)
    results.reverse()
    names = [_name(result, place, len(results), asked) for place, result in enumerate(results)]  # fmt: skip
    return tuple(dict.fromkeys(name for name in names if _TOOL.fullmatch(name)))


def _name(result: Item, place: int, count: int, asked: Item | None) -> str:
    """Give the name that a result has itself, else that of the call that it answers: by id, or by place where there is one for each."""
    if result.names:
        return result.names[0]
    called = asked.names if asked else ()
    ids = [each for each in asked.ids if not each.startswith(SIGNATURE)] if asked else []  # fmt: skip
    if result.ids and result.ids[0] in ids and len(ids) == len(called):
        return called[ids.index(result.ids[0])]
    return called[place] if len(called) == count else ""
