"""OpenAI embeddings.

What lives here: `POST …/embeddings` of OpenAI and of all who copied it (Voyage, Jina, vLLM), whose usage is input only. What does
not: paths that others made up.
"""

from functools import partial
from typing import Any

import msgspec

from proxy.meter import asks, embedding_usage, lenient, openai_usage
from proxy.meter.answer import AnswerReader
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.draft import Draft
from proxy.model import Ask, Kind

EMBEDDINGS = Operation("embeddings", Kind.EMBEDDING, is_step=True, buffered=True)


class _Request(msgspec.Struct):
    model: Any = None
    input: msgspec.Raw = msgspec.Raw()


class _Answer(msgspec.Struct):
    id: Any = None
    model: Any = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_REQUEST = msgspec.json.Decoder(_Request)
_ANSWER = msgspec.json.Decoder(_Answer)


class OpenAIEmbeddings:
    """See the module."""

    name = "openai_embeddings"

    def operation(self, method: str, path: str) -> Operation | None:
        """See `Dialect`."""
        path = path.rstrip("/")
        mine = method == "POST" and path.endswith("/embeddings")
        return asks.of_deployment(EMBEDDINGS, path) if mine else None

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
            model=lenient.text(said.model) or operation.model,
            input_chars=asks.prompt_chars(said.input),
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
        self.draft.identify(said.id, said.model)
        self.draft.take_usage(
            embedding_usage.buckets(lenient.table(said.usage)), said.usage
        )
        self.draft.cost = openai_usage.cost(said.usage)
        if lenient.value(said.error):
            self.draft.fail(lenient.value(said.error))
