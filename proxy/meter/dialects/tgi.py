"""The own API of Hugging Face's text-generation-inference, and that of SGLang, which has the same path.

What lives here: `POST …/generate` and `…/generate_stream`. What does not: their OpenAI-shaped APIs (`openai_chat`), and Ollama's and
Cohere's `generate`, whose dialects are asked first.

TGI counts in `details`, where these were asked for: the output, and the input as `input_length` or as the list of `prefill` tokens;
a whole answer also has the counts in its head. The last event of its stream has `generated_text`. SGLang counts in `meta_info`, in
each event all that came so far, and ends with `[DONE]`; it answers several prompts at once, each with counts of its own.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

import msgspec

from proxy.meter import asks, lenient
from proxy.meter.answer import AnswerReader
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.draft import Draft
from proxy.model import Ask, Kind, Usage

_OPERATIONS = {
    name: Operation(name, Kind.LLM, is_step=True, buffered=True, stream=stream)
    for name, stream in (("generate", False), ("generate_stream", True))
}


class _Parameters(msgspec.Struct):
    max_new_tokens: Any = None


class _Request(msgspec.Struct):
    stream: Any = None
    parameters: _Parameters | None = None
    sampling_params: msgspec.Raw = msgspec.Raw()
    inputs: msgspec.Raw = msgspec.Raw()
    text: msgspec.Raw = msgspec.Raw()


class _Token(msgspec.Struct):
    text: Any = None
    special: Any = None


class _Answer(msgspec.Struct):
    index: Any = None
    """Which of several prompts SGLang answers; TGI numbers its tokens."""
    token: _Token | None = None
    generated_text: Any = None
    text: Any = None
    details: msgspec.Raw = msgspec.Raw()
    meta_info: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_REQUEST = msgspec.json.Decoder(_Request)
_ANSWER = msgspec.json.Decoder(_Answer | list[_Answer])
_ENCODER = msgspec.json.Encoder()
_MAX_PLACES = 1000
_END_CHARS = 32


class Tgi:
    """See the module."""

    name = "tgi"

    def operation(self, method: str, path: str) -> Operation | None:
        """See `Dialect`."""
        if method != "POST":
            return None
        return _OPERATIONS.get(path.rstrip("/").rpartition("/")[2])

    def read_request(self, operation: Operation, body: bytes | None) -> Ask:
        """See `Dialect`; the model is the server's only one."""
        said = None if body is None else asks.read(_REQUEST, body)
        if said is None:
            return asks.blank(self.name, operation, well_formed=body is None)
        limit = lenient.count((said.parameters or _Parameters()).max_new_tokens)
        if limit is None:
            sampling = lenient.table(said.sampling_params) or {}
            limit = lenient.count(sampling.get("max_new_tokens"))
        return Ask(
            dialect=self.name,
            operation=operation.name,
            kind=operation.kind,
            is_step=operation.is_step,
            stream=operation.stream or said.stream is True,
            input_chars=asks.prompt_chars(said.inputs, said.text),
            max_output_tokens=limit,
        )

    def reader(self, ask: Ask, head: Head) -> Reader:
        """See `Dialect`."""
        return AnswerReader(partial(_Family, head), head.status, head.content_type)


class _Family:
    def __init__(self, head: Head) -> None:
        self.draft = Draft(head.status)
        self._head = head
        self._texts: dict[int, tuple[int, str]] = {}
        """How long the text of each place is so far, and how it ends."""
        self._metas: dict[int, dict[str, int | None]] = {}

    def plain(self, line: bytes) -> bool:
        return False

    def event(self, name: bytes, data: bytes) -> None:
        if data.startswith(b"[DONE]"):
            self.draft.terminal = True
            return
        said = lenient.load(_ANSWER, data)
        for answer in said if isinstance(said, list) else [said]:
            token = answer.token or _Token()
            if token.special is not True:
                self.draft.output.add(token.text)
            self.draft.output_started |= bool(token.text or answer.text)
            place = min(lenient.count(answer.index) or 0, _MAX_PLACES)
            self._take_facts(answer, place)
            if isinstance(answer.generated_text, str):
                self.draft.terminal = True
            if isinstance(answer.text, str):
                self._take_text(answer.text, place)

    def document(self, body: bytes) -> None:
        said = lenient.load(_ANSWER, body)
        for place, answer in enumerate(said if isinstance(said, list) else [said]):
            self._take_facts(answer, min(place, _MAX_PLACES))
            self.draft.output.add(answer.generated_text)
            self.draft.output.add(answer.text)
        if self.draft.usage is None:
            self._take_head()

    def _take_text(self, text: str, place: int) -> None:
        """Take a text that mostly holds all that came before it."""
        length, end = self._texts.get(place, (0, ""))
        grows = text[:length].endswith(end)
        self._texts[place] = len(text), text[-_END_CHARS:]
        self.draft.output.add(text[length:] if grows else text)

    def _take_facts(self, said: _Answer, place: int) -> None:
        error = lenient.value(said.error)
        if error:
            self.draft.fail(error)
        self._take_details(said.details)
        self._take_meta(said.meta_info, place)

    def _take_details(self, raw: msgspec.Raw) -> None:
        details = lenient.table(raw)
        if details is None:
            return
        reason = lenient.text(details.get("finish_reason"))
        self.draft.finish_reason = reason or self.draft.finish_reason
        read = lenient.count(details.get("input_length"))
        if read is None:
            read = len(lenient.items(details.get("prefill"))) or None
        counts = {
            "input_length": read,
            "generated_tokens": lenient.count(details.get("generated_tokens")),
        }
        self._take(counts, read, counts["generated_tokens"])

    def _take_meta(self, raw: msgspec.Raw, place: int) -> None:
        meta = lenient.table(raw)
        if meta is None:
            return
        reason = lenient.member(meta, "finish_reason").get("type")
        self.draft.finish_reason = lenient.text(reason) or self.draft.finish_reason
        names = ("prompt_tokens", "completion_tokens", "cached_tokens")
        self._metas[place] = {name: lenient.count(meta.get(name)) for name in names}
        counts = {name: _sum(self._metas.values(), name) for name in names}
        read, written, cached = counts.values()
        if read is not None:
            read = max(0, read - (cached or 0))
        self._take(counts, read, written, cached)

    def _take_head(self) -> None:
        read, written = (
            _number(self._head.get(name))
            for name in (b"x-prompt-tokens", b"x-generated-tokens")
        )
        counts = {"x-prompt-tokens": read, "x-generated-tokens": written}
        self._take(counts, read, written)

    def _take(
        self,
        said: dict[str, int | None],
        read: int | None,
        written: int | None,
        cached: int | None = None,
    ) -> None:
        if read is None and written is None:
            return
        known = {name: count for name, count in said.items() if count is not None}
        usage = Usage(input=read, cache_read=cached, output=written)
        self.draft.take_usage(usage, msgspec.Raw(_ENCODER.encode(known)))


def _sum(metas: Iterable[dict[str, int | None]], name: str) -> int | None:
    known = [count for meta in metas if (count := meta[name]) is not None]
    return sum(known) if known else None


def _number(text: bytes) -> int | None:
    return lenient.count(int(text)) if text.isdigit() and len(text) < 20 else None
