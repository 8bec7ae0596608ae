"""OpenAI chat completions, and the many providers that copied them.

What lives here: `POST …/chat/completions`, streamed or not. What does not: usage arithmetic (`proxy.meter.openai_usage`), and
putting `include_usage` into requests (`proxy.meter.inject`).

Usage stands in one extra chunk without choices before `[DONE]` where it was asked for (OpenAI, Azure), or in the last chunk
with choices (Mistral, DeepSeek, Together), in `x_groq` (Groq), in the choice itself (Moonshot), or grows in every chunk: the last one
wins. llama.cpp says `timings` even where it was not asked. Errors come as `error`, as an event of this name (Groq), within a choice
(OpenRouter), or as an object that says so of itself (vLLM, Mistral).
"""

from functools import partial
from typing import Any

import msgspec

from proxy.meter import asks, lenient, openai_usage
from proxy.meter.answer import AnswerReader
from proxy.meter.deltas import PlainDeltas
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.draft import Draft
from proxy.meter.unread import unmetered
from proxy.model import Ask, Kind

_AGENTS = "/v1/agents/completions"
"""Mistral's agents speak the same language."""
_LATER = "/async"
"""Perplexity's are another family: their answers are fetched."""

CHAT = Operation("chat", Kind.LLM, is_step=True, buffered=True)
STORED = Operation("stored_chat", Kind.LLM, is_step=False, buffered=False)
"""Reading, listing or deleting completions that were kept: their usage was billed when they were made."""


class _StreamOptions(msgspec.Struct):
    include_usage: Any = None


class _Request(msgspec.Struct):
    model: Any = None
    stream: Any = None
    stream_options: _StreamOptions | None = None
    service_tier: Any = None
    deferred: Any = None
    max_completion_tokens: Any = None
    max_tokens: Any = None
    messages: msgspec.Raw = msgspec.Raw()
    tools: msgspec.Raw = msgspec.Raw()


class _Function(msgspec.Struct):
    name: Any = None
    arguments: Any = None


class _Custom(msgspec.Struct):
    name: Any = None
    input: Any = None


class _Call(msgspec.Struct):
    index: Any = None
    id: Any = None
    function: _Function | None = None
    custom: _Custom | None = None


class _Message(msgspec.Struct):
    content: Any = None
    refusal: Any = None
    audio: Any = None
    annotations: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    tool_calls: list[_Call] | None = None
    function_call: _Function | None = None


class _Choice(msgspec.Struct):
    index: Any = 0
    delta: _Message | None = None
    message: _Message | None = None
    finish_reason: Any = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class _Answer(msgspec.Struct):
    object: Any = None
    id: Any = None
    model: Any = None
    service_tier: Any = None
    choices: msgspec.Raw = msgspec.Raw()
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()
    x_groq: msgspec.Raw = msgspec.Raw()
    timings: msgspec.Raw = msgspec.Raw()


class _Groq(msgspec.Struct):
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_REQUEST = msgspec.json.Decoder(_Request)
_ANSWER = msgspec.json.Decoder(_Answer)
_CHOICES = msgspec.json.Decoder(list[_Choice] | None)
_GROQ = msgspec.json.Decoder(_Groq)


class OpenAIChat:
    """See the module."""

    name = "openai_chat"

    def operation(self, method: str, path: str) -> Operation | None:
        """See `Dialect`."""
        path = path.rstrip("/")
        if path.endswith(_AGENTS):
            return CHAT if method == "POST" else None
        base, found, tail = path.rpartition("/chat/completions")
        if not found or (tail and not tail.startswith("/")) or base.endswith(_LATER):
            return None
        if method != "POST" or tail:
            return STORED
        return asks.of_deployment(CHAT, path)

    def read_request(self, operation: Operation, body: bytes | None) -> Ask:
        """See `Dialect`."""
        if body is None or operation.name != CHAT.name:
            return asks.blank(self.name, operation)
        said = asks.read(_REQUEST, body)
        if said is None:
            return asks.blank(self.name, operation, well_formed=False)
        options = said.stream_options or _StreamOptions()
        limit = lenient.count(said.max_completion_tokens)
        return Ask(
            dialect=self.name,
            operation=operation.name,
            kind=operation.kind,
            is_step=operation.is_step,
            model=lenient.text(said.model) or operation.model,
            stream=said.stream is True,
            includes_usage=asks.flag(options.include_usage),
            background=said.deferred is True,
            service_tier=lenient.text(said.service_tier),
            input_chars=asks.prompt_chars(said.messages) + len(said.tools),
            max_output_tokens=lenient.count(said.max_tokens)
            if limit is None
            else limit,
        )

    def reader(self, ask: Ask, head: Head) -> Reader:
        """See `Dialect`."""
        if ask.operation != CHAT.name:
            return unmetered(head.status)
        return AnswerReader(
            partial(_Family, head.status, ask.background),
            head.status,
            head.content_type,
        )


class _Family:
    def __init__(self, status: int, later: bool) -> None:
        self.draft = Draft(status)
        self._later = later
        """The answer is to be fetched later (xAI): this one only says how."""
        self._counted = False
        """A usage object has come: timings say nothing new."""
        self._deltas = PlainDeltas(self.draft.skimmer)
        self.plain = self._deltas.take

    def event(self, name: bytes, data: bytes) -> None:
        if data.startswith(b"[DONE]"):
            self.draft.terminal = True
            return
        said = lenient.load(_ANSWER, data)
        has_usage = self._take_facts(said, data)
        choices = lenient.load(_CHOICES, said.choices) if said.choices else None
        for choice in choices or ():
            self._take_choice(choice, choice.delta)
        if choices is not None and len(choices) == 1 and not has_usage:
            self._learn(data, choices[0])
        if name == b"error" and self.draft.fault is None:
            self.draft.fail(lenient.value(msgspec.Raw(data)))

    def document(self, body: bytes) -> None:
        said = lenient.load(_ANSWER, body)
        self._take_facts(said, body)
        for choice in (
            lenient.load(_CHOICES, said.choices) if said.choices else None
        ) or ():
            self._take_choice(choice, choice.message)
        self.draft.deferred = self._later and self.draft.usage is None

    def _take_facts(self, said: _Answer, whole: bytes) -> bool:
        """Take what stands beside the choices, and say whether that included usage."""
        draft = self.draft
        draft.identify(said.id, said.model)
        draft.service_tier = lenient.text(said.service_tier) or draft.service_tier
        groq = asks.read(_GROQ, said.x_groq) if said.x_groq else None
        for error in (said.error, groq.error if groq else msgspec.Raw()):
            if lenient.value(error):
                draft.fail(lenient.value(error))
        if said.object == "error" and draft.fault is None:
            draft.fail(lenient.value(msgspec.Raw(whole)))
        timings = lenient.table(said.timings)
        if timings and not self._counted:
            draft.take_usage(openai_usage.timings(timings), said.timings)
        for raw in (groq.usage if groq else msgspec.Raw(), said.usage):
            self._take_usage(raw)
        return draft.usage is not None

    def _take_usage(self, raw: msgspec.Raw) -> None:
        self._counted |= openai_usage.take(self.draft, raw)

    def _take_choice(self, choice: _Choice, message: _Message | None) -> None:
        draft = self.draft
        draft.finish_reason = lenient.text(choice.finish_reason) or draft.finish_reason
        self._take_usage(choice.usage)
        if lenient.value(choice.error):
            draft.fail(lenient.value(choice.error))
        if message is None:
            return
        draft.output.add(message.content)
        draft.output.add(message.refusal)
        draft.reasoning.add(message.reasoning_content or message.reasoning)
        if message.annotations and _has_citation(message.annotations):
            draft.server_tool_uses.setdefault("web_search", 1)
        if message.function_call is not None:
            self._take_call(
                choice, _Call(index="function_call", function=message.function_call)
            )
        for call in message.tool_calls or ():
            self._take_call(choice, call)
        draft.output_started |= bool(
            message.content
            or message.refusal
            or message.audio
            or message.reasoning_content
            or message.reasoning
            or message.tool_calls
            or message.function_call
        )

    def _take_call(self, choice: _Choice, said: _Call) -> None:
        calls = self.draft.calls
        call_id = lenient.text(said.id)
        key = _place(choice, said) or (None, call_id or len(calls))
        if call_id and key in calls and calls[key].id not in ("", call_id):
            key = (*key, call_id)  # some providers number each call of an answer 0
        function, custom = said.function or _Function(), said.custom or _Custom()
        name = lenient.text(function.name) or lenient.text(custom.name)
        call = self.draft.call(key, call_id, name)
        call.add(function.arguments)
        call.add(custom.input)

    def _learn(self, data: bytes, choice: _Choice) -> None:
        """Let deltas like this go unparsed, if it said nothing but a piece of text."""
        delta = choice.delta
        if delta is None or choice.finish_reason is not None or delta.function_call:
            return
        output, reasoning = self.draft.output.parts, self.draft.reasoning.parts
        said = [
            (b'"content":"', delta.content, output),
            (b'"refusal":"', delta.refusal, output),
            (b'"reasoning_content":"', delta.reasoning_content, reasoning),
            (b'"reasoning":"', delta.reasoning, reasoning),
        ]
        for call in delta.tool_calls or ():
            known = self.draft.calls.get(_place(choice, call))
            if known is None or call.id or call.function is None:
                return
            said.append((b'"arguments":"', call.function.arguments, known.arguments))
        texts = [each for each in said if each[1]]
        if len(texts) == 1 and isinstance(texts[0][1], str):
            self._deltas.learn(b"data: " + data, *texts[0])


def _has_citation(annotations: Any) -> bool:
    """Whether the model searched the web: once an answer, as OpenAI bills its models that search."""
    return any(
        isinstance(each, dict) and each.get("type") == "url_citation"
        for each in lenient.items(annotations)
    )


def _place(choice: _Choice, call: _Call) -> tuple[Any, ...] | None:
    """Give where a call stands in the answer, if the provider says so."""
    index = call.index
    known = isinstance(index, int | str)
    return (lenient.count(choice.index), index) if known else None
