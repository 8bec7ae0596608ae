"""What an answer in a model vendor's own shape says, as Bedrock's InvokeModel hands it through.

What lives here: Titan, Llama, Mistral, Cohere, AI21, Claude's text completions, and all that copied OpenAI's chat. What does not:
Claude's messages (`anthropic_answer.py`), Nova (`converse_answer.py`), what Bedrock adds (`dialects/bedrock_invoke.py`).

Pieces of a stream are like a whole answer; their counts grow, so that the last one wins. Most vendors count nothing: then
Bedrock's own counts are all there is.
"""

from typing import Any

import msgspec

from proxy.meter import anthropic_usage, aws_usage, lenient, openai_usage
from proxy.meter.draft import Draft
from proxy.model import Usage


class _Said(msgspec.Struct):
    id: Any = None
    response_id: Any = None
    generation_id: Any = None
    model: Any = None
    # Titan
    input_count: Any = msgspec.field(name="inputTextTokenCount", default=None)
    output_count: Any = msgspec.field(name="totalOutputTextTokenCount", default=None)
    output_text: Any = msgspec.field(name="outputText", default=None)
    completion_reason: Any = msgspec.field(name="completionReason", default=None)
    results: Any = None
    # Llama
    generation: Any = None
    prompt_token_count: Any = None
    generation_token_count: Any = None
    stop_reason: Any = None
    # Claude's text completions, Cohere, Mistral, AI21
    completion: Any = None
    text: Any = None
    finish_reason: Any = None
    tool_calls: Any = None
    generations: Any = None
    outputs: Any = None
    completions: Any = None
    meta: Any = None
    # OpenAI's shape
    choices: Any = None
    usage: msgspec.Raw = msgspec.Raw()


_SAID = msgspec.json.Decoder(_Said)


class VendorAnswer:
    """Reads into a draft that may be shared; the usage is its owner's to take."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.usage: Usage | None = None
        self.said: dict[str, Any] = {}
        """The usage objects so far."""
        self.flat: dict[str, int] = {}
        """Counts that stand for themselves."""
        self.inclusive = False
        """The input includes what was cached."""

    def piece(self, body: bytes) -> None:
        """Take an answer or a piece of a stream; raises one of `lenient.UNREADABLE` where it cannot be read."""
        said = lenient.load(_SAID, body)
        self._take_counts(said)
        draft = self.draft
        before = len(draft.calls), draft.output.chars(), draft.reasoning.chars()
        for found in (said.id, said.response_id, said.generation_id):
            draft.identify(found, said.model)
        for text in (said.output_text, said.generation, said.completion, said.text):
            draft.output.add(lenient.text(text))
        reasons = [said.completion_reason, said.stop_reason, said.finish_reason]
        for entry in _entries(said.results, said.generations, said.outputs):
            draft.output.add(lenient.text(entry.get("text") or entry.get("outputText")))
            reasons += [
                entry.get(name)
                for name in ("completionReason", "finish_reason", "stop_reason")
            ]
        for entry in _entries(said.completions):
            draft.output.add(lenient.text(lenient.member(entry, "data").get("text")))
            reasons.append(lenient.member(entry, "finishReason").get("reason"))
        for entry in _entries(said.choices):
            self._take_choice(entry)
            reasons.append(entry.get("finish_reason") or entry.get("stop_reason"))
        for place, call in enumerate(_entries(said.tool_calls)):
            self._take_call((None, place), call)
        found = (reason for reason in map(lenient.text, reasons) if reason)
        draft.finish_reason = next(found, draft.finish_reason)
        after = len(draft.calls), draft.output.chars(), draft.reasoning.chars()
        draft.output_started |= after != before

    def _take_choice(self, choice: dict[str, Any]) -> None:
        draft = self.draft
        message = lenient.member(choice, "delta") or lenient.member(choice, "message")
        draft.output.add(lenient.text(choice.get("text")))
        draft.output.add(message.get("content"))
        draft.reasoning.add(
            message.get("reasoning_content") or message.get("reasoning")
        )
        for place, call in enumerate(_entries(message.get("tool_calls"))):
            index = lenient.count(call.get("index"))
            self._take_call(
                (lenient.count(choice.get("index")), place if index is None else index),
                call,
            )

    def _take_call(self, key: Any, said: dict[str, Any]) -> None:
        """Take a tool call in OpenAI's shape, or in that of Cohere, which has no id and whole arguments."""
        function = lenient.member(said, "function") or said
        name = lenient.text(function.get("name"))
        call = self.draft.call(key, lenient.text(said.get("id")), name)
        call.add(function.get("arguments"))
        if isinstance(function.get("parameters"), dict):
            call.whole = msgspec.json.encode(function["parameters"])

    def _take_counts(self, said: _Said) -> None:
        table = lenient.table(said.usage) or {}
        counts = [
            n
            for e in _entries(said.results)
            if (n := lenient.count(e.get("tokenCount"))) is not None
        ]
        flat = {
            "inputTextTokenCount": lenient.count(said.input_count),
            "totalOutputTextTokenCount": lenient.count(said.output_count),
            "tokenCount": sum(counts) if counts else None,
            "prompt_token_count": lenient.count(said.prompt_token_count),
            "generation_token_count": lenient.count(said.generation_token_count),
        }
        billed = lenient.member(said.meta, "billed_units")
        self.flat |= {name: count for name, count in flat.items() if count is not None}
        self.said |= billed | table
        self.inclusive = bool({"prompt_tokens", "total_tokens"} & self.said.keys())
        self.usage = _buckets({**self.flat, **self.said}, inclusive=self.inclusive)


def _buckets(said: dict[str, Any], *, inclusive: bool) -> Usage | None:
    if inclusive:
        return openai_usage.buckets(said)
    found = aws_usage.buckets(said) or anthropic_usage.buckets(said)
    if found is not None:
        return found
    total_in = _first(said, "inputTextTokenCount", "prompt_token_count")
    total_out = _first(
        said, "totalOutputTextTokenCount", "tokenCount", "generation_token_count"
    )
    if total_in is None and total_out is None:
        return None
    return Usage(input=total_in, output=total_out)


def _first(said: dict[str, Any], *names: str) -> int | None:
    """Give the first of these counts; a usage object may have any of the names, and anything under them."""
    counts = (lenient.count(said.get(name)) for name in names)
    return next((count for count in counts if count is not None), None)


def _entries(*lists: Any) -> list[dict[str, Any]]:
    """Give the objects in these lists."""
    return [
        entry
        for each in lists
        for entry in lenient.items(each)
        if isinstance(entry, dict)
    ]
