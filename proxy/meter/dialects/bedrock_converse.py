"""Amazon Bedrock's Converse.

What lives here: `POST …/model/{id}/converse` and `/converse-stream`. What does not: reading the answer
(`proxy.meter.converse_answer`), framing (`proxy.meter.aws_answer`), models in their vendors' own words (`bedrock_invoke`).

The model stands in the path only; a prompt router names in its trace which one it chose. The event `metadata` ends a stream
and has the usage. Input excludes what the cache holds; `cacheDetails` splits what was written by lifetime.
"""

from functools import partial
from typing import Any

import msgspec

from proxy.meter import asks, lenient
from proxy.meter.aws_answer import AwsReader
from proxy.meter.aws_path import split_model_path
from proxy.meter.converse_answer import ConverseAnswer
from proxy.meter.dialect import Head, Operation, Reader
from proxy.meter.draft import Draft
from proxy.model import Ask, Kind

_STREAMS = {"converse": False, "converse-stream": True}


class _Request(msgspec.Struct, rename="camel"):
    inference_config: Any = None
    service_tier: Any = None
    system: msgspec.Raw = msgspec.Raw()
    messages: msgspec.Raw = msgspec.Raw()
    tool_config: msgspec.Raw = msgspec.Raw()


_REQUEST = msgspec.json.Decoder(_Request)


class BedrockConverse:
    """See the module."""

    name = "bedrock_converse"

    def operation(self, method: str, path: str) -> Operation | None:
        """See `Dialect`."""
        model, call = split_model_path(path)
        if method != "POST" or call not in _STREAMS:
            return None
        return Operation(
            "converse",
            Kind.LLM,
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
        config = said.inference_config
        limit = config.get("maxTokens") if isinstance(config, dict) else None
        tier = said.service_tier
        return msgspec.structs.replace(
            asks.blank(self.name, operation),
            service_tier=lenient.text(
                tier.get("type") if isinstance(tier, dict) else None
            ),
            input_chars=asks.prompt_chars(said.system, said.messages)
            + len(said.tool_config),
            max_output_tokens=lenient.count(limit),
        )

    def reader(self, ask: Ask, head: Head) -> Reader:
        """See `Dialect`."""
        return AwsReader(partial(_Family, head.status), head)


class _Family:
    def __init__(self, status: int) -> None:
        self.draft = Draft(status)
        self._answer = ConverseAnswer(self.draft)

    def event(self, name: str, payload: bytes) -> None:
        self._answer.event(name, payload)
        self._take_usage()
        self.draft.terminal |= name == "metadata"

    def document(self, body: bytes) -> None:
        try:
            self._answer.document(body)
        finally:
            self._take_usage()

    def _take_usage(self) -> None:
        self.draft.take_usage(self._answer.usage, msgspec.Raw(self._answer.usage_json))
