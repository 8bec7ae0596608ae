"""OpenAI's Responses API: its requests, answers and errors.

What lives here: reading items, and the response as an object. What does not: its stream (`openai_responses_events.py`),
what is stored (`proxy/simulate/store.py`).
"""

from collections.abc import Iterator
from typing import Any

from proxy.simulate.families import openai_common
from proxy.simulate.families.family import (
    dump,
    items,
    missing,
    require,
    table,
    text_of,
    whole_number,
)
from proxy.simulate.families.openai_responses_events import stream
from proxy.simulate.ids import hexadecimal
from proxy.simulate.question import (
    ANY_TOOL,
    ASSISTANT,
    NO_TOOL,
    SYSTEM,
    TOOL,
    USER,
    Bill,
    Event,
    Exchange,
    Finish,
    Question,
    Refusal,
    Tool,
    Turn,
    UnacceptableError,
)

_ROLES = {"system": SYSTEM, "developer": SYSTEM, "user": USER, "assistant": ASSISTANT}
_CALLS = ("function_call", "custom_tool_call")
_RESULTS = ("function_call_output", "custom_tool_call_output")
_ASSISTANT_ITEMS = (*_CALLS, "reasoning", "item_reference")
_REPEATED: dict[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
    "metadata": {},
}
"""What an answer repeats of its request, and the defaults."""


class OpenAIResponses:
    """See the module."""

    name = "openai_responses"
    content_type = "application/json"
    marks_cache = False

    def read(self, body: dict[str, Any]) -> Question:
        """See `Family`; the server puts what came before (`previous_response_id`, `conversation`) into `input`."""
        model = require(body, "model", str, "Missing required parameter: 'model'.")
        given = input_items(body)
        _check_results(given)
        instructions = body.get("instructions")
        turns = [Turn(SYSTEM, instructions)] if isinstance(instructions, str) else []
        reasoning = table(body.get("reasoning"))
        return Question(
            model=model,
            turns=(*turns, *_turns(given)),
            tools=tuple(_tools(body)),
            forced=_forced(body.get("tool_choice")),
            schema=_schema(table(table(body.get("text")).get("format"))),
            parallel=body.get("parallel_tool_calls") is not False,
            max_tokens=whole_number(body.get("max_output_tokens")),
            stream=body.get("stream") is True,
            shows_reasoning=bool(reasoning.get("summary")),
            body=body,
        )

    def whole(self, exchange: Exchange) -> dict[str, Any]:
        """See `Family`."""
        cut = exchange.answer.finish is Finish.LENGTH
        said = response(exchange, "incomplete" if cut else "completed")
        said["incomplete_details"] = {"reason": "max_output_tokens"} if cut else None
        return {**said, "output": [*output(exchange)], "usage": usage(exchange.bill)}

    def events(self, exchange: Exchange) -> Iterator[Event]:
        """See `Family`."""
        begun = response(exchange, "in_progress")
        return stream(begun, [*output(exchange)], self.whole(exchange))

    def refusal(self, refusal: Refusal, request_id: str) -> dict[str, Any]:
        """See `Family`."""
        return {"error": openai_common.error(refusal)}

    def error_event(self, refusal: Refusal, request_id: str) -> bytes:
        """See `Family`."""
        error = openai_common.error(refusal)
        said = {
            "type": "error",
            "sequence_number": 9999,
            "code": error["code"] or error["type"],
        }
        return (
            b"event: error\ndata: "
            + dump({**said, "message": error["message"], "param": None})
            + b"\n\n"
        )


def input_items(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the input as items; raise `UnacceptableError`."""
    given = body.get("input")
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    if not isinstance(given, list):
        raise UnacceptableError("Missing required parameter: 'input'.")
    return [table(item) for item in given]


def usage(bill: Bill) -> dict[str, Any]:
    """Give the bill as the Responses API says it."""
    return {
        "input_tokens": bill.all_input,
        "input_tokens_details": {
            "cached_tokens": bill.cache_read,
            "cache_write_tokens": 0,
        },
        "output_tokens": bill.all_output,
        "output_tokens_details": {"reasoning_tokens": bill.reasoning},
        "total_tokens": bill.all_input + bill.all_output,
    }


def response(exchange: Exchange, status: str) -> dict[str, Any]:
    """Give the response without what it says."""
    body = exchange.question.body
    repeated = {
        name: body.get(name, otherwise) for name, otherwise in _REPEATED.items()
    }
    repeated = {
        name: _REPEATED[name] if value is None else value
        for name, value in repeated.items()
    }
    said = {
        "id": f"resp_{hexadecimal(exchange.id)}",
        "object": "response",
        "created_at": exchange.created,
        "status": status,
        "background": body.get("background") is True,
        "error": None,
        "incomplete_details": None,
        "model": openai_common.served(exchange.question.model),
        "output": [],
        "service_tier": "default",
        **repeated,
        "usage": None,
    }
    conversation = body.get("conversation")
    if conversation:
        said["conversation"] = (
            conversation if isinstance(conversation, dict) else {"id": conversation}
        )
    return said


def output(exchange: Exchange) -> Iterator[dict[str, Any]]:
    """Give the finished items."""
    answer, question = exchange.answer, exchange.question
    ids = iter(map(hexadecimal, exchange.ids))
    if answer.reasoning:
        summary = [{"type": "summary_text", "text": answer.reasoning}]
        item: dict[str, Any] = {
            "id": f"rs_{next(ids)}",
            "type": "reasoning",
            "summary": summary * question.shows_reasoning,
        }
        if "reasoning.encrypted_content" in items(question.body.get("include")):
            item["encrypted_content"] = f"gAAAAAB{next(ids)}"
        yield item
    if answer.text or not answer.calls:
        part = {
            "type": "output_text",
            "annotations": [],
            "logprobs": [],
            "text": answer.text,
        }
        yield {
            "id": f"msg_{next(ids)}",
            "type": "message",
            "status": "completed",
            "content": [part],
            "role": "assistant",
        }
    for call in answer.calls:
        item = {"id": f"fc_{next(ids)}", "type": "function_call", "status": "completed"}
        yield {
            **item,
            "arguments": call.arguments,
            "call_id": call.id,
            "name": call.tool,
        }


def _turns(given: list[dict[str, Any]]) -> Iterator[Turn]:
    """Give messages and results; what an assistant said and called in one go is one turn."""
    texts: list[str] = []
    calls: list[str] = []
    speaking = False
    for item in given:
        kind = item.get("type", "message")
        role = _ROLES.get(str(item.get("role"))) if kind == "message" else None
        if kind == "message" and role is None:
            raise UnacceptableError(
                f"Invalid value: {item.get('role')!r} in 'input[].role'."
            )
        if kind in _ASSISTANT_ITEMS or role == ASSISTANT:
            speaking = True
            texts.append(_said(item, kind))
            calls += [str(item.get("name"))] * (kind in _CALLS)
            continue
        if speaking:
            yield Turn(ASSISTANT, "\n".join(filter(None, texts)), tuple(calls))
            texts, calls, speaking = [], [], False
        if kind in _RESULTS:
            yield Turn(TOOL, text_of(item.get("output")))
        else:
            yield Turn(role or USER, text_of(item.get("content")))
    if speaking:
        yield Turn(ASSISTANT, "\n".join(filter(None, texts)), tuple(calls))


def _said(item: dict[str, Any], kind: str) -> str:
    if kind in _CALLS:
        return str(item.get("arguments") or item.get("input") or "")
    return text_of(item.get("content")) if kind == "message" else ""


def _check_results(given: list[dict[str, Any]]) -> None:
    called = [str(item.get("call_id")) for item in given if item.get("type") in _CALLS]
    answered = [
        str(item.get("call_id")) for item in given if item.get("type") in _RESULTS
    ]
    if left := missing(called, answered):
        raise UnacceptableError(f"No tool output found for function call {left[0]}.")
    if unknown := missing(answered, called):
        raise UnacceptableError(
            f"No tool call found for function call output with call_id {unknown[0]}."
        )


def _tools(body: dict[str, Any]) -> Iterator[Tool]:
    for tool in map(table, items(body.get("tools"))):
        if tool.get("type") == "function" and isinstance(tool.get("name"), str):
            yield Tool(
                tool["name"],
                table(tool.get("parameters")),
                str(tool.get("description") or ""),
            )


def _forced(choice: Any) -> str:
    if isinstance(choice, str):
        return {"required": ANY_TOOL, "none": NO_TOOL}.get(choice, "")
    return (
        str(table(choice).get("name") or "")
        if table(choice).get("type") == "function"
        else ""
    )


def _schema(wanted: dict[str, Any]) -> dict[str, Any] | None:
    if wanted.get("type") == "json_schema":
        return table(wanted.get("schema"))
    return {} if wanted.get("type") == "json_object" else None
