"""Models that rank, score and classify texts.

What lives here: `POST …/rerank` of Cohere, Voyage, Jina, Together and vLLM, which all have this path, vLLM's `/score` and `/pooling`,
and `/classify` of Cohere and vLLM. What does not: embeddings.

Cohere bills searches and classifications, not tokens (`meta.billed_units`): then the buckets are all unknown, and nothing is estimated.
The others say `usage`, which is input only.
"""

from functools import partial
from typing import Any

import msgspec

from proxy.meter import asks, cohere_usage, embedding_usage, lenient
from proxy.meter.answer import AnswerReader
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.draft import Draft
from proxy.model import Ask, Kind

_OPERATIONS = {
    name: Operation(name, Kind.EMBEDDING, is_step=True, buffered=True)
    for name in ("rerank", "score", "pooling", "classify")
}


class _Request(msgspec.Struct):
    model: Any = None
    query: msgspec.Raw = msgspec.Raw()
    documents: msgspec.Raw = msgspec.Raw()
    text_1: msgspec.Raw = msgspec.Raw()
    text_2: msgspec.Raw = msgspec.Raw()
    queries: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    inputs: msgspec.Raw = msgspec.Raw()
    messages: msgspec.Raw = msgspec.Raw()
    examples: msgspec.Raw = msgspec.Raw()


class _Answer(msgspec.Struct):
    id: Any = None
    model: Any = None
    meta: msgspec.Raw = msgspec.Raw()
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_REQUEST = msgspec.json.Decoder(_Request)
_ANSWER = msgspec.json.Decoder(_Answer | list[Any])


class Rerank:
    """See the module."""

    name = "rerank"

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
        texts = (
            said.query,
            said.documents,
            said.text_1,
            said.text_2,
            said.queries,
            said.input,
            said.inputs,
            said.messages,
            said.examples,
        )
        return Ask(
            dialect=self.name,
            operation=operation.name,
            kind=operation.kind,
            is_step=operation.is_step,
            model=lenient.text(said.model),
            input_chars=asks.prompt_chars(*texts),
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
        if not isinstance(said, _Answer):
            return  # Hugging Face's rerankers answer with the bare list.
        draft = self.draft
        draft.identify(said.id, said.model)
        cohere_usage.take(draft, said.meta)
        usage = embedding_usage.buckets(lenient.table(said.usage))
        draft.take_usage(usage, said.usage)
        if lenient.value(said.error):
            draft.fail(lenient.value(said.error))
