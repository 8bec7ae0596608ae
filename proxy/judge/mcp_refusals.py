"""How the refusal of an MCP message looks: a tool's call gets a result that says so, anything else a JSON-RPC error.

What lives here: answers to one message or a batch, as JSON or framed as events. What does not: status and headers (`refusals.py`).

A result with `isError` reaches the model, which can then do something else; a protocol error reaches only the program around it.
"""

from typing import Any

import msgspec

from proxy.judge.shapes import Told, encode
from proxy.meter import lenient

_TOOL_CALL = "tools/call"
REFUSED = -32090
"""In the range that JSON-RPC leaves to servers, away from what MCP and its SDKs use of it."""


class _Request(msgspec.Struct):
    id: msgspec.Raw = msgspec.Raw()
    method: Any = None


_ONE = msgspec.json.Decoder(_Request)
_SEVERAL = msgspec.json.Decoder(list[_Request])
_NO_ID = msgspec.Raw(b"null")


def answers(body: bytes | None, told: Told) -> bytes:
    """Give the JSON that answers every request in a posted body; of one that cannot be read, an error without id."""
    text = (body or b"").lstrip()
    try:
        if text.startswith(b"["):
            found = [_answer(each, told) for each in lenient.load(_SEVERAL, text) if each.id]  # fmt: skip
            return encode(found or _error(_NO_ID, told))
        return encode(_answer(lenient.load(_ONE, text), told))
    except lenient.UNREADABLE:
        return encode(_error(_NO_ID, told))


def framed(message: bytes) -> bytes:
    """Frame a message as an event."""
    return b"event: message\ndata: " + message + b"\n\n"


def _answer(request: _Request, told: Told) -> dict[str, Any]:
    if request.method != _TOOL_CALL or not request.id:
        return _error(request.id or _NO_ID, told)
    result = {
        "content": [{"type": "text", "text": told.message}],
        "isError": True,
        "resultType": "complete",
    }
    return {"jsonrpc": "2.0", "id": request.id, "result": result}


def _error(request_id: msgspec.Raw, told: Told) -> dict[str, Any]:
    data: dict[str, Any] = {"reason": told.code}
    if told.wait_seconds:
        data["retryAfterSeconds"] = told.wait_seconds
    error = {"code": REFUSED, "message": told.message, "data": data}
    return {"jsonrpc": "2.0", "id": request_id, "error": error}
