"""Requests of Anthropic's Messages API, and of its counting of tokens.

What lives here: reading them, strictly where Anthropic is. What does not: answers (`anthropic_messages.py`).
"""

from collections.abc import Iterator
from typing import Any

from proxy.simulate.families.family import (
    dump,
    items,
    missing,
    require,
    table,
    text_of,
    whole_number,
    words,
)
from proxy.simulate.question import (
    ANY_TOOL,
    ASSISTANT,
    NO_TOOL,
    SYSTEM,
    TOOL,
    USER,
    Question,
    Tool,
    Turn,
    UnacceptableError,
)


def read_question(body: dict[str, Any], *, limited: bool = True) -> Question:
    """Read a request; only one for an answer is `limited` in tokens. Raise `UnacceptableError`."""
    model = require(body, "model", str, "model: Field required")
    messages = require(body, "messages", list, "messages: Field required")
    most = whole_number(body.get("max_tokens"))
    if limited and most is None:
        raise UnacceptableError("max_tokens: Field required")
    if not messages:
        raise UnacceptableError("messages: at least one message is required")
    _check_results(messages)
    turns = [*_system(body.get("system"))]
    for message in map(table, messages):
        turns += _turns(message)
    choice = table(body.get("tool_choice"))
    thinking = table(body.get("thinking")).get("type") in ("enabled", "adaptive")
    return Question(
        model=model,
        turns=tuple(turns),
        tools=tuple(_tools(body)),
        forced=_forced(choice),
        schema=_schema(body),
        parallel=choice.get("disable_parallel_tool_use") is not True,
        max_tokens=most,
        stops=words(body.get("stop_sequences")),
        stream=body.get("stream") is True,
        shows_reasoning=thinking,
        can_reason=thinking,
        body=body,
    )


def _lifetime(block: Any) -> str:
    marked = table(block).get("cache_control")
    return str(table(marked).get("ttl") or "5m") if marked else ""


def _system(system: Any) -> Iterator[Turn]:
    if isinstance(system, str):
        yield Turn(SYSTEM, system)
    for block in items(system):
        yield Turn(SYSTEM, text_of([block]), (), _lifetime(block))


def _turns(message: dict[str, Any]) -> Iterator[Turn]:
    """Give a message as turns: results apart from what else a client puts behind them, which is no word of the user."""
    content, role = message.get("content"), message.get("role")
    blocks = (
        [{"type": "text", "text": content}]
        if isinstance(content, str)
        else items(content)
    )
    if role not in ("user", "assistant", "system"):
        raise UnacceptableError(f"messages: Unexpected role {role!r}.")
    marked = next(
        (found for block in reversed(blocks) if (found := _lifetime(block))), ""
    )
    if role == "assistant":
        calls = [
            block for block in map(table, blocks) if block.get("type") == "tool_use"
        ]
        said = [
            text_of([b])
            if table(b).get("type") != "tool_use"
            else dump(table(b).get("input")).decode()
            for b in blocks
        ]
        yield Turn(
            ASSISTANT,
            "\n".join(said),
            tuple(str(call.get("name")) for call in calls),
            marked,
        )
        return
    results = [
        block for block in map(table, blocks) if block.get("type") == "tool_result"
    ]
    others = [block for block in blocks if table(block).get("type") != "tool_result"]
    if results:
        text = "\n".join(text_of(result.get("content")) for result in results)
        yield Turn(TOOL, text, (), "" if others else marked)
    if others or not results:
        yield Turn(
            SYSTEM if results or role == "system" else USER, text_of(others), (), marked
        )


def _check_results(messages: list[Any]) -> None:
    wanted: list[str] = []
    for number, message in enumerate(map(table, messages)):
        blocks = [table(block) for block in items(message.get("content"))]
        given = [
            str(b.get("tool_use_id")) for b in blocks if b.get("type") == "tool_result"
        ]
        if left := missing(wanted, given):
            raise UnacceptableError(
                f"messages.{number - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(left)}."
            )
        if unknown := missing(given, wanted):
            raise UnacceptableError(
                f"messages.{number}.content.0: unexpected `tool_use_id` found in `tool_result` blocks: {', '.join(unknown)}."
            )
        wanted = [str(b.get("id")) for b in blocks if b.get("type") == "tool_use"]


def _tools(body: dict[str, Any]) -> Iterator[Tool]:
    for tool in map(table, items(body.get("tools"))):
        if isinstance(tool.get("name"), str) and "input_schema" in tool:
            yield Tool(
                tool["name"],
                table(tool["input_schema"]),
                str(tool.get("description") or ""),
                _lifetime(tool),
            )


def _forced(choice: dict[str, Any]) -> str:
    kind = choice.get("type")
    if kind == "tool":
        return str(choice.get("name") or "")
    return {"any": ANY_TOOL, "none": NO_TOOL}.get(str(kind), "")


def _schema(body: dict[str, Any]) -> dict[str, Any] | None:
    wanted = body.get("output_format") or table(body.get("output_config")).get("format")
    found = table(wanted).get("schema")
    return found if isinstance(found, dict) else None
