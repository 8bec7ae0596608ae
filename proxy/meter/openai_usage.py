"""The arithmetic of OpenAI's usage objects, which many families share: what is counted inside of what.

What lives here: how a usage object becomes disjoint buckets, tokens with a price of their own, things billed by use, and the provider's
own total. What does not: where in an answer it stands.

Totals include their details (checked over 2,600 recorded answers), in the old names (`prompt_tokens`) and the new (`input_tokens`). Who
counts otherwise is told by the numbers, not by a name: where `total_tokens` exceeds input and output, the rest is thinking that
the output leaves out (xAI, Gemini's compatible endpoint); Perplexity's search models count reasoning and citations beside it all.
"""

import math
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import msgspec

from proxy.meter import lenient
from proxy.meter.draft import Draft
from proxy.model import PICO_PER_USD, Usage

_PICO_PER_TICK = 100
"""xAI counts money in 1e-10 dollars."""
_MAX_USD = 10**6
"""No honest answer costs as much, and the columns for money end here."""
_INPUT, _OUTPUT = ("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens")  # fmt: skip
_INPUT_DETAILS = ("prompt_tokens_details", "prompt_token_details", "input_tokens_details", "input_token_details")  # fmt: skip
_OUTPUT_DETAILS = ("completion_tokens_details", "completion_token_details", "output_tokens_details", "output_token_details")  # fmt: skip
"""Assistants and transcriptions write `token` without s."""
_SEARCHES = frozenset(("citation_tokens", "num_search_queries", "search_context_size"))  # fmt: skip
"""Members by which Perplexity is known."""
_USES = ("server_side_tool_usage", "server_side_tool_usage_details", "server_tool_use", "server_tool_use_details", "connectors")  # fmt: skip
_USE_MEMBERS = frozenset((*_USES, "num_search_queries", "num_sources_used", "prompt_audio_seconds", "seconds"))  # fmt: skip
_USE_PREFIX, _USE_SUFFIXES = "server_side_tool_", ("_calls", "_requests")
_MAX_USES = 32

_decode_exact = msgspec.json.Decoder(float_hook=Decimal).decode


def take(draft: Draft, raw: msgspec.Raw) -> bool:
    """Take all that a usage object says, and say whether there is one; the newest wins."""
    said = lenient.table(raw) if raw else None
    if not said:
        return False
    if _first(said, *_OUTPUT) is None and _hidden(said, _input(said), None) > 0:
        said = {**said, _OUTPUT[0]: 0}  # an answer that is nothing but hidden thinking
    draft.take_usage(buckets(said), raw)
    draft.details.update(details(said))
    draft.server_tool_uses.update(uses(said))
    paid = cost(raw)
    draft.cost = draft.cost if paid is None else paid
    return True


def buckets(said: Mapping[str, Any] | None) -> Usage | None:
    """Take cached, audio and image tokens out of the input, reasoning and audio out of the output.

    A remainder is never below zero: providers have reported more reasoning than output. `None` where there is no object, or it
    counts no tokens (seconds of audio).
    """
    said = said or {}
    total_in, total_out = _input(said), _first(said, *_OUTPUT)
    if total_in is None and total_out is None:
        return None
    ins, outs = _inputs(said), _outputs(said)
    cached = lenient.member(ins, "cached_tokens_details")
    cache_read = lenient.count(ins.get("cached_tokens"))
    if cache_read is None:
        cache_read = _first(
            said, "prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens"
        )
    written = lenient.count(ins.get("cache_write_tokens"))
    long = _first(lenient.member(ins, "cache_write_tokens_details"), "ttl_12h_tokens")
    audio_in = _rest(
        lenient.count(ins.get("audio_tokens")),
        lenient.count(cached.get("audio_tokens")),
    )
    image_in = _rest(
        lenient.count(ins.get("image_tokens")),
        lenient.count(cached.get("image_tokens")),
    )
    audio_out = lenient.count(outs.get("audio_tokens"))
    output, reasoning = _output(said, outs, total_in, total_out)
    return Usage(
        input=_rest(total_in, cache_read, written, audio_in, image_in),
        cache_read=cache_read,
        cache_write=_rest(written, long),
        cache_write_long=long,
        output=_rest(output, reasoning, audio_out),
        reasoning=reasoning,
        audio_in=audio_in,
        audio_out=audio_out,
        image_in=image_in,
    )


def _output(
    said: Mapping[str, Any],
    outs: Mapping[str, Any],
    total_in: int | None,
    total_out: int | None,
) -> tuple[int | None, int | None]:
    """Give all output, and how much of it is reasoning."""
    reasoning = lenient.count(outs.get("reasoning_tokens"))
    if not _SEARCHES.isdisjoint(said):
        # `total_tokens` knows nothing of these.
        beside = lenient.count(said.get("reasoning_tokens"))
        extra = (beside or 0) + (lenient.count(said.get("citation_tokens")) or 0)
        return _sum(total_out, extra), reasoning if beside is None else beside
    if reasoning is None:
        reasoning = lenient.count(said.get("reasoning_tokens"))
    hidden = _hidden(said, total_in, total_out)
    if hidden <= 0 or total_out is None:
        return total_out, reasoning
    return total_out + hidden, max(reasoning or 0, hidden)


def _hidden(
    said: Mapping[str, Any], total_in: int | None, total_out: int | None
) -> int:
    """Give how many tokens the total has beyond input and output; zero or less where these are all, or the input is not known."""
    if total_in is None:
        return 0
    return (lenient.count(said.get("total_tokens")) or 0) - total_in - (total_out or 0)


def _input(said: Mapping[str, Any]) -> int | None:
    """Give all input. What Mistral's connectors brought is counted beside it, and in the total."""
    total_in, brought = (
        _first(said, *_INPUT),
        lenient.count(said.get("connector_tokens")),
    )
    if total_in is None or not brought:
        return total_in
    known = total_in + (_first(said, *_OUTPUT) or 0)
    beside = (lenient.count(said.get("total_tokens")) or 0) - known
    return total_in + max(0, min(brought, beside))


def details(said: Mapping[str, Any]) -> dict[str, int]:
    """Give the tokens inside of a bucket that have a price of their own."""
    ins, outs = _inputs(said), _outputs(said)
    cached = lenient.member(ins, "cached_tokens_details")
    return {
        unit: count
        for holder, name, unit in (
            (cached, "audio_tokens", "cache_audio_read"),
            (cached, "image_tokens", "cache_image_read"),
            (ins, "video_tokens", "input_video"),
            (outs, "image_tokens", "output_image"),
            (outs, "video_tokens", "output_video"),
            (said, "citation_tokens", "output_citation"),
        )
        if name in holder and (count := lenient.count(holder[name]))
    }


def uses(said: Mapping[str, Any]) -> dict[str, int]:
    """Give what is billed by use: tools that the provider ran, searches, seconds of audio."""
    if _USE_MEMBERS.isdisjoint(said):
        return {}
    found: dict[str, int | None] = {
        "web_search": lenient.count(said.get("num_search_queries")),
        "live_search_source": lenient.count(said.get("num_sources_used")),
        "input_audio_seconds": _seconds(said),
    }
    for table in _USES:
        if table not in said:
            continue
        for name, count in list(lenient.member(said, table).items())[:_MAX_USES]:
            tool = name.lower().removeprefix(_USE_PREFIX)
            for suffix in _USE_SUFFIXES:
                tool = tool.removesuffix(suffix)
            found[tool] = lenient.count(count)
    return {name: count for name, count in found.items() if count}


def _seconds(said: Mapping[str, Any]) -> int | None:
    found = said.get("prompt_audio_seconds")
    if said.get("type") == "duration":
        found = said.get("seconds")
    if isinstance(found, float) and 0 <= found <= lenient.MAX_COUNT:
        return math.ceil(found)
    return lenient.count(found)


def cost(raw: msgspec.Raw) -> int | None:
    """Give what the provider says that it charges, in pico-dollars, from the text of the JSON: a float would round.

    OpenRouter: `cost`, and with a key of the customer's own (`is_byok`) what that one is charged besides. Perplexity: `cost` is an
    object. xAI: ticks. DeepInfra: `estimated_cost`.
    """
    if b"cost" not in bytes(raw):
        return None
    try:
        said = _decode_exact(raw)
    except (*lenient.UNREADABLE, ArithmeticError):
        return None
    if not isinstance(said, dict):
        return None
    ticks = _pico(said.get("cost_in_usd_ticks"), _PICO_PER_TICK)
    if ticks is not None:
        return ticks
    total = said.get("cost", said.get("estimated_cost"))
    if isinstance(total, dict):
        total = total.get("total_cost")
    paid = _pico(total, PICO_PER_USD)
    if paid is not None and said.get("is_byok") is True:
        upstream = lenient.member(said, "cost_details").get("upstream_inference_cost")
        paid += _pico(upstream, PICO_PER_USD) or 0
    return paid


def _pico(amount: Any, unit: int) -> int | None:
    if isinstance(amount, bool) or not isinstance(amount, int | Decimal):
        return None
    if not 0 <= amount <= _MAX_USD * PICO_PER_USD // unit:
        return None
    return int((Decimal(amount) * unit).to_integral_value(ROUND_HALF_EVEN))


def timings(said: Mapping[str, Any]) -> Usage | None:
    """Read what llama.cpp says beside an answer, also where nobody asked for usage."""
    prompt, output = (
        lenient.count(said.get("prompt_n")),
        lenient.count(said.get("predicted_n")),
    )
    if prompt is None or output is None:
        return None
    return Usage(
        input=prompt, cache_read=lenient.count(said.get("cache_n")), output=output
    )


def _inputs(said: Mapping[str, Any]) -> dict[str, Any]:
    return _details(said, _INPUT_DETAILS)


def _outputs(said: Mapping[str, Any]) -> dict[str, Any]:
    return _details(said, _OUTPUT_DETAILS)


def _first(said: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        if name in said and (count := lenient.count(said[name])) is not None:
            return count
    return None


def _details(said: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Find the details of one side."""
    for name in names:
        found = said.get(name)
        if found and isinstance(found, dict):
            return found
    return {}


def _sum(total: int | None, extra: int) -> int | None:
    return total if total is None else total + extra


def _rest(total: int | None, *parts: int | None) -> int | None:
    if total is None:
        return None
    for part in parts:
        total -= part or 0
    return max(0, total)
