"""What else Amazon Bedrock's runtime offers: guardrails by themselves, counting tokens, asynchronous jobs.

What lives here: their paths, and what a guardrail bills. What does not: models (`bedrock_converse`, `bedrock_invoke`).

A guardrail bills text units by policy; a job bills nothing that its answers tell (the results go to S3).
"""

from functools import partial
from typing import Any

import msgspec

from proxy.meter import asks, lenient
from proxy.meter.aws_answer import AwsReader
from proxy.meter.aws_path import split_model_path
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.draft import Draft
from proxy.meter.unread import unmetered
from proxy.model import Ask, Kind

GUARDRAIL = Operation("apply_guardrail", Kind.OTHER, is_step=True, buffered=True)
GUARDRAIL_CHECKS = Operation(
    "guardrail_checks", Kind.OTHER, is_step=True, buffered=True
)
COUNT_TOKENS = Operation("count_tokens", Kind.LLM, is_step=False, buffered=True)
DUPLEX = Operation("invoke_duplex", Kind.LLM, is_step=True, buffered=False)
ASYNC_INVOKE = Operation("async_invoke", Kind.OTHER, is_step=True, buffered=True)
ASYNC_INVOKES = Operation("async_invokes", Kind.OTHER, is_step=False, buffered=False)

_CALLS = {"count-tokens": COUNT_TOKENS, "invoke-with-bidirectional-stream": DUPLEX}


class _Answer(msgspec.Struct):
    action: Any = None
    usage: msgspec.Raw = msgspec.Raw()


_ANSWER = msgspec.json.Decoder(_Answer)


class BedrockOther:
    """See the module."""

    name = "bedrock_other"

    def operation(self, method: str, path: str) -> Operation | None:
        """See `Dialect`."""
        model, call = split_model_path(path)
        if method == "POST" and call in _CALLS:
            return msgspec.structs.replace(_CALLS[call], model=model)
        if method == "POST" and path.endswith("/apply") and "/guardrail/" in path:
            return GUARDRAIL
        if method == "POST" and path.endswith("/guardrail-checks/invoke"):
            return GUARDRAIL_CHECKS
        if path.endswith("/async-invoke"):
            return ASYNC_INVOKE if method == "POST" else ASYNC_INVOKES
        return ASYNC_INVOKES if "/async-invoke/" in path else None

    def read_request(self, operation: Operation, body: bytes | None) -> Ask:
        """See `Dialect`."""
        return asks.blank(self.name, operation)

    def reader(self, ask: Ask, head: Head) -> Reader:
        """See `Dialect`."""
        if ask.operation == DUPLEX.name:
            return unmetered(head.status)
        return AwsReader(partial(_Family, head.status, ask.operation), head)


class _Family:
    def __init__(self, status: int, operation: str) -> None:
        self.draft = Draft(status)
        self._operation = operation

    def event(self, name: str, payload: bytes) -> None: ...

    def document(self, body: bytes) -> None:
        if self._operation != GUARDRAIL.name:
            return
        said = lenient.load(_ANSWER, body)
        self.draft.finish_reason = lenient.text(said.action).lower()
        units = {
            name: lenient.count(found)
            for name, found in (lenient.table(said.usage) or {}).items()
        }
        self.draft.server_tool_uses = {name: n for name, n in units.items() if n}
