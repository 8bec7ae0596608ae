"""Google's embeddings, of the Gemini API and of Vertex.

What lives here: `:embedContent`, `:batchEmbedContents`, and Vertex's `:predict` of embedding models. What does not: predictions
of other models (`gemini_other`).

Tokens stand in `usageMetadata` (the Gemini API's newer models, Vertex's `:embedContent`) or with each prediction of Vertex, in
`embeddings.statistics.token_count`. Older answers of the Gemini API have no count at all: those are estimated.
"""

import re
from functools import partial
from typing import Any
from urllib.parse import unquote

import msgspec
from msgspec.structs import replace

from proxy.meter import asks, gemini_usage, lenient
from proxy.meter.answer import AnswerReader
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.draft import Draft
from proxy.model import Ask, Kind, Usage

EMBEDDINGS = Operation("embeddings", Kind.EMBEDDING, is_step=True, buffered=True)

_PATH = re.compile(
    r".*/(?:models|endpoints)/(?P<model>[^/:]+?)(?::|%3[Aa])(?P<verb>embedContent|batchEmbedContents|predict)/?"
)
_PREDICTING = re.compile(r".*(?:embed|gecko)", re.IGNORECASE)
"""The models whose `:predict` embeds: text-embedding-005, textembedding-gecko, multimodalembedding."""

_NOT_TEXT = lenient.NOT_TEXT | {
    "mimeType",
    "mime_type",
    "fileUri",
    "gcsUri",
    "bytesBase64Encoded",
    "taskType",
    "task_type",
    "model",
}


class _Request(msgspec.Struct):
    content: msgspec.Raw = msgspec.Raw()
    requests: msgspec.Raw = msgspec.Raw()
    instances: msgspec.Raw = msgspec.Raw()


class _Statistics(msgspec.Struct):
    tokens: Any = msgspec.field(name="token_count", default=None)
    tokens_: Any = msgspec.field(name="tokenCount", default=None)


class _Embedding(msgspec.Struct):
    statistics: _Statistics | None = None


class _Prediction(msgspec.Struct):
    embeddings: _Embedding | None = None


class _Answer(msgspec.Struct):
    usage: msgspec.Raw = msgspec.field(name="usageMetadata", default=msgspec.Raw())
    embedding: _Embedding | None = None
    predictions: list[_Prediction] | None = None
    error: msgspec.Raw = msgspec.Raw()


_REQUEST = msgspec.json.Decoder(_Request)
_ANSWER = msgspec.json.Decoder(_Answer)


class GeminiEmbeddings:
    """See the module."""

    name = "gemini_embeddings"

    def operation(self, method: str, path: str) -> Operation | None:
        """See `Dialect`."""
        found = _PATH.fullmatch(path) if method == "POST" else None
        if found is None:
            return None
        model = unquote(found["model"])
        if found["verb"] == "predict" and not _PREDICTING.match(model):
            return None
        return replace(EMBEDDINGS, model=model)

    def read_request(self, operation: Operation, body: bytes | None) -> Ask:
        """See `Dialect`."""
        said = None if body is None else asks.read(_REQUEST, body)
        ask = asks.blank(
            self.name, operation, well_formed=body is None or said is not None
        )
        members = (said.content, said.requests, said.instances) if said else ()
        chars = sum(
            lenient.string_lengths(lenient.value(member), _NOT_TEXT)
            for member in members
        )
        return replace(ask, model=operation.model, input_chars=chars)

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
        draft = self.draft
        metadata = lenient.table(said.usage) or {}
        usage, details = gemini_usage.buckets(gemini_usage.of_metadata(metadata))
        if usage is not None:
            draft.take_usage(usage, said.usage)
            draft.details = details
        elif (tokens := _tokens(said)) is not None:
            draft.usage = Usage(input=tokens)
            draft.usage_json = msgspec.json.encode({"token_count": tokens})
        if error := lenient.value(said.error):
            draft.fail(error)


def _tokens(said: _Answer) -> int | None:
    """Sum the counts that stand with each embedding; `None` where one is missing."""
    if said.embedding is not None:
        found = [said.embedding]
    else:
        found = [each.embeddings or _Embedding() for each in said.predictions or ()]
    counts = [
        lenient.count(
            each.statistics.tokens
            if each.statistics.tokens is not None
            else each.statistics.tokens_
        )
        if each.statistics
        else None
        for each in found
    ]
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None
