"""The arithmetic of Anthropic's usage object.

What lives here: how it becomes disjoint buckets, parts and counts of server tools. What does not: where in an answer it
stands. It is shared by all that carry Anthropic's object (Messages; Bedrock and Vertex bodies).
"""

from collections.abc import Mapping
from typing import Any

from proxy.meter import lenient
from proxy.model import PartReading, Usage

_BESIDE = ("compaction", "advisor_message")
"""Iterations that are never in the top-level numbers."""

FAST = "fast"
"""What `speed` says of an answer in fast mode."""


def buckets(said: Mapping[str, Any]) -> Usage | None:
    """Give the disjoint buckets; `None` where no tokens are counted.

    The split by cache lifetime may be older than the total (it comes only with `message_start`): what the total has beyond
    it was written with the short lifetime.
    """
    total_in, total_out = (
        lenient.count(said.get("input_tokens")),
        lenient.count(said.get("output_tokens")),
    )
    if total_in is None and total_out is None:
        return None
    split = lenient.member(said, "cache_creation")
    short = lenient.count(split.get("ephemeral_5m_input_tokens"))
    long = lenient.count(split.get("ephemeral_1h_input_tokens"))
    written = lenient.count(said.get("cache_creation_input_tokens"))
    thinking = lenient.count(
        lenient.member(said, "output_tokens_details").get("thinking_tokens")
    )
    return Usage(
        input=total_in,
        cache_read=lenient.count(said.get("cache_read_input_tokens")),
        cache_write=short if written is None else max(0, written - (long or 0)),
        cache_write_long=long,
        output=None if total_out is None else max(0, total_out - (thinking or 0)),
        reasoning=thinking,
    )


def parts(said: Mapping[str, Any], model: str) -> tuple[PartReading, ...]:
    """Give what `iterations` bill on top of the top-level numbers; entries without a model ran on the answer's own."""
    found: list[PartReading] = []
    entries = [
        entry
        for entry in lenient.items(said.get("iterations"))
        if isinstance(entry, dict)
    ]
    for entry in entries:
        usage = buckets(entry)
        if usage is not None and _is_beside(entry, entries, said):
            found.append(PartReading(lenient.text(entry.get("model")) or model, usage))
    return tuple(found)


def _is_beside(
    entry: dict[str, Any], entries: list[dict[str, Any]], said: Mapping[str, Any]
) -> bool:
    """Say whether an entry is missing from the top-level numbers.

    A `fallback_message` stands in place of a `message`, but no recording shows how it is summed: it is beside the top-level
    output exactly if the `message` entries alone make up that output.
    """
    kind = entry.get("type")
    if kind != "fallback_message":
        return kind in _BESIDE
    messages = [
        lenient.count(other.get("output_tokens")) or 0
        for other in entries
        if other.get("type") == "message"
    ]
    return bool(messages) and sum(messages) == lenient.count(said.get("output_tokens"))


def server_tools(said: Mapping[str, Any]) -> dict[str, int]:
    """Give the uses of tools that Anthropic ran, without those that were not used."""
    uses = {
        name.removesuffix("_requests"): lenient.count(found)
        for name, found in lenient.member(said, "server_tool_use").items()
    }
    return {name: number for name, number in uses.items() if number}


def service_tier(said: Mapping[str, Any]) -> str:
    """Give the tier that served the answer; fast mode, which has prices of its own, stands beside it and is `standard` there."""
    return FAST if said.get("speed") == FAST else lenient.text(said.get("service_tier"))
