"""Reads an answer of Amazon Bedrock: a JSON document, or an AWS event stream.

What lives here: telling the two apart, errors in place of an answer and in the middle of one, what response headers count. What
does not: the fields of an answer; each dialect gives an `AwsFamily`.
"""

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from proxy.meter import faults, lenient
from proxy.meter.answer import COMPACT_BYTES
from proxy.meter.dialect import Head
from proxy.meter.draft import Draft
from proxy.meter.eventstream import Frame, FrameStream
from proxy.model import Reading

_STREAM = "application/vnd.amazon.eventstream"
_COUNTS = {
    "inputTokenCount": b"x-amzn-bedrock-input-token-count",
    "outputTokenCount": b"x-amzn-bedrock-output-token-count",
    "cacheReadInputTokenCount": b"x-amzn-bedrock-cache-read-input-token-count",
    "cacheWriteInputTokenCount": b"x-amzn-bedrock-cache-write-input-token-count",
}


class AwsFamily(Protocol):
    """What is particular to one API; holds the state of one answer."""

    draft: Draft

    def event(self, name: str, payload: bytes) -> None:
        """Take an event. Raises one of `lenient.UNREADABLE` where that is not the JSON it should be."""

    def document(self, body: bytes) -> None:
        """Take a whole answer. Raises as `event` does."""


class AwsReader:
    """The `Reader` of all Bedrock APIs."""

    def __init__(self, make: Callable[[], AwsFamily], head: Head) -> None:
        self._make = make
        self._family = make()
        self._head = head
        self._says_stream = head.status < 400 and head.content_type.startswith(_STREAM)
        self._stream: FrameStream | None = None
        self._document: list[bytes] = []
        self._since_compact = 0
        self._read: Reading | None = None
        self.held_bytes = 0

    @property
    def terminal(self) -> bool:
        """See `Reader`."""
        return self._family.draft.terminal

    @property
    def output_started(self) -> bool:
        """See `Reader`."""
        return self._family.draft.output_started

    @property
    def calls_started(self) -> bool:
        """See `Reader`."""
        return bool(self._family.draft.calls)

    @property
    def truncated(self) -> bool:
        """See `Reader`."""
        return self._family.draft.truncated or (
            self._stream is not None and self._stream.truncated
        )

    def feed(self, chunk: bytes) -> None:
        """See `Reader`; a frame begins with its length, whose first byte is 0 and thus no JSON, whatever the content type."""
        self._read = None
        if self._stream is None and not self._document and chunk.startswith(b"\0"):
            self._stream = FrameStream(self._take)
        if self._stream is None:
            if chunk:
                self._document.append(chunk)
                self.held_bytes += len(chunk)
            return
        self._stream.feed(chunk)
        self._since_compact += len(chunk)
        if self._since_compact > COMPACT_BYTES:
            self._since_compact = 0
            self._family.draft.compact()

    def reading(self) -> Reading:
        """See `Reader`."""
        if self._read is None:
            self._read = self._finish()
        return self._read

    def _take(self, frame: Frame) -> None:
        draft = self._family.draft
        if frame.kind in (b"exception", b"error"):
            message = frame.headers.get(b":error-message", b"").decode(errors="replace")
            draft.fail(_error(frame.name, frame.payload, message))
            return
        try:
            self._family.event(frame.name, frame.payload)
        except lenient.UNREADABLE:
            draft.malformed = True

    def _finish(self) -> Reading:
        if self._stream is None:
            self._read_document(b"".join(self._document))
        else:
            self._family.draft.malformed |= self._stream.malformed
            self._family.draft.truncated |= self._stream.truncated
        return self._family.draft.reading(
            expects_terminal=self._says_stream or self._stream is not None
        )

    def _read_document(self, body: bytes) -> None:
        self._document = [body] if body else []
        self._family = self._make()
        draft = self._family.draft
        if self._head.status >= 400:
            name = self._head.get(b"x-amzn-errortype").decode("latin-1")
            draft.fault = faults.classify(self._head.status, _error(name, body))
            return
        try:
            self._family.document(body)
        except lenient.UNREADABLE:
            draft.malformed = bool(body)
        draft.terminal = False


class _Error(msgspec.Struct):
    message: Any = None
    capital: Any = msgspec.field(name="Message", default=None)
    kind: Any = msgspec.field(name="__type", default=None)


_ERROR = msgspec.json.Decoder(_Error)


def _error(name: str, body: bytes, message: str = "") -> dict[str, str]:
    """Give code and message of an error: `x-amzn-ErrorType` and `__type` have namespaces and addresses around the code."""
    try:
        said = lenient.load(_ERROR, body)
    except lenient.UNREADABLE:
        said = _Error()
    code = (name or lenient.text(said.kind)).partition(":")[0].rpartition("#")[2]
    text = lenient.text(said.message) or lenient.text(said.capital) or message
    return {"code": code[:1].upper() + code[1:], "message": text}


def counted(head: Head) -> dict[str, int]:
    """Give what the response headers count, under the names of `amazon-bedrock-invocationMetrics`."""
    found = {name: head.get(header) for name, header in _COUNTS.items()}
    return {
        name: int(value)
        for name, value in found.items()
        if value.isdigit() and len(value) <= 15
    }
