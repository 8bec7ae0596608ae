"""Provider streams for tests, as events in wire form.

What lives here: short, made-up answers of OpenAI chat and Anthropic Messages with known token counts. What does not:
recorded traffic (`tests/data`).
"""

import json
from typing import Any

from tests.helpers.wire import LAST_CHUNK, STREAM_HEAD, chunk, request

Event = dict[str, Any]


def anthropic_event(kind: str, **fields: Any) -> bytes:
    data = json.dumps({"type": kind, **fields}, ensure_ascii=False)
    return f"event: {kind}\ndata: {data}\n\n".encode()


def anthropic_start(input_tokens: int = 25) -> bytes:
    usage = {"input_tokens": input_tokens, "output_tokens": 1}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [],
    }
    return anthropic_event("message_start", message={**message, "usage": usage})


def anthropic_text(text: str) -> bytes:
    return anthropic_event(
        "content_block_delta", index=0, delta={"type": "text_delta", "text": text}
    )


def anthropic_delta(output_tokens: int, **usage: int) -> bytes:
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    return anthropic_event(
        "message_delta", delta=delta, usage={"output_tokens": output_tokens, **usage}
    )


ANTHROPIC_STOP = anthropic_event("message_stop")
ANTHROPIC_BLOCK = anthropic_event(
    "content_block_start", index=0, content_block={"type": "text", "text": ""}
)
ANTHROPIC_BLOCK_STOP = anthropic_event("content_block_stop", index=0)
ANTHROPIC_ERROR = anthropic_event(
    "error", error={"type": "overloaded_error", "message": "Overloaded"}
)


def anthropic_stream(
    *texts: str, input_tokens: int = 25, output_tokens: int = 15
) -> list[bytes]:
    """Give a whole stream, one item an event."""
    return [
        anthropic_start(input_tokens),
        ANTHROPIC_BLOCK,
        anthropic_event("ping"),
        *(anthropic_text(text) for text in texts),
        ANTHROPIC_BLOCK_STOP,
        anthropic_delta(output_tokens),
        ANTHROPIC_STOP,
    ]


def anthropic_ask() -> bytes:
    body = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 64,
        "stream": True,
        "messages": [_USER],
    }
    return post(b"/anthropic/v1/messages", json.dumps(body).encode())


_USER = {"role": "user", "content": "Say hello, please."}


def openai_event(**fields: Any) -> bytes:
    common = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "model": "gpt-4o-2024-08-06",
    }
    return (
        b"data: "
        + json.dumps({**common, **fields}, ensure_ascii=False).encode()
        + b"\n\n"
    )


def openai_text(text: str, finish: str | None = None) -> bytes:
    choice = {
        "index": 0,
        "delta": {"content": text} if text else {},
        "finish_reason": finish,
    }
    return openai_event(choices=[choice])


def openai_usage(prompt: int, completion: int) -> bytes:
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    return openai_event(choices=[], usage=usage)


OPENAI_DONE = b"data: [DONE]\n\n"


def openai_ask(**fields: Any) -> bytes:
    body = {"model": "gpt-4o", "messages": [_USER], "stream": True, **fields}
    return post(b"/openai/v1/chat/completions", json.dumps(body).encode())


def post(target: bytes, body: bytes) -> bytes:
    return request(
        target, (b"Content-Type", b"application/json"), method=b"POST", body=body
    )


def streamed(*events: bytes) -> bytes:
    """Frame a whole stream, one chunk an event."""
    return STREAM_HEAD + b"".join(chunk(event) for event in events) + LAST_CHUNK
