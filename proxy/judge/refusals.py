"""How a policy's refusal is answered: status, headers and body that each family's clients understand, and stop at.

What lives here: which manner a verdict is refused in, what clients need that read the same status differently, the header that names a
verdict. What does not: bodies (`shapes.py`, `mcp_refusals.py`), words (each policy's), sending (`proxy/forward`).

Final is 400 with `x-should-retry: false` and no `Retry-After`: the one answer that no SDK tries again. The others say how long to wait.
"""

import re

import msgspec

from proxy.judge import mcp_refusals
from proxy.judge.gates import Gate
from proxy.judge.shapes import (
    AWS_EXCEPTIONS,
    Family,
    Manner,
    Told,
    anthropic_error,
    encode,
    error_of,
    family_of,
)
from proxy.judge.verdict import Reason, Verdict
from proxy.model import ErrorType

VERDICT_HEADER = b"x-tacho-verdict"

_JSON = b"application/json"
_EVENTS = b"text/event-stream"
_CLAUDE_CODE = b"claude-cli/"
_CODEX = re.compile(rb"codex[_a-z-]*/")
_SPEND = (Reason.COST, Reason.BUDGET, Reason.TOO_FAST, Reason.ACCOUNT_SPENT)
_ERROR_TYPES = {
    Manner.FINAL: ErrorType.INVALID_REQUEST,
    Manner.LIMITED: ErrorType.RATE_LIMITED,
    Manner.BUSY: ErrorType.ADMISSION,
}
_NO_TOKEN = re.compile(r"[^A-Za-z0-9._:-]")
_MOST_NAMED = 8


class Asker(msgspec.Struct, frozen=True):
    """What of a request decides how it is answered."""

    dialect: str
    provider: str
    user_agent: bytes = b""
    accept: bytes = b""
    body: bytes | None = None
    """Of a posted MCP message: its answer repeats the id."""


class OwnAnswer(msgspec.Struct, frozen=True):
    """An answer of ours."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


def refuse(verdict: Verdict, asker: Asker) -> OwnAnswer:
    """Say how a request is answered that does not go upstream."""
    family = family_of(asker.dialect, asker.provider)
    manner = _manner(verdict)
    told = tell(verdict, manner)
    if family is Family.MCP:
        return _mcp(verdict, told, asker)
    if family is Family.ANTHROPIC and _is_spend_limit(verdict, asker):
        # What Claude Code documents for a gateway's spend limit; it then stops, and shows the message.
        message = f"spend limit reached: {told.message}"
        body = encode(anthropic_error("billing_error", message))
        return OwnAnswer(Manner.LIMITED.value, _headers(verdict, told), body)
    status = manner.value
    if manner is Manner.LIMITED and _CODEX.match(asker.user_agent):
        # Codex gives up at any 429, and comes back after a 503.
        status = Manner.BUSY.value
    headers = _headers(verdict, told)
    if family is Family.BEDROCK:
        headers += ((b"x-amzn-ErrorType", AWS_EXCEPTIONS[manner].encode()),)
    return OwnAnswer(status, headers, encode(error_of(family, told)))


def error_type_of(verdict: Verdict) -> ErrorType:
    """Give the row's word for a refusal."""
    return _ERROR_TYPES[_manner(verdict)]


def tell(verdict: Verdict, manner: Manner) -> Told:
    """Give what an error says of a verdict, here or in a stream."""
    wait = 0 if manner is Manner.FINAL else max(1, verdict.wait_seconds)
    return Told(f"tachograph: {verdict.message}", verdict.reason, manner, wait)


def verdict_header(verdict: Verdict) -> bytes:
    """Give the value of `x-tacho-verdict`: `block;policy=caps;reason=step_limit`, and behind commas what others said."""
    every = (verdict, *verdict.others)[:_MOST_NAMED]
    return ", ".join(
        f"{each.action};policy={_NO_TOKEN.sub('_', each.policy)};reason={each.reason}"
        for each in every
    ).encode()


def _manner(verdict: Verdict) -> Manner:
    if verdict.is_final:
        return Manner.FINAL
    return Manner.LIMITED if verdict.policy == Gate.RATE else Manner.BUSY


def _is_spend_limit(verdict: Verdict, asker: Asker) -> bool:
    is_claude_code = asker.user_agent.startswith(_CLAUDE_CODE)
    return is_claude_code and verdict.is_final and verdict.reason in _SPEND


def _headers(
    verdict: Verdict, told: Told, content_type: bytes = _JSON
) -> tuple[tuple[bytes, bytes], ...]:
    headers = [
        (b"Content-Type", content_type),
        (b"x-tacho-error", _ERROR_TYPES[told.manner].encode()),
        (VERDICT_HEADER, verdict_header(verdict)),
    ]
    if told.manner is Manner.FINAL:
        headers.append((b"x-should-retry", b"false"))
    else:
        headers.append((b"Retry-After", str(told.wait_seconds).encode()))
    if told.manner is Manner.LIMITED:
        headers.append((b"retry-after-ms", str(told.wait_seconds * 1000).encode()))
    return tuple(headers)


def _mcp(verdict: Verdict, told: Told, asker: Asker) -> OwnAnswer:
    """Answer an MCP message with 200, which all clients read; who posts none, or names no form of answers, gets an error status.

    The latter are clients of the protocol's first transport (before 2025-03-26): they read answers from another stream, which a refusal cannot
    reach. The official Python client notes the status in its log and waits for its own time limit.
    """
    body = mcp_refusals.answers(asker.body, told)
    accept = asker.accept.lower()
    takes_json, takes_events = _JSON in accept, _EVENTS in accept
    is_message = asker.body is not None
    if is_message and takes_events and not takes_json:
        headers = _headers(verdict, told, _EVENTS)
        return OwnAnswer(200, headers, mcp_refusals.framed(body))
    status = 200 if is_message and takes_json else told.manner.value
    return OwnAnswer(status, _headers(verdict, told), body)
