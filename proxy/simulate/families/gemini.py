"""Google's generateContent and streamGenerateContent.

What lives here: their requests, answers, chunks and errors. What does not: embeddings and lists of models (`catalogue.py`).
"""

import base64
import json
from collections.abc import Iterator
from typing import Any

from proxy.simulate.families.family import (
    dump,
    items,
    pieces,
    require,
    table,
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
)

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
QUOTA = "You exceeded your current quota, please check your plan and billing details."


class Gemini:
    """See the module."""

    name = "gemini"
    content_type = "application/json; charset=UTF-8"
    marks_cache = False

    def read(self, body: dict[str, Any]) -> Question:
        """See `Family`; the server puts `model` and `stream`, which stand in the URL, into the body."""
        contents = require(
            body,
            "contents",
            list,
            "* GenerateContentRequest.contents: contents is not specified",
        )
        settings = table(_get(body, "generationConfig"))
        thinking = table(_get(settings, "thinkingConfig"))
        system = table(_get(body, "systemInstruction"))
        turns = [Turn(SYSTEM, _text(items(system.get("parts"))))] if system else []
        turns += [turn for content in contents for turn in _turns(table(content))]
        return Question(
            model=str(body["model"]),
            turns=tuple(turns),
            tools=tuple(_tools(body)),
            forced=_forced(body),
            schema=_schema(settings),
            max_tokens=whole_number(_get(settings, "maxOutputTokens")),
            stops=words(_get(settings, "stopSequences")),
            stream=body.get("stream") is True,
            shows_reasoning=_get(thinking, "includeThoughts") is True,
            can_reason=_get(thinking, "thinkingBudget") != 0,
            body=body,
        )

    def whole(self, exchange: Exchange) -> dict[str, Any]:
        """See `Family`."""
        parts = [part for part, _ in _parts(exchange, whole=True)]
        return _response(exchange, parts, usage(exchange.bill), last=True)

    def events(self, exchange: Exchange) -> Iterator[Event]:
        """See `Family`; each chunk says what was used by then."""
        said = 0
        bill = exchange.bill
        found = [*_parts(exchange, whole=False)]
        for place, (part, tokens) in enumerate(found):
            last = place == len(found) - 1
            said += tokens
            counted = usage(bill, None if last else min(said, bill.output))
            yield Event(
                unnamed(_response(exchange, [part], counted, last), b"\r\n\r\n"), tokens
            )

    def refusal(self, refusal: Refusal, request_id: str) -> dict[str, Any]:
        """See `Family`."""
        status = _STATUSES.get(refusal.status, "INTERNAL")
        message = QUOTA if refusal.quota else refusal.message
        return {"error": {"code": refusal.status, "message": message, "status": status}}

    def error_event(self, refusal: Refusal, request_id: str) -> bytes:
        """See `Family`."""
        return b"data: " + dump(self.refusal(refusal, request_id)) + b"\r\n\r\n"


def usage(bill: Bill, visible: int | None = None) -> dict[str, Any]:
    """Give the bill as Gemini says it, or as much of it as is `visible` by now."""
    candidates = bill.output if visible is None else visible
    said: dict[str, Any] = {"promptTokenCount": bill.all_input}
    if candidates:
        said["candidatesTokenCount"] = candidates
    said["totalTokenCount"] = bill.all_input + candidates + bill.reasoning
    if bill.cache_read:
        said["cachedContentTokenCount"] = bill.cache_read
        said["cacheTokensDetails"] = [
            {"modality": "TEXT", "tokenCount": bill.cache_read}
        ]
    said["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": bill.all_input}]
    if bill.reasoning:
        said["thoughtsTokenCount"] = bill.reasoning
    return said


def _response(
    exchange: Exchange, parts: list[dict[str, Any]], counted: dict[str, Any], last: bool
) -> dict[str, Any]:
    candidate: dict[str, Any] = {
        "content": {"parts": parts, "role": "model"},
        "index": 0,
    }
    if last:
        candidate["finishReason"] = (
            "MAX_TOKENS" if exchange.answer.finish is Finish.LENGTH else "STOP"
        )
    return {
        "candidates": [candidate],
        "usageMetadata": counted,
        "modelVersion": exchange.question.model,
        "responseId": exchange.id[:23],
    }


def _parts(exchange: Exchange, *, whole: bool) -> Iterator[tuple[dict[str, Any], int]]:
    answer = exchange.answer
    if answer.reasoning and exchange.question.shows_reasoning:
        yield {"text": answer.reasoning, "thought": True}, 0
    signature = base64.b64encode(f"simulated:{exchange.id}".encode() * 4).decode()
    if whole and (answer.text or not answer.calls):
        yield {"text": answer.text}, 0
    elif answer.text or not answer.calls:
        yield from (({"text": piece}, tokens) for piece, tokens in pieces(answer.text))
    for place, call in enumerate(answer.calls):
        part: dict[str, Any] = {
            "functionCall": {"name": call.tool, "args": _arguments(call.arguments)}
        }
        if not place:
            part["thoughtSignature"] = signature
        yield part, max(1, len(call.arguments) // 4)
    if not whole:
        yield {"text": ""}, 0


def _arguments(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {"raw": text}


def _get(body: dict[str, Any], name: str) -> Any:
    """Give a member under its name or that with underscores; Google's servers take both."""
    snake = "".join(f"_{sign.lower()}" if sign.isupper() else sign for sign in name)
    return body.get(name, body.get(snake))


def _text(parts: list[Any]) -> str:
    said = [table(part).get("text", "[media]") for part in parts]
    return "\n".join(each for each in said if isinstance(each, str))


def _turns(content: dict[str, Any]) -> Iterator[Turn]:
    parts = [table(part) for part in items(content.get("parts"))]
    calls = [table(found) for part in parts if (found := _get(part, "functionCall"))]
    results = [
        table(found) for part in parts if (found := _get(part, "functionResponse"))
    ]
    others = [
        p
        for p in parts
        if not _get(p, "functionCall") and not _get(p, "functionResponse")
    ]
    if content.get("role") == "model":
        said = [_text(others), *(dump(call.get("args")).decode() for call in calls)]
        yield Turn(
            ASSISTANT,
            "\n".join(filter(None, said)),
            tuple(str(c.get("name")) for c in calls),
        )
        return
    if results:
        yield Turn(TOOL, "\n".join(_result(found.get("response")) for found in results))
    if others or not results:
        yield Turn(SYSTEM if results else USER, _text(others))


def _result(response: Any) -> str:
    """Give what a tool answered; clients wrap a text into an object."""
    said = table(response)
    if len(said) == 1 and isinstance(value := next(iter(said.values())), str):
        return value
    return dump(response).decode()


def _tools(body: dict[str, Any]) -> Iterator[Tool]:
    for group in map(table, items(body.get("tools"))):
        for each in map(table, items(_get(group, "functionDeclarations"))):
            schema = _get(each, "parametersJsonSchema") or each.get("parameters")
            if isinstance(each.get("name"), str):
                yield Tool(
                    each["name"], table(schema), str(each.get("description") or "")
                )


def _forced(body: dict[str, Any]) -> str:
    calling = table(_get(table(_get(body, "toolConfig")), "functionCallingConfig"))
    mode = str(calling.get("mode", "")).upper()
    if mode == "ANY":
        names = words(_get(calling, "allowedFunctionNames"))
        return names[0] if len(names) == 1 else ANY_TOOL
    return NO_TOOL if mode == "NONE" else ""


def _schema(settings: dict[str, Any]) -> dict[str, Any] | None:
    if _get(settings, "responseMimeType") != "application/json":
        return None
    return table(
        _get(settings, "responseJsonSchema") or _get(settings, "responseSchema")
    )
