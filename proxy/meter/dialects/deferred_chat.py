"""Chat completions that are accepted now and fetched later: Perplexity's asynchronous ones and xAI's deferred ones.

What lives here: Perplexity's `POST …/async/chat/completions`, and fetching either by its id. What does not: xAI's first request, which is
a chat completion that says `deferred` (`openai_chat`).

The first answer has an id and no tokens. Perplexity wraps the completion in `response`, and gives it as often as it is asked for; xAI gives
it as it is, once. Usage is OpenAI's (`proxy.meter.openai_usage`).
"""

import re
from functools import partial
from typing import Any

import msgspec

from proxy.meter import asks, faults, lenient, openai_usage
from proxy.meter.answer import AnswerReader
from proxy.meter.choices import Choices
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.draft import Draft
from proxy.meter.unread import unmetered
from proxy.model import Ask, Kind

CREATE = Operation("deferred_chat", Kind.LLM, is_step=True, buffered=True)
GET = Operation("deferred_chat_get", Kind.LLM, is_step=False, buffered=False)
"""Carries the tokens, each time it is asked: recorded once per id."""
LIST = Operation("deferred_chat_list", Kind.OTHER, is_step=False, buffered=False)

_PATH = re.compile(
    r".*/(?:async/chat/completions|chat/deferred-completion)(?:/(?P<id>[^/]+))?/?"
)


class _Said(msgspec.Struct):
    model: Any = None
    max_tokens: Any = None
    messages: msgspec.Raw = msgspec.Raw()


class _Request(msgspec.Struct):
    request: _Said


class _Answer(msgspec.Struct):
    id: Any = None
    model: Any = None
    status: Any = None
    service_tier: Any = None
    error_message: Any = None
    response: msgspec.Raw = msgspec.Raw()
    choices: msgspec.Raw = msgspec.Raw()
    usage: msgspec.Raw = msgspec.Raw()


_REQUEST = msgspec.json.Decoder(_Request)
_ANSWER = msgspec.json.Decoder(_Answer)


class DeferredChat:
    """See the module."""

    name = "deferred_chat"

    def operation(self, method: str, path: str) -> Operation | None:
        """See `Dialect`."""
        found = _PATH.fullmatch(path)
        if found is None:
            return None
        if found["id"]:
            return GET if method == "GET" else LIST
        return CREATE if method == "POST" else LIST

    def read_request(self, operation: Operation, body: bytes | None) -> Ask:
        """See `Dialect`."""
        if body is None or operation.name != CREATE.name:
            return asks.blank(self.name, operation)
        read = asks.read(_REQUEST, body)
        if read is None:
            return asks.blank(self.name, operation, well_formed=False)
        said = read.request
        return Ask(
            dialect=self.name,
            operation=operation.name,
            kind=operation.kind,
            is_step=operation.is_step,
            model=lenient.text(said.model),
            background=True,
            input_chars=asks.prompt_chars(said.messages),
            max_output_tokens=lenient.count(said.max_tokens),
        )

    def reader(self, ask: Ask, head: Head) -> Reader:
        """See `Dialect`."""
        if ask.operation == LIST.name:
            return unmetered(head.status)
        return AnswerReader(
            partial(_Family, head.status), head.status, head.content_type
        )


class _Family:
    def __init__(self, status: int) -> None:
        self.draft = Draft(status)
        self._choices = Choices(self.draft)

    def plain(self, line: bytes) -> bool:
        return False

    def event(self, name: bytes, data: bytes) -> None:
        self.document(data)

    def document(self, body: bytes) -> None:
        draft = self.draft
        said = lenient.load(_ANSWER, body)
        inner = asks.read(_ANSWER, said.response) if said.response else None
        for each in (said, inner or _Answer()):
            draft.identify(each.id, each.model)
            draft.service_tier = lenient.text(each.service_tier) or draft.service_tier
            self._choices.take(each.choices)
            openai_usage.take(draft, each.usage)
        draft.deferred = draft.usage is None
        if lenient.text(said.error_message):
            draft.fault = faults.classify(200, {"message": said.error_message})
