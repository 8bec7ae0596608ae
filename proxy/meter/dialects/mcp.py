"""The Model Context Protocol over HTTP: JSON-RPC messages that are posted, and event streams.

What lives here: which call a message is, whether its answer says that it failed, where a stream of events is over. What does
not: tokens (there are none), the session (`Mcp-Session-Id` is a matter of `identify`), the endpoint that an old server names
(`proxy/http/sse_endpoint.py`).

Three shapes of it are in use, and one URL may speak all:
- up to 2025-11-25 a POST is answered with JSON, or with events of which the one with the request's id is the answer; progress
  and requests of the server's own come before it. A GET opens a stream for what the server wants to say, a DELETE ends the
  session. A server may also close a stream with event ids early: the answer then comes with a GET (`Last-Event-ID`).
- from 2026-07-28 on each POST stands alone; there is no session, and only POST.
- before 2025-03-26 a GET opens the stream that carries all answers, and each POST is answered 202: the row of such a call says
  that it was made, and nothing of its result.
"""

from functools import partial
from typing import Any

import msgspec

from proxy.meter import asks, faults, lenient
from proxy.meter.answer import AnswerReader
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.draft import Draft
from proxy.meter.unread import Unread, unmetered
from proxy.model import Ask, ErrorType, Kind, Reading

MAX_TOOL_CHARS = MAX_ID_CHARS = 128
MAX_AWAITED = 1000
"""Requests of one batch whose answers are waited for."""

_WORK = frozenset(
    (
        "tools/call",
        "resources/read",
        "prompts/get",
        "sampling/createMessage",
        "elicitation/create",
    )
)
_NO_WORK = frozenset(
    (
        "initialize",
        "server/discover",
        "ping",
        "tools/list",
        "resources/list",
        "resources/templates/list",
        "resources/subscribe",
        "resources/unsubscribe",
        "subscriptions/listen",
        "prompts/list",
        "completion/complete",
        "logging/setLevel",
        "roots/list",
        "tasks/get",
        "tasks/result",
        "tasks/list",
        "tasks/cancel",
    )
)
"""Completion helps a person who types. Tasks are the waiting for a call that was counted when it was made."""
_TOOL_CALL = "tools/call"
_NOTIFICATION, _RESPONSE, _BATCH, _OTHER = "notification", "response", "batch", "other"

MESSAGE = Operation("message", Kind.MCP, is_step=True, buffered=True)
"""A POST whose body was not read: too large, or in a coding that is unknown."""
SSE_STREAM = Operation(
    "sse_stream",
    Kind.MCP,
    is_step=False,
    buffered=False,
    stream=True,
    names_endpoint=True,
)
SESSION_END = Operation("session_end", Kind.MCP, is_step=False, buffered=False)
METADATA = Operation("metadata", Kind.MCP, is_step=False, buffered=False)
"""What OAuth asks for before a session."""

_INVALID = (-32700, -32600, -32602, -32020, -32021, -32022, -32042)
"""JSON-RPC's own, and MCP's: header mismatch, missing capability, unsupported version, a URL to be visited first."""
_NOT_FOUND = (-32601, -32002)
_BY_CODE = {
    **dict.fromkeys(_INVALID, ErrorType.INVALID_REQUEST),
    **dict.fromkeys(_NOT_FOUND, ErrorType.NOT_FOUND),
}


class _Message(msgspec.Struct):
    method: Any = None
    id: Any = None
    params: msgspec.Raw = msgspec.Raw()
    result: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class _Params(msgspec.Struct):
    name: Any = None


class _Result(msgspec.Struct):
    isError: Any = None  # noqa: N815  # MCP's spelling


_ONE = msgspec.json.Decoder(_Message)
_SEVERAL = msgspec.json.Decoder(list[_Message])
_PARAMS = msgspec.json.Decoder(_Params)
_RESULT = msgspec.json.Decoder(_Result)


class Mcp:
    """See the module."""

    name = "mcp"

    def operation(self, method: str, path: str) -> Operation | None:
        """See `Dialect`; what a POST is called says its body."""
        if method == "GET":
            return METADATA if "/.well-known/" in path else SSE_STREAM
        return {"POST": MESSAGE, "DELETE": SESSION_END}.get(method)

    def read_request(self, operation: Operation, body: bytes | None) -> Ask:
        """See `Dialect`."""
        if operation is not MESSAGE or body is None:
            blank = asks.blank(self.name, operation)
            return msgspec.structs.replace(blank, stream=operation.stream)
        messages = _read(body)
        names = [name for message in messages if (name := _name(message))]
        if not names:
            other = Operation(_OTHER, Kind.MCP, is_step=False, buffered=True)
            return asks.blank(self.name, other, well_formed=False)
        requests = [message for message in messages if _awaits(message)]
        return Ask(
            dialect=self.name,
            operation=_name_of_all(names),
            kind=Kind.MCP,
            is_step=any(_is_work(message) for message in requests),
            tool=_tool(requests),
            awaited=tuple(_id(message.id) for message in requests[:MAX_AWAITED]),
        )

    def reader(self, ask: Ask, head: Head) -> Reader:
        """See `Dialect`."""
        if ask.operation in (SSE_STREAM.name, SESSION_END.name, METADATA.name):
            return unmetered(head.status)
        if head.status == 202:
            return Unread(Reading(deferred=bool(ask.awaited)))
        make = partial(_Family, ask, head.status)
        return AnswerReader(make, head.status, head.content_type)


def _read(body: bytes) -> list[_Message]:
    """Read one message or, as up to 2025-03-26, a batch; nothing where it is neither."""
    if body.lstrip().startswith(b"["):
        return asks.read(_SEVERAL, body) or []
    message = asks.read(_ONE, body)
    return [] if message is None else [message]


def _id(found: Any) -> str:
    """Give an id for comparison; 1 and "1" are the same, since clients match both."""
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        return ""
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    return str(found)[:MAX_ID_CHARS]


def _awaits(message: _Message) -> bool:
    return isinstance(message.method, str) and _id(message.id) != ""


def _is_work(request: _Message) -> bool:
    """Tell whether a request is work; what nobody knows may be."""
    return request.method not in _NO_WORK


def _name(message: _Message) -> str:
    """Name a message by a word from a fixed set; nothing where it is none."""
    if isinstance(message.method, str):
        if not _awaits(message):
            return _NOTIFICATION
        known = message.method in _WORK or message.method in _NO_WORK
        return message.method if known else _OTHER
    return _RESPONSE if message.result or message.error else ""


def _name_of_all(names: list[str]) -> str:
    """Name a batch: by its one request, if that is all that awaits an answer."""
    asked = [name for name in names if name not in (_NOTIFICATION, _RESPONSE)] or names
    return asked[0] if len(set(asked)) == 1 else _BATCH


def _tool(requests: list[_Message]) -> str:
    """Give the tool that is called, where it is one."""
    names = {
        lenient.text(params.name)
        for request in requests
        if request.method == _TOOL_CALL
        and (params := asks.read(_PARAMS, request.params)) is not None
    }
    return names.pop()[:MAX_TOOL_CHARS] if len(names) == 1 else ""


class _Family:
    """Waits in an answer for the messages that the request awaits."""

    def __init__(self, ask: Ask, status: int) -> None:
        self.draft = Draft(status)
        self.draft.open_ended = not ask.awaited
        self._awaited = frozenset(ask.awaited)
        self._missing = set(ask.awaited)

    def plain(self, line: bytes) -> bool:
        if line.startswith((b"id:", b"retry:")) and not self.draft.terminal:
            # The client can come back for the rest, so a clean end without an answer is no cut.
            self.draft.open_ended = self.draft.deferred = True
        return False

    def event(self, name: bytes, data: bytes) -> None:
        if data:
            self.document(data)

    def document(self, body: bytes) -> None:
        several = body.startswith(b"[")
        for message in (
            lenient.load(_SEVERAL, body) if several else [lenient.load(_ONE, body)]
        ):
            self._take(message)

    def _take(self, message: _Message) -> None:
        if message.method is not None or not (message.result or message.error):
            return
        answered = _id(message.id)
        if not answered:
            # An error about something of which not even the id could be read is all that comes.
            self._missing.clear()
        elif self._awaited and answered not in self._awaited:
            return
        self._missing.discard(answered)
        self._judge(message)
        if not self._missing:
            self.draft.terminal, self.draft.deferred = True, False

    def _judge(self, message: _Message) -> None:
        draft = self.draft
        error = lenient.value(message.error)
        if error is not None:
            draft.fault, draft.error_answer = _fault(error), True
            return
        result = asks.read(_RESULT, message.result)
        if result is not None and result.isError is True and draft.fault is None:
            draft.fault = faults.Fault(ErrorType.TOOL_ERROR)


def _fault(error: Any) -> faults.Fault:
    """Classify a JSON-RPC error; numbers of its own range mean what the protocol says, others what HTTP would."""
    fault = faults.classify(200, error)
    code = error.get("code") if isinstance(error, dict) else None
    known = _BY_CODE.get(code) if isinstance(code, int) else None
    other = fault.error_type
    if other is ErrorType.ERROR_IN_STREAM:
        other = ErrorType.SERVER_ERROR
    return faults.Fault(known or other, fault.code)
