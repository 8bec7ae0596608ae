"""The arithmetic of Amazon Bedrock's own counts.

What lives here: how `usage` of Converse and Nova, and the counts of `amazon-bedrock-invocationMetrics` or of response headers,
become disjoint buckets, and how they fill each other up. What does not: where in an answer they stand, vendors' own objects.

Input excludes what the cache holds (22 of 22 recorded totals), in all of them. Reasoning is part of the output and not told
apart.
"""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from proxy.meter import lenient
from proxy.model import Usage

_LONG_UNITS = ("h", "d")
"""Lifetimes in `cacheDetails` are `5m` and `1h`."""


def buckets(said: Mapping[str, Any] | None) -> Usage | None:
    """Give the disjoint buckets; `None` where no tokens are counted. Cache counts come under two names."""
    said = said or {}
    total_in = _first(said, "inputTokens", "inputTokenCount")
    total_out = _first(said, "outputTokens", "outputTokenCount")
    if total_in is None and total_out is None:
        return None
    written = _first(said, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    short, long = _by_lifetime(said.get("cacheDetails"))
    return Usage(
        input=total_in,
        cache_read=_first(said, "cacheReadInputTokens", "cacheReadInputTokenCount"),
        cache_write=short if written is None else max(0, written - (long or 0)),
        cache_write_long=long,
        output=total_out,
    )


def _first(said: Mapping[str, Any], *names: str) -> int | None:
    counts = (lenient.count(said.get(name)) for name in names)
    return next((count for count in counts if count is not None), None)


def _by_lifetime(details: Any) -> tuple[int | None, int | None]:
    """Sum what was written to the cache by lifetime."""
    sums: dict[bool, int] = {}
    for entry in lenient.items(details):
        if isinstance(entry, dict):
            is_long = lenient.text(entry.get("ttl")).endswith(_LONG_UNITS)
            count = lenient.count(entry.get("inputTokens")) or 0
            sums[is_long] = sums.get(is_long, 0) + count
    return sums.get(False), sums.get(True)


def server_tools(said: Mapping[str, Any] | None) -> dict[str, int]:
    """Give the uses of tools that AWS ran, without those that were not used; names in snake case."""
    uses = {
        _snake(name): lenient.count(found)
        for name, found in lenient.member(said, "serverToolUsage").items()
    }
    return {name: number for name, number in uses.items() if number}


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def filled_up(
    usage: Usage | None, more: Usage | None, *, inclusive: bool
) -> Usage | None:
    """Take from `more` what `usage` leaves out.

    The vendor's object says more (lifetimes, thinking) and is complete where it speaks: in recorded streams the metrics missed
    the arguments of tool calls. It may speak of one side only (a guardrail hid the other), or not of the cache. Where its
    input includes the cache (`inclusive`), another's counts of the cache would count it twice.
    """
    if usage is None or more is None:
        return usage or more
    if usage.output is None and usage.reasoning is None:
        usage = replace(usage, output=more.output)
    if usage.input is None:
        return replace(
            usage,
            input=more.input,
            cache_read=more.cache_read,
            cache_write=more.cache_write,
            cache_write_long=more.cache_write_long,
        )
    if inclusive:
        return usage
    read = more.cache_read if usage.cache_read is None else usage.cache_read
    if usage.cache_write is None and usage.cache_write_long is None:
        usage = replace(usage, cache_write=more.cache_write)
    return replace(usage, cache_read=read)
