"""OpenAI Responses.

What lives here: creating a response (streamed, in the background or at once), getting it later (resumed streams included),
compacting. What does not: deltas of other families.

The final object stands in the terminal event of a stream and is the whole answer otherwise; it alone carries usage. A
background response is first answered with status `queued` and no usage: its tokens come with a later GET.
"""

import re
from functools import partial
from typing import Any

import msgspec

from proxy.meter import asks, lenient, openai_usage, skim
from proxy.meter.answer import AnswerReader
from proxy.meter.deltas import ENDS
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.draft import Draft
from proxy.meter.unread import unmetered
from proxy.model import Ask, Kind

CREATE = Operation("responses", Kind.LLM, is_step=True, buffered=True)
COMPACT = Operation("responses_compact", Kind.LLM, is_step=True, buffered=True)
COUNT = Operation("responses_input_tokens", Kind.LLM, is_step=False, buffered=False)
GET = Operation("responses_get", Kind.LLM, is_step=False, buffered=False)
"""No work of its own, but the answer to a background response carries the tokens (recorded once per response id)."""
CANCEL = Operation("responses_cancel", Kind.LLM, is_step=False, buffered=False)
DELETE = Operation("responses_delete", Kind.OTHER, is_step=False, buffered=False)
ITEMS = Operation("responses_input_items", Kind.OTHER, is_step=False, buffered=False)

_PATH = re.compile(r".*/responses(?:/(?P<id>[^/]+)(?:/(?P<sub>[^/]+))?)?/?")
_BY_ROUTE = {
    ("POST", "", ""): CREATE,
    ("POST", "compact", ""): COMPACT,
    ("POST", "input_tokens", ""): COUNT,
    ("GET", "id", ""): GET,
    ("POST", "id", "cancel"): CANCEL,
    ("DELETE", "id", ""): DELETE,
    ("GET", "id", "input_items"): ITEMS,
}
_METERED = (CREATE.name, COMPACT.name, GET.name, CANCEL.name)

_SERVER_TOOLS = frozenset(
    ("web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "mcp_call")
)  # fmt: skip
_CLIENT_TOOLS = frozenset(
    ("function_call", "custom_tool_call", "computer_call", "local_shell_call", "shell_call", "apply_patch_call")
)  # fmt: skip
_ARGUMENT_DELTAS = (
    "response.function_call_arguments.delta",
    "response.custom_tool_call_input.delta",
)
_FINAL = frozenset(
    f"response.{status}"
    for status in ("completed", "incomplete", "failed", "cancelled")
)
_PENDING = ("queued", "in_progress")
_ITEM_EVENTS = ("response.output_item.added", "response.output_item.done")

_TEXT_EVENT = b"event: response.output_text.delta"
_TEXT_LINE = b'data: {"type":"response.output_text.delta",'
_DELTA = b'"delta":"'
_TEXT_HEAD = _TEXT_EVENT + b"\n" + _TEXT_LINE
_texts = partial(
    skim.matching,
    re.compile(rb'"delta":"([^"\\\n]*+(?:\\.[^"\\\n]*+)*+)"[,}]').findall,
)
_BACKSLASH = 0x5C


class _Request(msgspec.Struct):
    model: Any = None
    stream: Any = None
    background: Any = None
    prompt_cache_options: msgspec.Raw = msgspec.Raw()
    service_tier: Any = None
    max_output_tokens: Any = None
    instructions: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    tools: msgspec.Raw = msgspec.Raw()


class _Item(msgspec.Struct):
    type: Any = None
    call_id: Any = None
    name: Any = None
    arguments: Any = None
    input: Any = None
    action: msgspec.Raw = msgspec.Raw()
    operation: msgspec.Raw = msgspec.Raw()
    content: Any = None
    summary: Any = None


class _Response(msgspec.Struct):
    id: Any = None
    model: Any = None
    status: Any = None
    service_tier: Any = None
    incomplete_details: msgspec.Raw = msgspec.Raw()
    output: msgspec.Raw = msgspec.Raw()
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class _Event(msgspec.Struct):
    type: Any = None
    output_index: Any = None
    delta: Any = None
    response: msgspec.Raw = msgspec.Raw()
    item: msgspec.Raw = msgspec.Raw()


_REQUEST = msgspec.json.Decoder(_Request)
_ITEM = msgspec.json.Decoder(_Item)
_ITEMS = msgspec.json.Decoder(list[_Item] | None)
_RESPONSE = msgspec.json.Decoder(_Response)
_EVENT = msgspec.json.Decoder(_Event)


class OpenAIResponses:
    """See the module."""

    name = "openai_responses"

    def operation(self, method: str, path: str) -> Operation | None:
        """See `Dialect`."""
        found = _PATH.fullmatch(path)
        if found is None:
            return None
        first, sub = found["id"] or "", found["sub"] or ""
        fixed = _BY_ROUTE.get((method, first, sub))
        return fixed or (_BY_ROUTE.get((method, "id", sub)) if first else None)

    def read_request(self, operation: Operation, body: bytes | None) -> Ask:
        """See `Dialect`."""
        if body is None or not operation.buffered:
            return asks.blank(self.name, operation)
        said = asks.read(_REQUEST, body)
        if said is None:
            return asks.blank(self.name, operation, well_formed=False)
        return Ask(
            dialect=self.name,
            operation=operation.name,
            kind=operation.kind,
            is_step=operation.is_step and not _prewarms(said),
            model=lenient.text(said.model),
            stream=said.stream is True,
            background=said.background is True,
            service_tier=lenient.text(said.service_tier),
            input_chars=asks.prompt_chars(said.instructions, said.input)
            + len(said.tools),
            max_output_tokens=lenient.count(said.max_output_tokens),
        )

    def reader(self, ask: Ask, head: Head) -> Reader:
        """See `Dialect`."""
        if ask.operation not in _METERED:
            return unmetered(head.status)
        return AnswerReader(
            partial(_Family, ask, head.status), head.status, head.content_type
        )


class _Family:
    def __init__(self, ask: Ask, status: int) -> None:
        self.draft = Draft(status)
        self._background = ask.background
        self._retrieves = ask.operation in (GET.name, CANCEL.name)

    def plain(self, line: bytes) -> bool:
        """Take a delta of visible text: its first member says what it is, and a quote inside of text is escaped."""
        if not line.startswith(_TEXT_LINE):
            return line == _TEXT_EVENT
        start = line.find(_DELTA) + len(_DELTA)
        quote = line.find(b'"', start)
        if (
            start < len(_TEXT_LINE)
            or quote < 0
            or line[quote - 1] == _BACKSLASH
            or not line.endswith(b"}")
        ):
            return False
        draft = self.draft
        if not draft.output_started:
            draft.output_started = True
            draft.skimmer.learn(_TEXT_HEAD, ENDS, _texts, draft.output.parts)
        draft.output.parts.append(line[start:quote])
        return True

    def event(self, name: bytes, data: bytes) -> None:
        if data.startswith(b"[DONE]"):
            return
        said = lenient.load(_EVENT, data)
        kind = lenient.text(said.type) or name.decode("ascii", "replace")
        if kind.endswith(".delta"):
            self._take_delta(kind, said)
        elif kind in _FINAL:
            self._take_response(lenient.load(_RESPONSE, said.response))
            self.draft.terminal = True
            self.draft.deferred = False
        elif kind in _ITEM_EVENTS:
            self._take_item(
                lenient.count(said.output_index),
                lenient.load(_ITEM, said.item),
                kind.endswith("done"),
            )
        elif kind == "error":
            whole = lenient.table(msgspec.Raw(data)) or {}
            self.draft.fail(whole.get("error") or {**whole, "type": None})
        elif said.response and not self.draft.response_id:
            self._take_response(lenient.load(_RESPONSE, said.response))
            self.draft.deferred = self._background

    def document(self, body: bytes) -> None:
        self._take_response(lenient.load(_RESPONSE, body))
        self.draft.error_in_stream &= not self._retrieves

    def _take_response(self, said: _Response) -> None:
        draft = self.draft
        draft.identify(said.id, said.model)
        draft.service_tier = lenient.text(said.service_tier) or draft.service_tier
        openai_usage.take(draft, said.usage)
        status = lenient.text(said.status)
        draft.deferred = status in _PENDING and draft.usage is None
        if status and status not in _PENDING:
            details = lenient.table(said.incomplete_details) or {}
            draft.finish_reason = lenient.text(details.get("reason")) or status
        if lenient.value(said.error) or status == "failed":
            draft.fail(lenient.value(said.error))
        items = lenient.load(_ITEMS, said.output) if said.output else None
        if items:
            self._take_output(items)
            # What is billed counts more than what is shown: xAI says how often its tools ran, not only that.
            draft.server_tool_uses.update(
                openai_usage.uses(lenient.table(said.usage) or {})
            )

    def _take_output(self, items: list[_Item]) -> None:
        """Take the finished items, which say all that the deltas said."""
        draft = self.draft
        draft.calls.clear()
        draft.server_tool_uses.clear()
        for index, item in enumerate(items):
            self._take_item(index, item, done=True)
            if not draft.output_started:
                draft.output.add(item.content if item.type == "message" else None)
                draft.reasoning.add(item.summary)

    def _take_item(self, index: int | None, item: _Item, done: bool) -> None:
        draft = self.draft
        kind = lenient.text(item.type)
        if kind in _CLIENT_TOOLS:
            call = draft.call(
                index, lenient.text(item.call_id), lenient.text(item.name) or kind
            )
            if done:
                call.whole = _arguments(item)
        elif done and kind in _SERVER_TOOLS:
            name = kind.removesuffix("_call")
            draft.server_tool_uses[name] = draft.server_tool_uses.get(name, 0) + 1

    def _take_delta(self, kind: str, said: _Event) -> None:
        draft = self.draft
        draft.output_started = True
        call = (
            draft.calls.get(lenient.count(said.output_index))
            if kind in _ARGUMENT_DELTAS
            else None
        )
        if call is not None:
            call.add(said.delta)
        elif "reasoning" in kind:
            draft.reasoning.add(said.delta)
        elif not kind.endswith("audio.delta"):
            draft.output.add(said.delta)


def _prewarms(said: _Request) -> bool:
    """Tell whether a request only fills the cache: it is billed, but it is no work."""
    options = lenient.table(said.prompt_cache_options) or {}
    return bool(options.get("prewarm"))


def _arguments(item: _Item) -> bytes:
    """Give the arguments of a finished call: a string in most tools, an object in those that OpenAI defines."""
    text = lenient.text(item.arguments) or lenient.text(item.input)
    return text.encode() or bytes(item.action) or bytes(item.operation)
