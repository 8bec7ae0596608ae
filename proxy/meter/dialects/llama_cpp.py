"""The own API of llama.cpp's server (its OpenAI-shaped one is read by `openai_chat`), and what servers say of themselves.

What lives here: `POST …/completion`, `/infill` and `/embedding`, and the paths by which one looks after a server at home, also one of
vLLM, SGLang or Hugging Face. What does not: `/tokenize` and `/detokenize` (`cohere_embed`).

`tokens_evaluated` is the whole prompt, and `timings.cache_n` the part of it that was cached; the last event of a stream has
`"stop":true`, and no `[DONE]` follows. Several prompts are answered with a list.
"""

import re
from collections.abc import Iterable
from functools import partial
from typing import Any

import msgspec

from proxy.meter import asks, lenient
from proxy.meter.answer import AnswerReader
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.draft import Draft
from proxy.meter.unread import unmetered
from proxy.model import Ask, Kind, Usage

_WORK = {
    "completion": Operation("completion", Kind.LLM, is_step=True, buffered=True),
    "infill": Operation("infill", Kind.LLM, is_step=True, buffered=True),
    "embedding": Operation("embedding", Kind.EMBEDDING, is_step=True, buffered=True),
}
_ADMIN = re.compile(
    r".*/(?P<name>health|healthz|ping|version|metrics|info|props|slots(?:/\d+)?"
    r"|lora-adapters|apply-template)/?"
)


class _Request(msgspec.Struct):
    model: Any = None
    stream: Any = None
    n_predict: Any = None
    prompt: msgspec.Raw = msgspec.Raw()
    input_prefix: msgspec.Raw = msgspec.Raw()
    input_suffix: msgspec.Raw = msgspec.Raw()
    input_extra: msgspec.Raw = msgspec.Raw()
    content: msgspec.Raw = msgspec.Raw()


class _Timings(msgspec.Struct):
    cache_n: Any = None


class _Answer(msgspec.Struct):
    index: Any = None
    """Which of several prompts is answered."""
    model: Any = None
    content: Any = None
    stop: Any = None
    stop_type: Any = None
    tokens_evaluated: Any = None
    tokens_predicted: Any = None
    timings: _Timings | None = None
    error: msgspec.Raw = msgspec.Raw()


class _Counts(msgspec.Struct, omit_defaults=True):
    """What stands for a usage object."""

    tokens_predicted: Any = None
    tokens_evaluated: Any = None
    tokens_cached: Any = None
    timings: Any = None


_REQUEST = msgspec.json.Decoder(_Request)
_ANSWER = msgspec.json.Decoder(_Answer | list[msgspec.Raw])
_ONE = msgspec.json.Decoder(_Answer)
_COUNTS = msgspec.json.Decoder(_Counts)
_ENCODER = msgspec.json.Encoder()
_MAX_PLACES = 1000


class LlamaCpp:
    """See the module."""

    name = "llama_cpp"

    def operation(self, method: str, path: str) -> Operation | None:
        """See `Dialect`."""
        work = _WORK.get(path.rstrip("/").rpartition("/")[2])
        if work is not None:
            return work if method == "POST" else None
        found = _ADMIN.fullmatch(path)
        if found is None:
            return None
        name = found["name"].partition("/")[0]
        return Operation(name, Kind.OTHER, is_step=False, buffered=False)

    def read_request(self, operation: Operation, body: bytes | None) -> Ask:
        """See `Dialect`."""
        if body is None or operation.name not in _WORK:
            return asks.blank(self.name, operation)
        said = asks.read(_REQUEST, body)
        if said is None:
            return asks.blank(self.name, operation, well_formed=False)
        prompt = (
            said.prompt,
            said.input_prefix,
            said.input_suffix,
            said.input_extra,
            said.content,
        )
        return Ask(
            dialect=self.name,
            operation=operation.name,
            kind=operation.kind,
            is_step=operation.is_step,
            model=lenient.text(said.model),
            stream=said.stream is True,
            input_chars=asks.prompt_chars(*prompt),
            max_output_tokens=lenient.count(said.n_predict),
        )

    def reader(self, ask: Ask, head: Head) -> Reader:
        """See `Dialect`."""
        if ask.operation not in _WORK:
            return unmetered(head.status)
        return AnswerReader(
            partial(_Family, head.status), head.status, head.content_type
        )


class _Family:
    def __init__(self, status: int) -> None:
        self.draft = Draft(status)
        self._counted: dict[int, tuple[Usage, _Counts]] = {}
        self._open: set[int] = set()

    def plain(self, line: bytes) -> bool:
        return False

    def document(self, body: bytes) -> None:
        self.event(b"", body)

    def event(self, name: bytes, data: bytes) -> None:
        draft = self.draft
        if data.startswith(b"[DONE]"):
            draft.terminal = True
            return
        said = lenient.load(_ANSWER, data)
        if isinstance(said, _Answer):
            self._take(said, data)
            return
        for place, each in enumerate(said):
            if bytes(each).startswith(b"{"):  # embeddings were once bare lists
                self._take(lenient.load(_ONE, each), bytes(each), place)

    def _take(self, said: _Answer, data: bytes, place: int = 0) -> None:
        draft = self.draft
        draft.identify("", said.model)
        draft.output.add(said.content)
        draft.output_started |= bool(said.content)
        error = lenient.value(said.error)
        if error:
            draft.fail(error)
        place = min(lenient.count(said.index) or place, _MAX_PLACES)
        self._open.add(place)
        if said.stop is True:
            draft.finish_reason = lenient.text(said.stop_type) or "stop"
            self._take_counts(said, data, place)
            self._open.discard(place)
            draft.terminal = not self._open

    def _take_counts(self, said: _Answer, data: bytes, place: int) -> None:
        total_in = lenient.count(said.tokens_evaluated)
        output = lenient.count(said.tokens_predicted)
        if total_in is None and output is None:
            return
        cached = lenient.count((said.timings or _Timings()).cache_n)
        if total_in is not None:
            total_in = max(0, total_in - (cached or 0))
        usage = Usage(input=total_in, cache_read=cached, output=output)
        self._counted[place] = usage, lenient.load(_COUNTS, data)
        usages, counts = zip(*self._counted.values(), strict=True)
        usage = Usage(
            input=_sum(each.input for each in usages),
            cache_read=_sum(each.cache_read for each in usages),
            output=_sum(each.output for each in usages),
        )
        whole = counts[0] if len(counts) == 1 else counts
        self.draft.take_usage(usage, msgspec.Raw(_ENCODER.encode(whole)))


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
