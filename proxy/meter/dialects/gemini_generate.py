"""Gemini's generateContent, of the Gemini API and of Vertex.

What lives here: `POST …/models/X:generateContent` and `:streamGenerateContent` (also of tuned models and endpoints), counting
tokens. What does not: embeddings, interactions, the rest of the API (`gemini_*`), and what an answer says (`gemini_answer`).

The path names the model, `modelVersion` the one that served. In a stream every chunk may have `usageMetadata`, cumulative
but neither complete nor rising: the last one that counts tokens holds, alone. Arithmetic: `gemini_usage`. Vertex writes words
as numbers where it was asked for `enum-encoding=int`. Tool calls mostly have no id.
"""

import re
from functools import partial
from typing import Any
from urllib.parse import unquote

import msgspec
from msgspec.structs import replace

from proxy.meter import asks, lenient
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.gemini_answer import GeminiAnswer
from proxy.meter.gemini_reader import GeminiReader
from proxy.meter.unread import unmetered
from proxy.model import Ask, Kind

GENERATE = Operation("generate_content", Kind.LLM, is_step=True, buffered=True)
COUNT_TOKENS = Operation("count_tokens", Kind.LLM, is_step=False, buffered=True)
COMPUTE_TOKENS = Operation("compute_tokens", Kind.LLM, is_step=False, buffered=True)

_OPERATIONS = {
    "generateContent": GENERATE,
    "streamGenerateContent": replace(GENERATE, stream=True),
    "countTokens": COUNT_TOKENS,
    "computeTokens": COMPUTE_TOKENS,
}
_PATH = re.compile(
    r".*/(?:models|tunedModels|dynamic|endpoints)/(?P<model>[^/:]+?)(?::|%3[Aa])(?P<verb>\w+)/?"
)

_NOT_TEXT = lenient.NOT_TEXT | {
    "thoughtSignature",
    "thought_signature",
    "mimeType",
    "mime_type",
    "fileUri",
    "file_uri",
}


class _Request(msgspec.Struct):
    contents: msgspec.Raw = msgspec.Raw()
    system: msgspec.Raw = msgspec.field(name="systemInstruction", default=msgspec.Raw())
    system_: msgspec.Raw = msgspec.field(
        name="system_instruction", default=msgspec.Raw()
    )
    tools: msgspec.Raw = msgspec.Raw()
    config: msgspec.Raw = msgspec.field(name="generationConfig", default=msgspec.Raw())
    config_: msgspec.Raw = msgspec.field(
        name="generation_config", default=msgspec.Raw()
    )
    tier: Any = msgspec.field(name="serviceTier", default=None)
    tier_: Any = msgspec.field(name="service_tier", default=None)


_REQUEST = msgspec.json.Decoder(_Request)


class GeminiGenerate:
    """See the module."""

    name = "gemini_generate"

    def operation(self, method: str, path: str) -> Operation | None:
        """See `Dialect`."""
        found = _PATH.fullmatch(path) if method == "POST" else None
        operation = _OPERATIONS.get(found["verb"]) if found else None
        if found is None or operation is None:
            return None
        return replace(operation, model=unquote(found["model"]))

    def read_request(self, operation: Operation, body: bytes | None) -> Ask:
        """See `Dialect`."""
        said = None if body is None else asks.read(_REQUEST, body)
        if said is None:
            ask = asks.blank(self.name, operation, well_formed=body is None)
            return replace(ask, model=operation.model, stream=operation.stream)
        config = lenient.table(said.config or said.config_) or {}
        limit = config.get("maxOutputTokens", config.get("max_output_tokens"))
        choices = config.get("candidateCount", config.get("candidate_count"))
        prompt = (said.system or said.system_, said.contents)
        return Ask(
            dialect=self.name,
            operation=operation.name,
            kind=operation.kind,
            is_step=operation.is_step,
            model=operation.model,
            stream=operation.stream,
            service_tier=lenient.text(said.tier or said.tier_),
            input_chars=len(said.tools)
            + sum(
                lenient.string_lengths(lenient.value(member), _NOT_TEXT)
                for member in prompt
            ),
            max_output_tokens=lenient.count(limit),
            choices=lenient.count(choices) or 1,
        )

    def reader(self, ask: Ask, head: Head) -> Reader:
        """See `Dialect`."""
        if ask.operation != GENERATE.name:
            return unmetered(head.status)
        return GeminiReader(
            partial(GeminiAnswer, ask.model, ask.choices, head.status),
            head.status,
            head.content_type,
        )
