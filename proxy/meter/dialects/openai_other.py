"""The rest of OpenAI's API and of those who copied it: models lists, files, batches, images, audio, moderations, OCR.

What lives here: recognising these paths, and the usage object that image, transcription and OCR answers carry at their top: tokens,
seconds or pages. What does not: prices. Speech has no usage, moderations are free; files and the results of batches pass through.
"""

import re
from functools import partial
from typing import Any

import msgspec

from proxy.meter import asks, lenient, openai_usage
from proxy.meter.answer import AnswerReader
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.draft import Draft
from proxy.meter.unread import unmetered
from proxy.model import Ask, Kind

_WORK = ("images", "audio", "moderations", "videos", "ocr")
_JSON_REQUESTS = {
    "images": "/generations",
    "audio": "/speech",
    "moderations": "",
    "ocr": "",
}
"""Whose requests are no forms."""
_RESOURCES = "|".join(
    (
        *_WORK,
        "files",
        "uploads",
        "batches",
        "fine_tuning",
        "vector_stores",
        "containers",
        "conversations",
        "evals",
    )
)
_PATH = re.compile(
    rf".*/(?:v1|openai|deployments/[^/]+)/(?P<resource>{_RESOURCES})(?P<rest>/.*)?"
)
_MODELS = re.compile(r".*/models(?:/[^:]*)?")
_IMAGES = "images"
_FINAL_EVENTS = (
    "image_generation.completed",
    "image_edit.completed",
    "transcript.text.done",
    "speech.audio.done",
)

MODELS = Operation("models", Kind.OTHER, is_step=False, buffered=False)


class _Request(msgspec.Struct):
    model: Any = None
    stream: Any = None
    prompt: msgspec.Raw = msgspec.Raw()


class _Pages(msgspec.Struct):
    pages_processed: Any = None


class _Answer(msgspec.Struct):
    type: Any = None
    id: Any = None
    model: Any = None
    usage: msgspec.Raw = msgspec.Raw()
    usage_info: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_REQUEST = msgspec.json.Decoder(_Request)
_ANSWER = msgspec.json.Decoder(_Answer)
_PAGES = msgspec.json.Decoder(_Pages)


class OpenAIOther:
    """See the module."""

    name = "openai_other"

    def operation(self, method: str, path: str) -> Operation | None:
        """See `Dialect`; the operation is named after the resource."""
        if method == "GET" and _MODELS.fullmatch(path):
            return MODELS
        found = _PATH.fullmatch(path)
        if found is None:
            return None
        resource = found["resource"]
        is_work = resource in _WORK and method == "POST"
        rest = (found["rest"] or "").rstrip("/")
        operation = Operation(
            resource,
            Kind.OTHER,
            is_step=is_work,
            buffered=is_work and rest == _JSON_REQUESTS.get(resource),
        )
        return asks.of_deployment(operation, path)

    def read_request(self, operation: Operation, body: bytes | None) -> Ask:
        """See `Dialect`; audio and images travel as forms, which are not read."""
        said = (
            asks.read(_REQUEST, body)
            if operation.buffered and body is not None
            else None
        )
        if said is None:
            return asks.blank(
                self.name, operation, well_formed=not operation.buffered or body is None
            )
        return Ask(
            dialect=self.name,
            operation=operation.name,
            kind=operation.kind,
            is_step=operation.is_step,
            model=lenient.text(said.model) or operation.model,
            stream=said.stream is True,
            input_chars=asks.prompt_chars(said.prompt),
        )

    def reader(self, ask: Ask, head: Head) -> Reader:
        """See `Dialect`."""
        has_text = (
            not head.content_type
            or "json" in head.content_type
            or "event-stream" in head.content_type
        )
        if ask.is_step and has_text:
            return AnswerReader(
                partial(_Family, ask.operation, head.status),
                head.status,
                head.content_type,
            )
        return unmetered(head.status)


class _Family:
    def __init__(self, operation: str, status: int) -> None:
        self.draft = Draft(status)
        self._operation = operation

    def plain(self, line: bytes) -> bool:
        return False

    def event(self, name: bytes, data: bytes) -> None:
        if data.startswith(b"[DONE]") or self._take(data).type in _FINAL_EVENTS:
            self.draft.terminal = True

    def document(self, body: bytes) -> None:
        self._take(body)

    def _take(self, data: bytes) -> _Answer:
        said = lenient.load(_ANSWER, data)
        draft = self.draft
        draft.identify(said.id, said.model)
        openai_usage.take(draft, said.usage)
        self._take_pages(said.usage_info)
        usage = draft.usage
        if self._operation == _IMAGES and usage and usage.output:
            # The first image models say no details: all that they write is image.
            draft.details.setdefault("output_image", usage.output)
        if lenient.value(said.error):
            draft.fail(lenient.value(said.error))
        return said

    def _take_pages(self, raw: msgspec.Raw) -> None:
        said = asks.read(_PAGES, raw) if raw else None
        pages = lenient.count(said.pages_processed) if said else None
        if pages:
            self.draft.server_tool_uses["input_document_pages"] = pages
