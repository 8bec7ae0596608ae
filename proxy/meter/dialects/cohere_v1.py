"""Cohere's first API, and Writer's chat, which has the same path.

What lives here: `POST …/v1/chat` of both, `…/v1/generate` and `…/v1/summarize`. What does not: `/v2/chat` (`cohere_v2`), embeddings
and what is no work (`cohere_embed`), rerankers and classifiers (`rerank`), the arithmetic of usage (`proxy.meter.cohere_usage`: the
buckets are the billed units).

Cohere streams one JSON object a line, or server-sent events where those are accepted; `stream-end` is the last, and holds the whole
answer with its `meta`. Writer's answers have `choices` and a `usage` as OpenAI's; its streams end without a mark: with a chunk that
has usage and no choices where that was asked for, else with the last finish reason.
"""

from functools import partial
from typing import Any

import msgspec

from proxy.meter import asks, cohere_usage, lenient, openai_usage
from proxy.meter.choices import Choices
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.draft import Draft
from proxy.meter.ndjson import line_reader
from proxy.model import Ask, Kind

_OPERATIONS = {
    name: Operation(name, Kind.LLM, is_step=True, buffered=True)
    for name in ("chat", "generate", "summarize")
}
_FAILED = frozenset({"ERROR", "TIMEOUT"})


class _StreamOptions(msgspec.Struct):
    include_usage: Any = None


class _Request(msgspec.Struct):
    model: Any = None
    stream: Any = None
    stream_options: _StreamOptions | None = None
    max_tokens: Any = None
    n: Any = None
    message: msgspec.Raw = msgspec.Raw()
    messages: msgspec.Raw = msgspec.Raw()
    chat_history: msgspec.Raw = msgspec.Raw()
    preamble: msgspec.Raw = msgspec.Raw()
    documents: msgspec.Raw = msgspec.Raw()
    tool_results: msgspec.Raw = msgspec.Raw()
    prompt: msgspec.Raw = msgspec.Raw()
    text: msgspec.Raw = msgspec.Raw()
    tools: msgspec.Raw = msgspec.Raw()


class _Call(msgspec.Struct):
    name: Any = None
    index: Any = None
    parameters: msgspec.Raw = msgspec.Raw()


class _Generation(msgspec.Struct):
    text: Any = None
    finish_reason: Any = None


class _Whole(msgspec.Struct):
    """A whole answer, alone or inside of `stream-end`."""

    id: Any = None
    response_id: Any = None
    text: Any = None
    summary: Any = None
    finish_reason: Any = None
    generations: list[_Generation] | None = None
    tool_calls: list[_Call] | None = None
    meta: msgspec.Raw = msgspec.Raw()


class _Answer(_Whole):
    """A whole answer of either provider, or a piece of a stream."""

    event_type: Any = None
    generation_id: Any = None
    is_finished: Any = None
    err: Any = None
    tool_call_delta: _Call | None = None
    response: _Whole | None = None
    model: Any = None
    service_tier: Any = None
    choices: msgspec.Raw = msgspec.Raw()
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_REQUEST = msgspec.json.Decoder(_Request)
_ANSWER = msgspec.json.Decoder(_Answer)


class CohereV1:
    """See the module."""

    name = "cohere_v1"

    def operation(self, method: str, path: str) -> Operation | None:
        """See `Dialect`."""
        base, found, name = path.rstrip("/").rpartition("/v1/")
        if method != "POST" or not found or base.endswith("/api"):
            return None  # LM Studio's own `/api/v1/chat` is of yet another shape.
        return _OPERATIONS.get(name)

    def read_request(self, operation: Operation, body: bytes | None) -> Ask:
        """See `Dialect`."""
        said = None if body is None else asks.read(_REQUEST, body)
        if said is None:
            return asks.blank(self.name, operation, well_formed=body is None)
        options = said.stream_options or _StreamOptions()
        prompt = (
            said.preamble,
            said.chat_history,
            said.message,
            said.messages,
            said.documents,
            said.tool_results,
            said.prompt,
            said.text,
        )
        return Ask(
            dialect=self.name,
            operation=operation.name,
            kind=operation.kind,
            is_step=operation.is_step,
            model=lenient.text(said.model),
            stream=said.stream is True,
            includes_usage=asks.flag(options.include_usage),
            input_chars=asks.prompt_chars(*prompt) + len(said.tools),
            max_output_tokens=lenient.count(said.max_tokens),
            choices=lenient.count(said.n) or 1,
        )

    def reader(self, ask: Ask, head: Head) -> Reader:
        """See `Dialect`."""
        return line_reader(partial(_Family, head.status, ask), ask, head)


class _Family:
    def __init__(self, status: int, ask: Ask) -> None:
        self.draft = Draft(status)
        self.streams = False
        self._choices = Choices(self.draft, ask.choices)
        self._usage_follows = ask.includes_usage is True or not ask.model

    def plain(self, line: bytes) -> bool:
        return False

    def event(self, name: bytes, data: bytes) -> None:
        if data.startswith(b"[DONE]"):
            self.draft.terminal = True
            return
        said = lenient.load(_ANSWER, data)
        if lenient.text(said.event_type):
            self.streams = True
            self._take_piece(said)
        else:
            self._take_answer(said)

    def document(self, body: bytes) -> None:
        self._take_answer(lenient.load(_ANSWER, body))

    def _take_answer(self, said: _Answer) -> None:
        draft = self.draft
        draft.identify(said.id, said.model)
        draft.service_tier = lenient.text(said.service_tier) or draft.service_tier
        if lenient.value(said.error):
            draft.fail(lenient.value(said.error))
        count = self._choices.take(said.choices)
        if count is None:
            self._take_whole(said, with_text=True)
            return
        usage = openai_usage.buckets(lenient.table(said.usage))
        draft.take_usage(usage, said.usage)
        ends = not count and usage is not None
        waits = self._usage_follows and draft.usage is None
        draft.terminal |= ends or (self._choices.finished and not waits)

    def _take_piece(self, said: _Answer) -> None:
        draft = self.draft
        draft.identify(said.response_id, "")
        kind = said.event_type
        if kind == "text-generation":
            self._take_text(said.text)
        elif kind == "tool-calls-chunk":
            self._take_call_piece(said.tool_call_delta or _Call())
        elif kind == "tool-calls-generation":
            draft.calls.clear()
            self._take_calls(said)
        elif kind == "stream-end":
            self._take_whole(said.response or said, with_text=False)
            self._take_end(said)
        elif kind == "stream-error":
            draft.fail(lenient.text(said.err) or lenient.value(said.error))

    def _take_end(self, said: _Answer) -> None:
        reason = lenient.text(said.finish_reason)
        self.draft.finish_reason = reason or self.draft.finish_reason
        error = lenient.value(said.error)
        if error or reason in _FAILED:
            self.draft.fail(error or reason)
        self.draft.terminal = True

    def _take_whole(self, said: _Whole, *, with_text: bool) -> None:
        """Take a whole answer; a stream has given its text before."""
        draft = self.draft
        draft.identify(said.response_id or said.id, "")
        draft.finish_reason = lenient.text(said.finish_reason) or draft.finish_reason
        cohere_usage.take(draft, said.meta)
        for generation in said.generations or ():
            reason = lenient.text(generation.finish_reason)
            draft.finish_reason = reason or draft.finish_reason
            if with_text:
                self._take_text(generation.text)
        if with_text:
            self._take_text(said.text or said.summary)
        if not draft.calls:
            self._take_calls(said)

    def _take_text(self, text: Any) -> None:
        self.draft.output.add(text)
        self.draft.output_started |= bool(text)

    def _take_calls(self, said: _Whole) -> None:
        """Take calls that are whole; this API gives them no ids."""
        for said_call in said.tool_calls or ():
            key = len(self.draft.calls)
            call = self.draft.call(key, "", lenient.text(said_call.name))
            call.whole = bytes(said_call.parameters)
            self.draft.output_started = True

    def _take_call_piece(self, said: _Call) -> None:
        if said == _Call():
            return  # It says what it plans to do before it calls.
        key = lenient.count(said.index) or 0
        call = self.draft.call(key, "", lenient.text(said.name))
        call.add(lenient.value(said.parameters))
        self.draft.output_started = True
