"""Answers as providers write them, whole and streamed, for what is measured without sockets.

What lives here: OpenAI chat (with `usage` asked for and `obfuscation`, which is on by default), Responses and Anthropic Messages. What does
not: the mock provider (`mock.c`).
"""

import json
import random
from collections.abc import Iterator
from typing import Any

PATHS = {
    "chat": "/v1/chat/completions",
    "chat, no obfuscation": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}
_WORDS = (" the", " quick", ",", " fox", " jumps", " over", ".", " lazy", "\\n\\n", " said", ' \\"', " dog")  # fmt: skip
_TEXT = "The quick brown fox jumps over the lazy dog, and then it goes home. " * 14
REQUEST = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": _TEXT}]}).encode()  # fmt: skip
_CHAT = b'data: {"id":"chatcmpl-BIcVfAKVQdRsKEZdPmDDPVKpkWYlF","object":"chat.completion.chunk","created":1743774395,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_b376dfbbd5","choices":[%b],"usage":%b%b}\n\n'
_CHOICE = b'{"index":0,"delta":{%b},"logprobs":null,"finish_reason":%b}'
_RESPONSE = (
    b'event: response.%b\ndata: {"type":"response.%b","sequence_number":%d,%b}\n\n'
)
_MESSAGE = b'event: %b\ndata: {"type":"%b",%b}\n\n'
_USAGE = {
    "chat": {"prompt_tokens": 100, "completion_tokens": 220, "total_tokens": 320, "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}},
    "responses": {"input_tokens": 100, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 220, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 320},
    "messages": {"input_tokens": 100, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}, "output_tokens": 220, "service_tier": "standard"},
}  # fmt: skip


def document(family: str) -> bytes:
    """Give a whole answer of 1.5 KB."""
    family = family.partition(",")[0]
    said: dict[str, dict[str, Any]] = {
        "chat": {"id": "chatcmpl-1", "object": "chat.completion", "created": 1743774395, "model": "gpt-4o-2024-08-06", "choices": [{"index": 0, "message": {"role": "assistant", "content": _TEXT, "refusal": None, "annotations": []}, "logprobs": None, "finish_reason": "stop"}], "service_tier": "default", "system_fingerprint": "fp_1"},
        "responses": {"id": "resp_1", "object": "response", "status": "completed", "model": "gpt-4o-2024-08-06", "output": [{"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [{"type": "output_text", "text": _TEXT, "annotations": []}]}], "error": None, "incomplete_details": None, "instructions": None, "tools": [], "metadata": {}},
        "messages": {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929", "content": [{"type": "text", "text": _TEXT}], "stop_reason": "end_turn", "stop_sequence": None},
    }  # fmt: skip
    return json.dumps({**said[family], "usage": _USAGE[family]}).encode()


def events(family: str, count: int) -> list[bytes]:
    """Give the events of a stream with so many pieces of text."""
    dice = random.Random(family)
    words = [dice.choice(_WORDS).encode() for _ in range(count)]
    made = {"responses": _responses, "messages": _messages}.get(family)
    if made is not None:
        return list(made(words, dice))
    return list(_chat(words, dice, obfuscated=family == "chat"))


def _usage(family: str) -> bytes:
    return json.dumps(_USAGE[family], separators=(",", ":")).encode()


def _noise(dice: random.Random) -> bytes:
    return bytes(dice.choices(b"abcdefgXYZ0123456789", k=dice.randint(3, 15)))


def _chat(words: list[bytes], dice: random.Random, obfuscated: bool) -> Iterator[bytes]:
    def event(choice: bytes, usage: bytes = b"null") -> bytes:
        noise = b',"obfuscation":"%b"' % _noise(dice) if obfuscated else b""
        return _CHAT % (choice, usage, noise)

    yield event(_CHOICE % (b'"role":"assistant","content":"","refusal":null', b"null"))
    for word in words:
        yield event(_CHOICE % (b'"content":"%b"' % word, b"null"))
    yield event(_CHOICE % (b"", b'"stop"'))
    yield event(b"", _usage("chat"))
    yield b"data: [DONE]\n\n"


def _responses(words: list[bytes], dice: random.Random) -> Iterator[bytes]:
    response = b'"response":{"id":"resp_1","object":"response","status":"%b","model":"gpt-4o-2024-08-06","output":[],"usage":%b}'
    delta = b'"item_id":"msg_687fd3a2","output_index":0,"content_index":0,"delta":"%b","logprobs":[],"obfuscation":"%b"'
    created, text, completed = b"created", b"output_text.delta", b"completed"
    yield _RESPONSE % (created, created, 0, response % (b"in_progress", b"null"))
    for number, word in enumerate(words, 1):
        yield _RESPONSE % (text, text, number, delta % (word, _noise(dice)))
    last = response % (completed, _usage("responses"))
    yield _RESPONSE % (completed, completed, len(words) + 1, last)


def _messages(words: list[bytes], dice: random.Random) -> Iterator[bytes]:
    start = b'"message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5-20250929","content":[],"stop_reason":null,"usage":%b}'
    delta = b'"index":0,"delta":{"type":"text_delta","text":"%b"}%b'

    def event(name: bytes, members: bytes) -> bytes:
        return _MESSAGE % (name, name, members)

    yield event(b"message_start", start % _usage("messages"))
    yield event(b"content_block_start", b'"index":0,"content_block":{"type":"text","text":""}')  # fmt: skip
    for word in words:
        filler = b" " * dice.randint(0, 14)
        yield event(b"content_block_delta", delta % (word, filler))
    yield event(b"content_block_stop", b'"index":0')
    yield event(b"message_delta", b'"delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":220}')  # fmt: skip
    yield _MESSAGE.replace(b",%b", b"") % (b"message_stop", b"message_stop")
