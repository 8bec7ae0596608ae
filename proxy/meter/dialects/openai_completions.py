"""OpenAI's legacy completions, still spoken by OpenAI, Azure, vLLM and llama.cpp.

What lives here: `POST …/completions`. What does not: chat completions (`openai_chat`).

Mistral's fill-in-the-middle and Portkey's prompts answer with messages instead of text; Writer's stream has lines with nothing but `value`, says no
usage and has no end mark.
"""

from functools import partial
from typing import Any

import msgspec

from proxy.meter import asks, lenient, openai_usage
from proxy.meter.answer import AnswerReader
from proxy.meter.deltas import PlainDeltas
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.draft import Draft
from proxy.model import Ask, Kind

COMPLETIONS = Operation("completions", Kind.LLM, is_step=True, buffered=True)


class _StreamOptions(msgspec.Struct):
    include_usage: Any = None


class _Request(msgspec.Struct):
    model: Any = None
    stream: Any = None
    stream_options: _StreamOptions | None = None
    max_tokens: Any = None
    prompt: msgspec.Raw = msgspec.Raw()
    suffix: msgspec.Raw = msgspec.Raw()


class _Message(msgspec.Struct):
    content: Any = None
    tool_calls: Any = None


class _Choice(msgspec.Struct):
    text: Any = None
    message: _Message | None = None
    delta: _Message | None = None
    finish_reason: Any = None


class _Answer(msgspec.Struct):
    object: Any = None
    value: Any = None
    id: Any = None
    model: Any = None
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_REQUEST = msgspec.json.Decoder(_Request)
_ANSWER = msgspec.json.Decoder(_Answer)


class OpenAICompletions:
    """See the module."""

    name = "openai_completions"

    def operation(self, method: str, path: str) -> Operation | None:
        """See `Dialect`."""
        path = path.rstrip("/")
        mine = (
            method == "POST"
            and path.endswith("/completions")
            and not path.endswith("/chat/completions")
        )
        return asks.of_deployment(COMPLETIONS, path) if mine else None

    def read_request(self, operation: Operation, body: bytes | None) -> Ask:
        """See `Dialect`."""
        if body is None:
            return asks.blank(self.name, operation)
        said = asks.read(_REQUEST, body)
        if said is None:
            return asks.blank(self.name, operation, well_formed=False)
        options = said.stream_options or _StreamOptions()
        return Ask(
            dialect=self.name,
            operation=operation.name,
            kind=operation.kind,
            is_step=operation.is_step,
            model=lenient.text(said.model) or operation.model,
            stream=said.stream is True,
            includes_usage=asks.flag(options.include_usage),
            input_chars=asks.prompt_chars(said.prompt, said.suffix),
            max_output_tokens=lenient.count(said.max_tokens),
        )

    def reader(self, ask: Ask, head: Head) -> Reader:
        """See `Dialect`."""
        return AnswerReader(
            partial(_Family, head.status), head.status, head.content_type
        )


class _Family:
    def __init__(self, status: int) -> None:
        self.draft = Draft(status)
        self._deltas = PlainDeltas(self.draft.skimmer)
        self.plain = self._deltas.take

    def event(self, name: bytes, data: bytes) -> None:
        if data.startswith(b"[DONE]"):
            self.draft.terminal = True
            return
        said = self._take(data)
        choices = said.choices or []
        if len(choices) == 1 and self.draft.usage is None:
            self._learn(data, choices[0])

    def _learn(self, data: bytes, choice: _Choice) -> None:
        text = lenient.text(choice.text)
        if text and choice.finish_reason is None:
            into = self.draft.output.parts
            self._deltas.learn(b"data: " + data, b'"text":"', text, into)

    def document(self, body: bytes) -> None:
        self._take(body)

    def _take(self, data: bytes) -> _Answer:
        draft = self.draft
        said = lenient.load(_ANSWER, data)
        draft.identify(said.id, said.model)
        openai_usage.take(draft, said.usage)
        if lenient.value(said.error):
            draft.fail(lenient.value(said.error))
        elif said.object == "error":
            draft.fail(lenient.value(msgspec.Raw(data)))
        if isinstance(said.value, str):
            draft.output.add(said.value)
            draft.output_started = draft.open_ended = True
        for choice in said.choices or ():
            message = choice.delta or choice.message or _Message()
            draft.output.add(choice.text)
            draft.output.add(message.content)
            draft.output.add(message.tool_calls)
            draft.output_started |= bool(
                choice.text or message.content or message.tool_calls
            )
            draft.finish_reason = (
                lenient.text(choice.finish_reason) or draft.finish_reason
            )
        return said
