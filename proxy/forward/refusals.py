"""Answers of our own: what is refused before a family is known, or fails here, and what a policy refuses.

What lives here: sending them. What does not: their bodies (`judge/shapes.py`: one that serves all families, or a family's own). The message
holds the whole story, since several SDKs show nothing else.
"""

from collections.abc import Iterable
from http import HTTPStatus

import msgspec

from proxy.forward.agent import Agent
from proxy.judge.refusals import OwnAnswer
from proxy.judge.shapes import Family, Manner, Told, error_of

_JSON = (b"Content-Type", b"application/json")
_FINAL_BELOW = 500


def give(
    agent: Agent, answer: OwnAnswer, more: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Answer the agent as a policy's refusal says, with further headers."""
    reason = HTTPStatus(answer.status).phrase.encode("ascii")
    agent.answer(answer.status, reason, [*answer.headers, *more], answer.body)


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
    manner = Manner.FINAL if status < _FINAL_BELOW else Manner.BUSY
    body = error_of(Family.ANY, Told(f"tachograph: {message}", code, manner))
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
