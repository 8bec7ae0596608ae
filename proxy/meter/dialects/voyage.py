"""Voyage's embeddings of documents in context, and of texts with images.

What lives here: `POST …/contextualizedembeddings` and `…/multimodalembeddings`. What does not: `/embeddings`, which is OpenAI's
path (`openai_embeddings`), and `/rerank` (`rerank`).
"""

from functools import partial
from typing import Any

import msgspec

from proxy.meter import asks, embedding_usage, lenient
from proxy.meter.answer import AnswerReader
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.draft import Draft
from proxy.model import Ask, Kind

_OPERATIONS = {
    name: Operation(name, Kind.EMBEDDING, is_step=True, buffered=True)
    for name in ("contextualizedembeddings", "multimodalembeddings")
}
_NOT_TEXT = lenient.NOT_TEXT | {"image_base64", "video_base64", "video_url"}


class _Request(msgspec.Struct):
    model: Any = None
    inputs: Any = None


class _Answer(msgspec.Struct):
    model: Any = None
    usage: msgspec.Raw = msgspec.Raw()


_REQUEST = msgspec.json.Decoder(_Request)
_ANSWER = msgspec.json.Decoder(_Answer)


class Voyage:
    """See the module."""

    name = "voyage"

    def operation(self, method: str, path: str) -> Operation | None:
        """See `Dialect`."""
        if method != "POST":
            return None
        return _OPERATIONS.get(path.rstrip("/").rpartition("/")[2])

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
            input_chars=lenient.string_lengths(said.inputs, _NOT_TEXT),
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
        self.document(data)

    def document(self, body: bytes) -> None:
        said = lenient.load(_ANSWER, body)
        self.draft.identify("", said.model)
        usage = embedding_usage.buckets(lenient.table(said.usage))
        self.draft.take_usage(usage, said.usage)
