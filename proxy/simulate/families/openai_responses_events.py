"""The stream of a response, made from the finished items.

What lives here: the order of events and their numbers. What does not: the items themselves (`openai_responses.py`).
"""

from collections.abc import Iterator
from typing import Any

from proxy.simulate.families.family import named, pieces
from proxy.simulate.question import Event

_Said = tuple[dict[str, Any], int]
"""An event without its number, and its tokens."""


def stream(
    begun: dict[str, Any], output: list[dict[str, Any]], whole: dict[str, Any]
) -> Iterator[Event]:
    """Give the events of a response."""
    for number, (said, tokens) in enumerate(_all(begun, output, whole)):
        kind = said.pop("type")
        yield Event(named({"type": kind, "sequence_number": number, **said}), tokens)


def _all(
    begun: dict[str, Any], output: list[dict[str, Any]], whole: dict[str, Any]
) -> Iterator[_Said]:
    yield {"type": "response.created", "response": begun}, 0
    yield {"type": "response.in_progress", "response": begun}, 0
    for index, item in enumerate(output):
        place = {"item_id": item["id"], "output_index": index}
        opened = {**item, **_emptied(item)}
        yield (
            {
                "type": "response.output_item.added",
                "output_index": index,
                "item": opened,
            },
            0,
        )
        inside = {"message": _message, "function_call": _call, "reasoning": _reasoning}[
            item["type"]
        ]
        yield from inside(item, place)
        yield (
            {"type": "response.output_item.done", "output_index": index, "item": item},
            0,
        )
    yield {"type": f"response.{whole['status']}", "response": whole}, 0


def _emptied(item: dict[str, Any]) -> dict[str, Any]:
    emptied: dict[str, dict[str, Any]] = {
        "message": {"status": "in_progress", "content": []},
        "function_call": {"status": "in_progress", "arguments": ""},
        "reasoning": {"summary": []},
    }
    return emptied[item["type"]]


def _message(item: dict[str, Any], place: dict[str, Any]) -> Iterator[_Said]:
    [part] = item["content"]
    place = {**place, "content_index": 0}
    yield (
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        0,
    )
    for piece, tokens in pieces(part["text"]):
        yield (
            {
                "type": "response.output_text.delta",
                **place,
                "delta": piece,
                "logprobs": [],
            },
            tokens,
        )
    yield (
        {
            "type": "response.output_text.done",
            **place,
            "text": part["text"],
            "logprobs": [],
        },
        0,
    )
    yield {"type": "response.content_part.done", **place, "part": part}, 0


def _call(item: dict[str, Any], place: dict[str, Any]) -> Iterator[_Said]:
    for piece, tokens in pieces(item["arguments"]):
        yield (
            {"type": "response.function_call_arguments.delta", **place, "delta": piece},
            tokens,
        )
    ended = {"name": item["name"], "arguments": item["arguments"]}
    yield {"type": "response.function_call_arguments.done", **place, **ended}, 0


def _reasoning(item: dict[str, Any], place: dict[str, Any]) -> Iterator[_Said]:
    for number, part in enumerate(item["summary"]):
        where = {**place, "summary_index": number}
        yield (
            {
                "type": "response.reasoning_summary_part.added",
                **where,
                "part": {**part, "text": ""},
            },
            0,
        )
        for piece, _ in pieces(part["text"]):
            yield (
                {
                    "type": "response.reasoning_summary_text.delta",
                    **where,
                    "delta": piece,
                },
                0,
            )
        yield (
            {
                "type": "response.reasoning_summary_text.done",
                **where,
                "text": part["text"],
            },
            0,
        )
        yield {"type": "response.reasoning_summary_part.done", **where, "part": part}, 0
