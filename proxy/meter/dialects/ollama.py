"""Ollama's own API (its OpenAI-shaped one is read by `openai_chat`).

What lives here: `POST …/api/chat`, `/api/generate`, `/api/embed` and `/api/embeddings`, and the names of those that handle models.
What does not: lines of JSON (`proxy.meter.ndjson`).

An answer is a stream of lines unless the request says `"stream": false`; counts stand in the one with `"done": true`. `eval_count`
includes thinking. `prompt_eval_count` is left out where the prompt was cached (9 of 41 recorded): unknown, not zero.
"""

import re
from functools import partial
from typing import Any

import msgspec

from proxy.meter import asks, lenient
from proxy.meter.answer import AnswerReader
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.draft import Draft
from proxy.meter.ndjson import line_reader
from proxy.meter.unread import unmetered
from proxy.model import Ask, Kind, Usage

_WORK = {
    "chat": Operation("chat", Kind.LLM, is_step=True, buffered=True),
    "generate": Operation("generate", Kind.LLM, is_step=True, buffered=True),
    "embed": Operation("embed", Kind.EMBEDDING, is_step=True, buffered=True),
    "embeddings": Operation("embeddings", Kind.EMBEDDING, is_step=True, buffered=True),
}
_PATH = re.compile(
    r".*/api/(?P<name>chat|generate|embed|embeddings"
    r"|tags|show|ps|version|pull|push|create|copy|delete|blobs/[^/]+)/?"
)
_STREAMED = ("chat", "generate")


class _Options(msgspec.Struct):
    num_predict: Any = None


class _Request(msgspec.Struct):
    model: Any = None
    stream: Any = None
    options: _Options | None = None
    messages: msgspec.Raw = msgspec.Raw()
    system: msgspec.Raw = msgspec.Raw()
    prompt: msgspec.Raw = msgspec.Raw()
    suffix: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    images: msgspec.Raw = msgspec.Raw()
    tools: msgspec.Raw = msgspec.Raw()


class _Function(msgspec.Struct):
    name: Any = None
    arguments: msgspec.Raw = msgspec.Raw()
    """An object, not a text that holds one."""


class _Call(msgspec.Struct):
    id: Any = None
    function: _Function | None = None


class _Message(msgspec.Struct):
    content: Any = None
    thinking: Any = None
    tool_calls: list[_Call] | None = None


class _Counts(msgspec.Struct, omit_defaults=True):
    """What stands for a usage object, in the order of the wire."""

    total_duration: Any = None
    load_duration: Any = None
    prompt_eval_count: Any = None
    prompt_eval_duration: Any = None
    eval_count: Any = None
    eval_duration: Any = None


class _Answer(_Counts):
    model: Any = None
    message: _Message | None = None
    response: Any = None
    thinking: Any = None
    done: Any = None
    done_reason: Any = None
    error: msgspec.Raw = msgspec.Raw()


_REQUEST = msgspec.json.Decoder(_Request)
_ANSWER = msgspec.json.Decoder(_Answer)
_COUNTS = msgspec.json.Decoder(_Counts)
_ENCODER = msgspec.json.Encoder()
_NOT_TEXT = lenient.NOT_TEXT | {"images"}


class Ollama:
    """See the module."""

    name = "ollama"

    def operation(self, method: str, path: str) -> Operation | None:
        """See `Dialect`."""
        found = _PATH.fullmatch(path)
        if found is None:
            return None
        name = found["name"].partition("/")[0]
        work = _WORK.get(name)
        if work is not None:
            return work if method == "POST" else None
        return Operation(name, Kind.OTHER, is_step=False, buffered=False)

    def read_request(self, operation: Operation, body: bytes | None) -> Ask:
        """See `Dialect`."""
        if body is None or operation.name not in _WORK:
            return asks.blank(self.name, operation)
        said = asks.read(_REQUEST, body)
        if said is None:
            return asks.blank(self.name, operation, well_formed=False)
        options = said.options or _Options()
        prompt = (said.messages, said.system, said.prompt, said.suffix, said.input)
        asked = (said.messages, said.prompt, said.suffix, said.input, said.images)
        return Ask(
            dialect=self.name,
            operation=operation.name,
            kind=operation.kind,
            is_step=any(lenient.value(each) for each in asked),  # else: load or unload
            model=lenient.text(said.model),
            stream=operation.name in _STREAMED and said.stream is not False,
            input_chars=sum(
                lenient.string_lengths(lenient.value(each), _NOT_TEXT)
                for each in prompt
            )
            + len(said.tools),
            max_output_tokens=lenient.count(options.num_predict),
        )

    def reader(self, ask: Ask, head: Head) -> Reader:
        """See `Dialect`."""
        if ask.operation not in _WORK:
            return unmetered(head.status)
        make = partial(_Family, head.status)
        if ask.operation in _STREAMED:
            return line_reader(make, ask, head)
        return AnswerReader(make, head.status, head.content_type)


class _Family:
    def __init__(self, status: int) -> None:
        self.draft = Draft(status)
        self.streams = False

    def plain(self, line: bytes) -> bool:
        return False

    def document(self, body: bytes) -> None:
        self.event(b"", body)

    def event(self, name: bytes, data: bytes) -> None:
        draft = self.draft
        said = lenient.load(_ANSWER, data)
        draft.identify("", said.model)
        error = lenient.value(said.error)
        if error:
            draft.fail(error)
        self.streams |= said.done is False
        if said.response or said.thinking:
            self._take_text(said.response, said.thinking)
        if said.message is not None:
            self._take_message(said.message)
        self._take_counts(said, data)
        if said.done is True:
            draft.finish_reason = lenient.text(said.done_reason) or draft.finish_reason
            draft.terminal = True

    def _take_text(self, text: Any, thinking: Any) -> None:
        draft = self.draft
        draft.output.add(text)
        draft.reasoning.add(thinking)
        draft.output_started |= bool(text or thinking)

    def _take_message(self, message: _Message) -> None:
        self._take_text(message.content, message.thinking)
        for said in message.tool_calls or ():
            function = said.function or _Function()
            call = self.draft.call(
                len(self.draft.calls),
                lenient.text(said.id),
                lenient.text(function.name),
            )
            call.whole = bytes(function.arguments)
            self.draft.output_started = True

    def _take_counts(self, said: _Answer, data: bytes) -> None:
        read = lenient.count(said.prompt_eval_count)
        written = lenient.count(said.eval_count)
        if read is None and written is None:
            return
        counts = msgspec.Raw(_ENCODER.encode(lenient.load(_COUNTS, data)))
        self.draft.take_usage(Usage(input=read, output=written), counts)
