"""Cohere's embeddings, and what of its API is no work.

What lives here: `POST …/v1/embed` and `/v2/embed`, the key check, jobs, data sets, and `/tokenize`, `/detokenize`, which vLLM and
llama.cpp have, too. What does not: chat (`cohere_v1`, `cohere_v2`), rerankers (`rerank`), the list of models (`openai_other`), and
the arithmetic of usage (`proxy.meter.cohere_usage`).

What an embed job costs is said each time one looks at it, so it is never counted.
"""

import re
from functools import partial
from typing import Any

import msgspec

from proxy.meter import asks, cohere_usage, lenient
from proxy.meter.answer import AnswerReader
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.draft import Draft
from proxy.meter.unread import unmetered
from proxy.model import Ask, Kind

EMBED = Operation("embed", Kind.EMBEDDING, is_step=True, buffered=True)

_EMBED = re.compile(r".*/v[12]/embed/?")
_RESOURCE = re.compile(
    r".*/v[12]/(?P<name>embed-jobs|datasets|connectors|finetuning|check-api-key)(/.*)?"
)
_TOKENS = re.compile(r".*/(?P<name>tokenize|detokenize)/?")


class _Request(msgspec.Struct):
    model: Any = None
    texts: msgspec.Raw = msgspec.Raw()
    inputs: msgspec.Raw = msgspec.Raw()


class _Answer(msgspec.Struct):
    id: Any = None
    meta: msgspec.Raw = msgspec.Raw()


_REQUEST = msgspec.json.Decoder(_Request)
_ANSWER = msgspec.json.Decoder(_Answer)


class CohereEmbed:
    """See the module."""

    name = "cohere_embed"

    def operation(self, method: str, path: str) -> Operation | None:
        """See `Dialect`."""
        if method == "POST" and _EMBED.fullmatch(path):
            return EMBED
        found = _RESOURCE.fullmatch(path)
        if found is None and method == "POST":
            found = _TOKENS.fullmatch(path)
        if found is None:
            return None
        name = found["name"].replace("-", "_")
        return Operation(name, Kind.OTHER, is_step=False, buffered=False)

    def read_request(self, operation: Operation, body: bytes | None) -> Ask:
        """See `Dialect`."""
        if operation.name != EMBED.name or body is None:
            return asks.blank(self.name, operation)
        said = asks.read(_REQUEST, body)
        if said is None:
            return asks.blank(self.name, operation, well_formed=False)
        return Ask(
            dialect=self.name,
            operation=operation.name,
            kind=operation.kind,
            is_step=operation.is_step,
            model=lenient.text(said.model),
            input_chars=asks.prompt_chars(said.texts, said.inputs),
        )

    def reader(self, ask: Ask, head: Head) -> Reader:
        """See `Dialect`."""
        if ask.operation != EMBED.name:
            return unmetered(head.status)
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
        self.draft.identify(said.id, "")
        cohere_usage.take(self.draft, said.meta)
