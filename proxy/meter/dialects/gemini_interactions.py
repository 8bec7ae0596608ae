"""Gemini's interactions.

What lives here: `POST …/interactions`, streamed or not, and asking for one again. What does not: generateContent.

Usage has names and places of its own (`usage` of the interaction; in a stream also `metadata` of any event, cumulative): the last
one holds. Arithmetic: `gemini_usage`. An interaction in the background is first answered with `in_progress` and no usage: its
tokens come with a later GET. `interaction.completed` ends a stream; a `[DONE]` follows. Early previews wrote
`interaction.complete`, `content.delta` and `outputs`.
"""

import re
from functools import partial
from typing import Any

import msgspec

from proxy.meter import asks, gemini_usage, lenient
from proxy.meter.answer import AnswerReader
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.draft import Draft
from proxy.meter.unread import unmetered
from proxy.model import Ask, Kind

CREATE = Operation("interactions", Kind.LLM, is_step=True, buffered=True)
GET = Operation("interactions_get", Kind.LLM, is_step=False, buffered=False)
CANCEL = Operation("interactions_cancel", Kind.LLM, is_step=False, buffered=False)
DELETE = Operation("interactions_delete", Kind.OTHER, is_step=False, buffered=False)

_PATH = re.compile(
    r".*/(?:v\d+(?:(?:alpha|beta)\d*)?|locations/[^/]+)/interactions(?:/(?P<id>[^/]+))?(?P<cancel>/cancel)?/?"
)
_PENDING = ("in_progress", "queued")
_ENDS = ("interaction.completed", "interaction.complete")


class _Request(msgspec.Struct):
    model: Any = None
    agent: Any = None
    stream: Any = None
    background: Any = None
    service_tier: Any = None
    input: msgspec.Raw = msgspec.Raw()
    system_instruction: msgspec.Raw = msgspec.Raw()
    tools: msgspec.Raw = msgspec.Raw()
    generation_config: msgspec.Raw = msgspec.Raw()


class _Step(msgspec.Struct):
    """A step, an item of content, or the change of one."""

    type: Any = None
    id: Any = None
    name: Any = None
    text: Any = None
    content: msgspec.Raw = msgspec.Raw()
    summary: msgspec.Raw = msgspec.Raw()
    arguments: msgspec.Raw = msgspec.Raw()


class _Metadata(msgspec.Struct):
    usage: msgspec.Raw = msgspec.Raw()
    total_usage: msgspec.Raw = msgspec.Raw()


class _Interaction(msgspec.Struct):
    id: Any = None
    model: Any = None
    agent: Any = None
    status: Any = None
    service_tier: Any = None
    steps: list[_Step] | None = None
    outputs: list[_Step] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class _Event(msgspec.Struct):
    type: Any = msgspec.field(name="event_type", default=None)
    index: Any = None
    interaction: _Interaction | None = None
    step: _Step | None = None
    delta: _Step | None = None
    metadata: _Metadata | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_REQUEST = msgspec.json.Decoder(_Request)
_EVENT = msgspec.json.Decoder(_Event)
_INTERACTION = msgspec.json.Decoder(_Interaction)


class GeminiInteractions:
    """See the module."""

    name = "gemini_interactions"

    def operation(self, method: str, path: str) -> Operation | None:
        """See `Dialect`."""
        found = _PATH.fullmatch(path)
        if found is None:
            return None
        if found["cancel"]:
            return CANCEL
        if found["id"]:
            return DELETE if method == "DELETE" else GET
        return CREATE if method == "POST" else None

    def read_request(self, operation: Operation, body: bytes | None) -> Ask:
        """See `Dialect`."""
        if body is None or not operation.buffered:
            return asks.blank(self.name, operation)
        said = asks.read(_REQUEST, body)
        if said is None:
            return asks.blank(self.name, operation, well_formed=False)
        config = lenient.table(said.generation_config) or {}
        return Ask(
            dialect=self.name,
            operation=operation.name,
            kind=operation.kind,
            is_step=operation.is_step,
            model=lenient.text(said.model) or lenient.text(said.agent),
            stream=said.stream is True,
            background=said.background is True,
            service_tier=lenient.text(said.service_tier),
            input_chars=asks.prompt_chars(said.system_instruction, said.input)
            + len(said.tools),
            max_output_tokens=lenient.count(config.get("max_output_tokens")),
        )

    def reader(self, ask: Ask, head: Head) -> Reader:
        """See `Dialect`."""
        if ask.operation == DELETE.name:
            return unmetered(head.status)
        return AnswerReader(
            partial(_Family, ask.background, head.status),
            head.status,
            head.content_type,
        )


class _Family:
    def __init__(self, background: bool, status: int) -> None:
        self.draft = Draft(status)
        self._background = background

    def plain(self, line: bytes) -> bool:
        return False

    def event(self, name: bytes, data: bytes) -> None:
        if data.startswith(b"[DONE]"):
            return
        said = lenient.load(_EVENT, data)
        kind = lenient.text(said.type)
        if said.interaction is not None:
            self._take_interaction(said.interaction)
        if said.step is not None:
            self._take_step(said.index, said.step)
        if said.delta is not None:
            self._take_delta(said.index, said.delta)
        if said.metadata is not None:
            self._take_usage(said.metadata.total_usage or said.metadata.usage)
        self._take_usage(said.usage)
        if kind in _ENDS:
            self.draft.terminal = True
        # A stream is `in_progress` until its end; only one in the background goes on where nobody reads it.
        self.draft.deferred &= self._background and self.draft.usage is None
        if kind == "error" or lenient.value(said.error):
            self.draft.fail(lenient.value(said.error))

    def document(self, body: bytes) -> None:
        self._take_interaction(lenient.load(_INTERACTION, body))

    def _take_interaction(self, said: _Interaction) -> None:
        draft = self.draft
        draft.identify(said.id, lenient.text(said.model) or said.agent)
        for index, step in enumerate(said.steps or said.outputs or ()):
            self._take_step(index, step)
        draft.service_tier = lenient.text(said.service_tier) or draft.service_tier
        self._take_usage(said.usage)
        status = lenient.text(said.status)
        draft.deferred = status in _PENDING and draft.usage is None
        if status and status not in _PENDING:
            draft.finish_reason = status
        error = lenient.value(said.error)
        if error or status == "failed":
            draft.fail(error or {"code": status})

    def _take_step(self, index: Any, said: _Step) -> None:
        draft = self.draft
        kind = lenient.text(said.type)
        if kind == "function_call":
            self._take_call(index, said)
        elif kind == "thought":
            draft.reasoning.add(lenient.value(said.summary))
        elif kind in ("model_output", "text"):
            draft.output.add(said.text)
            draft.output.add(lenient.value(said.content))

    def _take_delta(self, index: Any, said: _Step) -> None:
        draft = self.draft
        kind = lenient.text(said.type)
        if kind == "text":
            draft.output.add(said.text)
        elif kind == "thought_summary":
            draft.reasoning.add(lenient.value(said.content))
        elif kind == "arguments_delta":
            call = draft.call(lenient.count(index), "", "")
            call.add(lenient.value(said.arguments))
        elif kind == "function_call":
            self._take_call(index, said)
        else:
            return
        draft.output_started = True

    def _take_call(self, index: Any, said: _Step) -> None:
        draft = self.draft
        call = draft.call(
            lenient.count(index), lenient.text(said.id), lenient.text(said.name)
        )
        call.first = bytes(said.arguments) or call.first
        draft.output_started = True

    def _take_usage(self, raw: msgspec.Raw) -> None:
        said = lenient.table(raw)
        if said is None:
            return
        draft = self.draft
        usage, details = gemini_usage.buckets(gemini_usage.of_interaction(said))
        draft.take_usage(usage, raw)
        if usage is not None:
            draft.details = details
        searches = sum(
            lenient.count(each.get("count")) or 0
            for each in lenient.items(said.get("grounding_tool_count"))
            if isinstance(each, dict) and each.get("type") == "google_search"
        )
        draft.server_tool_uses = gemini_usage.web_searches(draft.model, searches)
