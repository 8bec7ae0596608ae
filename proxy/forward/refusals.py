"""Answers of our own, in a shape that every provider's SDK reads.

One body serves all families: OpenAI's `error.message/type/code/param`, Anthropic's `type: error`, and a top-level
`message`. The message holds the whole story, since several SDKs show nothing else.
"""

from collections.abc import Iterable
from http import HTTPStatus

import msgspec

from proxy.forward.agent import Agent

_JSON = (b"Content-Type", b"application/json")
_FINAL_BELOW = 500


def refuse(
    agent: Agent,
    status: int,
    code: str,
    error_type: str,
    message: str,
    headers: Iterable[tuple[str, str]] = (),
    routes: Iterable[str] = (),
) -> int:
    """Answer the agent; gives the status. A 4xx tells SDKs not to try again."""
    error = {
        "type": error_type,
        "code": code,
        "message": f"tachograph: {message}",
        "param": None,
    }
    body: dict[str, object] = {
        "type": "error",
        "error": error,
        "message": error["message"],
    }
    names = list(routes)
    if names:
        body["routes"] = names
    lines = [_JSON, (b"x-tacho-error", error_type.encode("ascii"))]
    if status < _FINAL_BELOW:
        lines.append((b"x-should-retry", b"false"))
    lines += [(name.encode("ascii"), value.encode("ascii")) for name, value in headers]
    reason = HTTPStatus(status).phrase.encode("ascii")
    agent.answer(status, reason, lines, msgspec.json.encode(body))
    return status
