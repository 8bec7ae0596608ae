"""OpenAI's chat completions, streamed and not.

What lives here: its requests, answers, chunks and errors. What does not: the Responses API (`openai_responses.py`).
"""

from collections.abc import Iterator
from typing import Any

from proxy.simulate.families import openai_common
from proxy.simulate.families.family import (
    dump,
    items,
    missing,
    pieces,
    require,
    table,
    text_of,
    unnamed,
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

_ROLES = {
    "system": SYSTEM,
    "developer": SYSTEM,
    "user": USER,
    "assistant": ASSISTANT,
    "tool": TOOL,
    "function": TOOL,
}
_FINISH = {
    Finish.STOP: "stop",
    Finish.STOP_SEQUENCE: "stop",
    Finish.LENGTH: "length",
    Finish.CALLS: "tool_calls",
}
_DONE = b"data: [DONE]\n\n"


class OpenAIChat:
    """See the module."""

    name = "openai_chat"
    content_type = "application/json"
    marks_cache = False

    def read(self, body: dict[str, Any]) -> Question:
        """See `Family`."""
        model = require(body, "model", str, "you must provide a model parameter")
        messages = require(
            body, "messages", list, "Missing required parameter: 'messages'."
        )
        _check_results(messages)
        most = whole_number(body.get("max_completion_tokens"))
        streams = table(body.get("stream_options"))
        return Question(
            model=model,
            turns=tuple(map(_turn, messages)),
            tools=tuple(_tools(body)),
            forced=_forced(body.get("tool_choice")),
            schema=_schema(table(body.get("response_format"))),
            parallel=body.get("parallel_tool_calls") is not False,
            max_tokens=most or whole_number(body.get("max_tokens")),
            stops=words(body.get("stop")),
            stream=body.get("stream") is True,
            include_usage=streams.get("include_usage") is True,
            body=body,
        )

    def whole(self, exchange: Exchange) -> dict[str, Any]:
        """See `Family`."""
        answer = exchange.answer
        message: dict[str, Any] = {
            "role": "assistant",
            "content": answer.text or None,
            "refusal": None,
            "annotations": [],
        }
        if answer.calls:
            message["tool_calls"] = [
                {
                    "id": c.id,
                    "type": "function",
                    "function": {"name": c.tool, "arguments": c.arguments},
                }
                for c in answer.calls
            ]
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": _FINISH[answer.finish],
        }
        head = _head(exchange, "chat.completion")
        return {**head, "choices": [choice], "usage": usage(exchange.bill)}

    def events(self, exchange: Exchange) -> Iterator[Event]:
        """See `Family`."""
        answer = exchange.answer

        def chunk(
            delta: dict[str, Any], tokens: int = 0, finish: str | None = None
        ) -> Event:
            choice = {
                "index": 0,
                "delta": delta,
                "logprobs": None,
                "finish_reason": finish,
            }
            return Event(unnamed(_chunk(exchange, [choice])), tokens)

        first = None if answer.calls and not answer.text else ""
        yield chunk({"role": "assistant", "content": first, "refusal": None})
        for piece, tokens in pieces(answer.text):
            yield chunk({"content": piece}, tokens)
        for index, call in enumerate(answer.calls):
            function = {"name": call.tool, "arguments": ""}
            opened = {
                "index": index,
                "id": call.id,
                "type": "function",
                "function": function,
            }
            yield chunk({"tool_calls": [opened]}, 1)
            for piece, tokens in pieces(call.arguments):
                part = {"index": index, "function": {"arguments": piece}}
                yield chunk({"tool_calls": [part]}, tokens)
        yield chunk({}, 0, _FINISH[answer.finish])
        if exchange.question.include_usage:
            counted = {**_chunk(exchange, []), "usage": usage(exchange.bill)}
            yield Event(unnamed(counted))
        yield Event(_DONE)

    def refusal(self, refusal: Refusal, request_id: str) -> dict[str, Any]:
        """See `Family`."""
        return {"error": openai_common.error(refusal)}

    def error_event(self, refusal: Refusal, request_id: str) -> bytes:
        """See `Family`."""
        return b"data: " + dump(self.refusal(refusal, request_id)) + b"\n\n"


def usage(bill: Bill) -> dict[str, Any]:
    """Give the bill as chat completions say it."""
    return {
        "prompt_tokens": bill.all_input,
        "completion_tokens": bill.all_output,
        "total_tokens": bill.all_input + bill.all_output,
        "prompt_tokens_details": {"cached_tokens": bill.cache_read, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": bill.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _head(exchange: Exchange, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{exchange.id}",
        "object": kind,
        "created": exchange.created,
        "model": openai_common.served(exchange.question.model),
        "service_tier": "default",
        "system_fingerprint": "fp_simulated",
    }


def _chunk(exchange: Exchange, choices: list[Any]) -> dict[str, Any]:
    head = {**_head(exchange, "chat.completion.chunk"), "choices": choices}
    return {**head, "usage": None} if exchange.question.include_usage else head


def _turn(message: Any) -> Turn:
    said = table(message)
    role = _ROLES.get(str(said.get("role")))
    if role is None:
        raise UnacceptableError(
            f"Invalid value: {said.get('role')!r} in 'messages[].role'."
        )
    functions = [
        table(table(call).get("function")) for call in items(said.get("tool_calls"))
    ]
    functions += [table(said.get("function_call"))] if said.get("function_call") else []
    arguments = [str(function.get("arguments", "")) for function in functions]
    text = "\n".join(filter(None, [text_of(said.get("content")), *arguments]))
    return Turn(
        role, text, tuple(str(function.get("name", "")) for function in functions)
    )


def _check_results(messages: list[Any]) -> None:
    """Refuse calls without results, and results without calls, as OpenAI does."""
    wanted: list[str] = []
    for message in map(table, messages):
        if message.get("role") == "tool":
            if message.get("tool_call_id") not in wanted:
                raise UnacceptableError(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
                )
            wanted.remove(message["tool_call_id"])
            continue
        if wanted:
            break
        wanted = [
            str(table(call).get("id")) for call in items(message.get("tool_calls"))
        ]
    if left := missing(wanted, ()):
        raise UnacceptableError(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
            f"The following tool_call_ids did not have response messages: {', '.join(left)}"
        )


def _tools(body: dict[str, Any]) -> Iterator[Tool]:
    functions = [
        table(table(tool).get("function")) for tool in items(body.get("tools"))
    ]
    for function in [*functions, *map(table, items(body.get("functions")))]:
        if isinstance(function.get("name"), str):
            yield Tool(
                function["name"],
                table(function.get("parameters")),
                str(function.get("description") or ""),
            )


def _forced(choice: Any) -> str:
    if isinstance(choice, str):
        return {"required": ANY_TOOL, "none": NO_TOOL}.get(choice, "")
    return str(table(table(choice).get("function")).get("name") or "")


def _schema(wanted: dict[str, Any]) -> dict[str, Any] | None:
    if wanted.get("type") == "json_schema":
        return table(table(wanted.get("json_schema")).get("schema"))
    return {} if wanted.get("type") == "json_object" else None
