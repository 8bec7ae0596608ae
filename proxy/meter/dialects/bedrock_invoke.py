"""Amazon Bedrock's InvokeModel: each vendor's own bodies, in Bedrock's envelope.

What lives here: `POST …/model/{id}/invoke` and `/invoke-with-response-stream`, and what Bedrock itself counts. What does not: the
vendors' shapes (`proxy.meter.anthropic_answer`, `converse_answer` for Nova, `vendor_answer` for the others).

Who counts: the vendor's object where it has one (only it knows of cache lifetimes and thinking, and in recorded streams
Bedrock's own metrics missed the arguments of tool calls), what it leaves out from `amazon-bedrock-invocationMetrics` in the
last chunk of a stream, or from the response headers of a whole answer. 70 of 128 recorded whole answers counted in the headers
only. A stream ends with the metrics, or with the word of a guardrail that stopped it before the model ran.
"""

from functools import partial
from typing import Any

import msgspec

from proxy.meter import anthropic_usage, asks, aws_usage, lenient
from proxy.meter.anthropic_answer import AnthropicAnswer
from proxy.meter.aws_answer import AwsReader, counted
from proxy.meter.aws_path import names_model, split_model_path
from proxy.meter.converse_answer import ConverseAnswer
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.draft import Draft
from proxy.meter.vendor_answer import VendorAnswer
from proxy.model import Ask, Kind, Usage

_STREAMS = {"invoke": False, "invoke-with-response-stream": True}
_INTERVENED, _BY_GUARDRAIL = "INTERVENED", "guardrail_intervened"
_NOVA_EVENTS = (
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
)


class _Limits(msgspec.Struct):
    """Where vendors let a request limit the output."""

    max_tokens: Any = None
    max_completion_tokens: Any = None
    max_tokens_to_sample: Any = None
    max_gen_len: Any = None
    max_new_tokens: Any = None
    of_ai21: Any = msgspec.field(name="maxTokens", default=None)
    of_titan: Any = msgspec.field(name="maxTokenCount", default=None)

    def least(self) -> int | None:
        """Give the one that is set."""
        counts = map(lenient.count, msgspec.structs.astuple(self))
        return next((count for count in counts if count is not None), None)


class _Request(_Limits):
    in_titan: _Limits | None = msgspec.field(name="textGenerationConfig", default=None)
    in_nova: _Limits | None = msgspec.field(name="inferenceConfig", default=None)
    system: msgspec.Raw = msgspec.Raw()
    messages: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()
    chat_history: msgspec.Raw = msgspec.Raw()
    prompt: msgspec.Raw = msgspec.Raw()
    texts: msgspec.Raw = msgspec.Raw()
    documents: msgspec.Raw = msgspec.Raw()
    input_text: msgspec.Raw = msgspec.field(name="inputText", default=msgspec.Raw())
    tools: msgspec.Raw = msgspec.Raw()
    tool_config: msgspec.Raw = msgspec.field(name="toolConfig", default=msgspec.Raw())


class _Part(msgspec.Struct):
    bytes: bytes
    """In base64 on the wire."""


class _Envelope(msgspec.Struct):
    """What tells the shapes apart, and what Bedrock adds to each of them."""

    type: Any = None
    output: msgspec.Raw = msgspec.Raw()
    metrics: msgspec.Raw = msgspec.field(
        name="amazon-bedrock-invocationMetrics", default=msgspec.Raw()
    )
    guardrail: Any = msgspec.field(name="amazon-bedrock-guardrailAction", default=None)
    trace: msgspec.Raw = msgspec.field(
        name="amazon-bedrock-trace", default=msgspec.Raw()
    )
    total_of_titan: Any = msgspec.field(name="totalOutputTextTokenCount", default=None)

    def ends_by_guardrail(self) -> bool:
        """Tell the last word of a guardrail from those in the middle: only the last one has trace or totals."""
        last = self.total_of_titan is not None or bool(self.trace)
        return last and self.guardrail == _INTERVENED


_REQUEST = msgspec.json.Decoder(_Request)
_PART = msgspec.json.Decoder(_Part)
_ENVELOPE = msgspec.json.Decoder(_Envelope)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class BedrockInvoke:
    """See the module."""

    name = "bedrock_invoke"

    def operation(self, method: str, path: str) -> Operation | None:
        """See `Dialect`."""
        model, call = split_model_path(path)
        if method != "POST" or call not in _STREAMS:
            return None
        return Operation(
            "invoke",
            _kind(model),
            is_step=True,
            buffered=True,
            model=model,
            stream=_STREAMS[call],
        )

    def read_request(self, operation: Operation, body: bytes | None) -> Ask:
        """See `Dialect`."""
        if body is None:
            return asks.blank(self.name, operation)
        said = asks.read(_REQUEST, body)
        if said is None:
            return asks.blank(self.name, operation, well_formed=False)
        limits = (said, said.in_titan or _Limits(), said.in_nova or _Limits())
        counts = (each.least() for each in limits)
        prompt = (said.system, said.messages, said.message, said.chat_history)
        texts = (said.prompt, said.texts, said.documents, said.input_text)
        return msgspec.structs.replace(
            asks.blank(self.name, operation),
            input_chars=asks.prompt_chars(*prompt, *texts)
            + len(said.tools)
            + len(said.tool_config),
            max_output_tokens=next((n for n in counts if n is not None), None),
        )

    def reader(self, ask: Ask, head: Head) -> Reader:
        """See `Dialect`."""
        return AwsReader(partial(_Family, ask.model, head), head)


def _kind(model: str) -> Kind:
    if "embed" in model:
        return Kind.EMBEDDING
    return Kind.OTHER if "rerank" in model else Kind.LLM


class _Family:
    def __init__(self, model: str, head: Head) -> None:
        self._model = model if names_model(model) else ""
        self._claude = AnthropicAnswer(head.status)
        self.draft: Draft = self._claude.draft
        self.draft.service_tier = head.get(b"x-amzn-bedrock-service-tier").decode(
            "latin-1"
        )
        self._nova = ConverseAnswer(self.draft)
        self._other = VendorAnswer(self.draft)
        self._counts = counted(head)
        self._metrics: dict[str, Any] = {}

    def event(self, name: str, payload: bytes) -> None:
        if name == "chunk":
            self._read(lenient.load(_PART, payload).bytes, whole=False)

    def document(self, body: bytes) -> None:
        self._settle()
        self._read(body, whole=True)

    def _read(self, body: bytes, *, whole: bool) -> None:
        said = lenient.load(_ENVELOPE, body)
        metrics = lenient.table(said.metrics)
        try:
            self._dispatch(said, body, whole=whole)
        finally:
            self._metrics |= metrics or {}
            self._settle()
            self.draft.terminal |= metrics is not None
            if said.ends_by_guardrail():
                self.draft.terminal = True
                self.draft.finish_reason = self.draft.finish_reason or _BY_GUARDRAIL

    def _dispatch(self, said: _Envelope, body: bytes, *, whole: bool) -> None:
        if whole and said.type == "message":
            self._claude.document(body)
        elif whole and lenient.table(said.output):
            self._nova.document(body)
        elif not whole and isinstance(said.type, str) and said.type != "completion":
            self._claude.event(b"", body)
        elif not self._take_nova_events(body, whole=whole):
            self._other.piece(body)

    def _take_nova_events(self, body: bytes, *, whole: bool) -> bool:
        """Take a piece in which Nova's events stand by name; say whether it was one."""
        members = {} if whole else lenient.load(_MEMBERS, body)
        names = [name for name in _NOVA_EVENTS if name in members]
        for name in names:
            self._nova.event(name, bytes(members[name]))
        return bool(names)

    def _settle(self) -> None:
        """Put the counts together, those of the vendor first."""
        draft, other = self.draft, self._other
        vendor, said = self._vendor()
        counts = aws_usage.buckets({**self._counts, **self._metrics})
        usage = aws_usage.filled_up(vendor, counts, inclusive=other.inclusive)
        draft.usage = usage
        if usage is not None:
            objects = {**self._metrics, **said}
            draft.usage_json = msgspec.json.encode(
                objects or other.flat or self._counts
            )
        model = self._model or draft.model
        draft.parts = anthropic_usage.parts(self._claude.said, model)

    def _vendor(self) -> tuple[Usage | None, dict[str, Any]]:
        """Give the vendor's own usage and the object that said it."""
        if self._claude.said:
            return anthropic_usage.buckets(self._claude.said), self._claude.said
        if self._nova.usage is not None:
            return self._nova.usage, lenient.table(
                msgspec.Raw(self._nova.usage_json)
            ) or {}
        return (
            self._other.usage,
            self._other.said,
        )  # without flat counts: they are no object
