"""Anthropic's Messages API, streamed and not.

What lives here: its answers, events and errors. What does not: its requests (`anthropic_requests.py`), the cache that
their marks fill.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any

from proxy.simulate.families.anthropic_requests import read_question
from proxy.simulate.families.family import dump, named, pieces
from proxy.simulate.question import Bill, Event, Exchange, Finish, Question, Refusal

_FINISH = {
    Finish.STOP: "end_turn",
    Finish.STOP_SEQUENCE: "stop_sequence",
    Finish.LENGTH: "max_tokens",
    Finish.CALLS: "tool_use",
}
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
QUOTA = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits."
_PING = b'event: ping\ndata: {"type": "ping"}\n\n'


class AnthropicMessages:
    """See the module."""

    name = "anthropic_messages"
    content_type = "application/json"
    marks_cache = True

    def read(self, body: dict[str, Any]) -> Question:
        """See `Family`."""
        return read_question(body)

    def whole(self, exchange: Exchange) -> dict[str, Any]:
        """See `Family`."""
        answer = exchange.answer
        message = _message(exchange, usage(exchange.bill))
        message["content"] = [block for block, _ in _blocks(exchange, filled=True)]
        message["stop_reason"] = _FINISH[answer.finish]
        message["stop_sequence"] = answer.stop_sequence
        return message

    def events(self, exchange: Exchange) -> Iterator[Event]:
        """See `Family`."""
        answer, bill = exchange.answer, exchange.bill
        started = {**usage(bill), "output_tokens": 1}
        started.pop("output_tokens_details", None)
        yield Event(
            named({"type": "message_start", "message": _message(exchange, started)})
        )
        for index, (block, deltas) in enumerate(_blocks(exchange, filled=False)):
            yield Event(
                named(
                    {
                        "type": "content_block_start",
                        "index": index,
                        "content_block": block,
                    }
                )
            )
            if not index:
                yield Event(_PING)
            for delta, tokens in deltas:
                yield Event(
                    named(
                        {"type": "content_block_delta", "index": index, "delta": delta}
                    ),
                    tokens,
                )
            yield Event(named({"type": "content_block_stop", "index": index}))
        ended = {
            "stop_reason": _FINISH[answer.finish],
            "stop_sequence": answer.stop_sequence,
        }
        counted = usage(bill)
        counted.pop("cache_creation")
        counted.pop("service_tier")
        yield Event(named({"type": "message_delta", "delta": ended, "usage": counted}))
        yield Event(named({"type": "message_stop"}))

    def refusal(self, refusal: Refusal, request_id: str) -> dict[str, Any]:
        """See `Family`."""
        kind = _TYPES.get(refusal.status, "api_error")
        message = QUOTA if refusal.quota else refusal.message
        error = {"type": kind, "message": message}
        return {"type": "error", "error": error, "request_id": request_id}

    def error_event(self, refusal: Refusal, request_id: str) -> bytes:
        """See `Family`."""
        return (
            b"event: error\ndata: " + dump(self.refusal(refusal, request_id)) + b"\n\n"
        )


def usage(bill: Bill) -> dict[str, Any]:
    """Give the bill as Anthropic says it."""
    said: dict[str, Any] = {
        "input_tokens": bill.input,
        "cache_creation_input_tokens": bill.cache_write + bill.cache_write_long,
        "cache_read_input_tokens": bill.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": bill.cache_write,
            "ephemeral_1h_input_tokens": bill.cache_write_long,
        },
        "output_tokens": bill.all_output,
        "service_tier": "standard",
    }
    if bill.reasoning:
        said["output_tokens_details"] = {"thinking_tokens": bill.reasoning}
    return said


def _message(exchange: Exchange, counted: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"msg_01{exchange.id[:22]}",
        "type": "message",
        "role": "assistant",
        "model": exchange.question.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": counted,
    }


_Block = tuple[dict[str, Any], Iterator[tuple[dict[str, Any], int]]]


def _blocks(exchange: Exchange, *, filled: bool) -> Iterator[_Block]:
    """Give each block, filled or as it begins, with the deltas that fill it."""
    answer = exchange.answer
    if answer.reasoning:
        signature = base64.b64encode(f"simulated:{exchange.id}".encode() * 4).decode()
        said = (answer.reasoning, signature) if filled else ("", "")
        block: dict[str, Any] = {
            "type": "thinking",
            "thinking": said[0],
            "signature": said[1],
        }
        yield block, _thinking(answer.reasoning, signature)
    if answer.text:
        block = {"type": "text", "text": answer.text if filled else ""}
        yield (
            block,
            (({"type": "text_delta", "text": p}, n) for p, n in pieces(answer.text)),
        )
    for call in answer.calls:
        given = _json_object(call.arguments) if filled else {}
        block = {"type": "tool_use", "id": call.id, "name": call.tool, "input": given}
        yield block, _arguments(call.arguments)


def _thinking(text: str, signature: str) -> Iterator[tuple[dict[str, Any], int]]:
    for piece, _ in pieces(text):
        yield (
            {"type": "thinking_delta", "thinking": piece},
            0,
        )  # its time is that to the first token
    yield {"type": "signature_delta", "signature": signature}, 0


def _arguments(text: str) -> Iterator[tuple[dict[str, Any], int]]:
    yield {"type": "input_json_delta", "partial_json": ""}, 1
    for piece, tokens in pieces(text):
        yield {"type": "input_json_delta", "partial_json": piece}, tokens


def _json_object(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {"raw": text}
