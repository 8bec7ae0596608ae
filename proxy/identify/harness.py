"""Ids that agent tools send anyway.

What lives here: where Claude Code, Codex, OpenCode, the AWS SDKs and gateways' conventions put theirs, and what these mean. What does
not: ids of ours (`explicit.py`), what outranks what (`ladder.py`).

Most of them name a session, which lasts for hours; only Codex's turn and Claude Code's subagent are runs. See
`research/wire.md` §3.1 for where each was seen.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from proxy.http.headers import Headers
from proxy.identify.conversation import Conversation
from proxy.identify.given import given_id
from proxy.meter import lenient

MAX_METADATA_BYTES = 16 << 10
_SESSION_HEADERS = (
    b"x-session-affinity",
    b"x-session-id",
    b"x-opencode-session",
    b"helicone-session-id",
    b"x-litellm-session-id",
)
"""Conventions of OpenCode, OpenRouter, Helicone and LiteLLM, the most particular first."""
_SESSION_MEMBERS = ("session_id", "litellm_session_id")
_CLAUDE_USER = re.compile(r"user_[0-9a-f]+_account_[\w-]*_session_(?P<session>[\w-]{1,128})")  # fmt: skip
_SDK_ATTEMPT = re.compile(rb"attempt=([0-9]{1,4})\b")
_COUNT = re.compile(rb"[0-9]{1,4}")


class Harness(msgspec.Struct, frozen=True):
    """What an agent tool said; empty where it said nothing."""

    run: str = ""
    parent: str = ""
    """The run that started this one."""
    session: str = ""
    parent_session: str = ""
    is_retry: bool = False
    """The client says that it tries again."""
    retry_count: int = 0
    """How often it says to have tried before."""
    retry_key: str = ""
    """An id that stays over a client's retries."""
    kind: str = ""
    """What a call is for, where the tool says so (`turn`, `compaction`, `review`, …)."""


def read_harness(headers: Headers, conversation: Conversation) -> Harness:
    """Read the headers and the body's metadata. Never raises; ids of a wrong form are hashed."""
    metadata = dict(conversation.metadata)
    found = (
        _claude_code(headers, metadata)
        or _codex(headers, metadata)
        or _convention(headers, metadata)
    )
    count, retry_key = _retry(headers)
    return msgspec.structs.replace(
        found, is_retry=count > 0, retry_count=count, retry_key=retry_key
    )


def _claude_code(headers: Headers, metadata: Mapping[str, str]) -> Harness | None:
    session = _text(headers, b"x-claude-code-session-id") or _claude_session(metadata.get("user_id", ""))  # fmt: skip
    if not session:
        return None
    agent = _text(headers, b"x-claude-code-agent-id")
    parent = _text(headers, b"x-claude-code-parent-agent-id")
    return Harness(
        run=given_id("claude-code", agent),
        parent=given_id("claude-code", parent),
        session=given_id("claude-code", session),
        kind="subagent" if agent else "",
    )


def _claude_session(user: str) -> str:
    """Read `metadata.user_id`: JSON in newer versions."""
    older = _CLAUDE_USER.fullmatch(user)
    if older is not None:
        return older["session"]
    table = _table(user.encode("utf-8", "replace"))
    is_ours = "device_id" in table or "account_uuid" in table
    return lenient.text(table.get("session_id")) if is_ours else ""


def _codex(headers: Headers, metadata: Mapping[str, str]) -> Harness | None:
    said = _table(headers.first(b"x-codex-turn-metadata") or metadata.get("x-codex-turn-metadata", "").encode("utf-8", "replace"))  # fmt: skip
    said = {**{key: value for key, value in metadata.items() if "turn_id" in metadata}, **said}  # fmt: skip
    window = _text(headers, b"x-codex-window-id")
    is_codex = bool(window or said.get("turn_id"))
    thread = (
        lenient.text(said.get("thread_id"))
        or window.rpartition(":")[0]
        or (_text(headers, b"thread-id") or _text(headers, b"conversation_id") if is_codex else "")
    )  # fmt: skip
    if not thread and not is_codex:
        return None
    parent = _text(headers, b"x-codex-parent-thread-id") or lenient.text(said.get("parent_thread_id"))  # fmt: skip
    subagent = _text(headers, b"x-openai-subagent") or lenient.text(said.get("subagent_kind"))  # fmt: skip
    return Harness(
        run=given_id("codex", lenient.text(said.get("turn_id")) or thread),
        session=given_id("codex", thread),
        parent_session=given_id("codex", parent),
        kind=(subagent or lenient.text(said.get("request_kind")))[:64],
    )


def _convention(headers: Headers, metadata: Mapping[str, str]) -> Harness:
    for name in _SESSION_HEADERS:
        session = _text(headers, name)
        if session:
            parent = _text(headers, b"x-parent-session-id")
            return Harness(session=given_id("session", session), parent_session=given_id("session", parent))  # fmt: skip
    for member in _SESSION_MEMBERS:
        if metadata.get(member):
            return Harness(session=given_id("session", metadata[member]))
    return Harness()


def _retry(headers: Headers) -> tuple[int, str]:
    """Read what SDKs say of their retries. An `Idempotency-Key` names one logical call by its very definition."""
    invocation = _text(headers, b"amz-sdk-invocation-id")
    attempt = _SDK_ATTEMPT.search(headers.first(b"amz-sdk-request") or b"")
    if invocation:
        return max(0, int(attempt[1]) - 1) if attempt else 0, invocation[:128]
    count = (headers.first(b"x-stainless-retry-count") or b"").strip()
    idempotency = _text(headers, b"idempotency-key")[:256]
    return int(count) if _COUNT.fullmatch(count) else 0, idempotency


def _text(headers: Headers, name: bytes) -> str:
    values = headers.every(name)
    return values[0].strip().decode("utf-8", "replace") if len(values) == 1 else ""


def _table(written: bytes) -> dict[str, Any]:
    if not written.startswith(b"{") or len(written) > MAX_METADATA_BYTES:
        return {}
    return lenient.table(msgspec.Raw(written)) or {}
