"""OpenAI Assistants (threads and runs).

What lives here: runs, streamed or polled; a run's object carries the usage of the whole run once it has ended. What does
not: the steps inside of a run, whose usage is part of that, and Responses, which followed this API.
"""

import re
from functools import partial
from typing import Any

import msgspec

from proxy.meter import asks, faults, lenient, openai_usage
from proxy.meter.answer import AnswerReader
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.draft import Draft
from proxy.meter.unread import unmetered
from proxy.model import Ask, Kind

RUN = Operation("thread_run", Kind.LLM, is_step=True, buffered=True)
POLL = Operation("thread_run_get", Kind.LLM, is_step=False, buffered=False)
"""Carries the tokens of a run that has ended, each time it is asked: recorded once per run id."""
THREAD = Operation("thread", Kind.OTHER, is_step=False, buffered=False)

_RUN_PATH = re.compile(
    r".*/threads(?:/[^/]+)?/runs(?:/(?P<run>[^/]+)(?P<sub>/submit_tool_outputs)?)?/?"
)
_THREAD_PATH = re.compile(r".*/(?:threads|assistants)(?:/.*)?")
_PENDING = ("queued", "in_progress", "requires_action", "cancelling")


class _Request(msgspec.Struct):
    model: Any = None
    stream: Any = None
    instructions: msgspec.Raw = msgspec.Raw()


class _Answer(msgspec.Struct):
    id: Any = None
    object: Any = None
    model: Any = None
    status: Any = None
    delta: Any = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()
    last_error: msgspec.Raw = msgspec.Raw()


_REQUEST = msgspec.json.Decoder(_Request)
_ANSWER = msgspec.json.Decoder(_Answer)


class OpenAIAssistants:
    """See the module."""

    name = "openai_assistants"

    def operation(self, method: str, path: str) -> Operation | None:
        """See `Dialect`."""
        found = _RUN_PATH.fullmatch(path)
        if found is None:
            return THREAD if _THREAD_PATH.fullmatch(path) else None
        if method == "GET":
            return POLL if found["run"] else THREAD
        return (
            RUN if method == "POST" and (found["sub"] or not found["run"]) else THREAD
        )

    def read_request(self, operation: Operation, body: bytes | None) -> Ask:
        """See `Dialect`."""
        said = (
            None
            if body is None or operation.name != RUN.name
            else asks.read(_REQUEST, body)
        )
        if said is None:
            return asks.blank(
                self.name,
                operation,
                well_formed=body is None or operation.name != RUN.name,
            )
        return Ask(
            dialect=self.name,
            operation=operation.name,
            kind=operation.kind,
            is_step=operation.is_step,
            model=lenient.text(said.model),
            stream=said.stream is True,
            input_chars=asks.prompt_chars(said.instructions),
        )

    def reader(self, ask: Ask, head: Head) -> Reader:
        """See `Dialect`."""
        if ask.operation == THREAD.name:
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
        if data.startswith(b"[DONE]"):
            self.draft.terminal = True
        elif name == b"error":
            self.draft.fail(lenient.value(msgspec.Raw(data)))
        else:
            self.document(data)
            # A stream is `in_progress` until its end; who lost it need not come and ask.
            self.draft.deferred = False

    def document(self, body: bytes) -> None:
        draft = self.draft
        said = lenient.load(_ANSWER, body)
        if lenient.value(said.error):
            draft.fail(lenient.value(said.error))
        if said.object == "thread.message.delta":
            draft.output_started = True
            draft.output.add(said.delta)
        elif said.object == "thread.run.step.delta":
            draft.output_started = True
            draft.output.add(_written(said.delta))
        elif said.object == "thread.run":
            self._take_run(said)

    def _take_run(self, said: _Answer) -> None:
        draft = self.draft
        status = lenient.text(said.status)
        draft.identify(said.id, said.model)
        openai_usage.take(draft, said.usage)
        draft.deferred = status in _PENDING and draft.usage is None
        draft.finish_reason = "" if status in _PENDING else status
        if status == "failed":
            draft.fault = faults.classify(200, lenient.value(said.last_error))


def _written(delta: Any) -> list[str]:
    """Give what the model itself wrote in a step: code and arguments, not what came of them."""
    found: list[str] = []
    for call in lenient.items(lenient.member(delta, "step_details").get("tool_calls")):
        found.append(
            lenient.text(lenient.member(call, "code_interpreter").get("input"))
        )
        found.append(lenient.text(lenient.member(call, "function").get("arguments")))
    return list(filter(None, found))
