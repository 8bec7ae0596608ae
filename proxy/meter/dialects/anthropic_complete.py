"""Anthropic's legacy text completions.

What lives here: `POST …/v1/complete`, which never says usage; the text is kept for an estimate. What does not: Messages.
"""

from functools import partial
from typing import Any

import msgspec

from proxy.meter import asks, lenient
from proxy.meter.answer import AnswerReader
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.draft import Draft
from proxy.model import Ask, Kind

COMPLETE = Operation("complete", Kind.LLM, is_step=True, buffered=True)


class _Request(msgspec.Struct):
    model: Any = None
    stream: Any = None
    max_tokens_to_sample: Any = None
    prompt: msgspec.Raw = msgspec.Raw()


class _Answer(msgspec.Struct):
    id: Any = None
    type: Any = None
    model: Any = None
    completion: Any = None
    stop_reason: Any = None
    error: msgspec.Raw = msgspec.Raw()


_REQUEST = msgspec.json.Decoder(_Request)
_ANSWER = msgspec.json.Decoder(_Answer)


class AnthropicComplete:
    """See the module."""

    name = "anthropic_complete"

    def operation(self, method: str, path: str) -> Operation | None:
        """See `Dialect`."""
        return (
            COMPLETE
            if method == "POST" and path.rstrip("/").endswith("/v1/complete")
            else None
        )

    def read_request(self, operation: Operation, body: bytes | None) -> Ask:
        """See `Dialect`."""
        said = None if body is None else asks.read(_REQUEST, body)
        if said is None:
            return asks.blank(self.name, operation, well_formed=body is None)
        return Ask(
            dialect=self.name,
            operation=operation.name,
            kind=operation.kind,
            is_step=operation.is_step,
            model=lenient.text(said.model),
            stream=said.stream is True,
            input_chars=asks.prompt_chars(said.prompt),
            max_output_tokens=lenient.count(said.max_tokens_to_sample),
        )

    def reader(self, ask: Ask, head: Head) -> Reader:
        """See `Dialect`."""
        return AnswerReader(
            partial(_Family, head.status), head.status, head.content_type
        )


class _Family:
    def __init__(self, status: int) -> None:
        self.draft = Draft(status)

    def plain(self, line: bytes) -> bool:
        return False

    def event(self, name: bytes, data: bytes) -> None:
        """See `Family`; the terminal event is the first with a stop reason."""
        self.document(data)
        self.draft.terminal |= bool(self.draft.finish_reason)

    def document(self, body: bytes) -> None:
        draft = self.draft
        said = lenient.load(_ANSWER, body)
        draft.identify(said.id, said.model)
        draft.output.add(said.completion)
        draft.output_started |= bool(said.completion)
        draft.finish_reason = lenient.text(said.stop_reason) or draft.finish_reason
        if lenient.value(said.error):
            draft.fail(lenient.value(said.error))
