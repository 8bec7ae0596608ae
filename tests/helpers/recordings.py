"""Recorded exchanges with providers, and what their own numbers say.

What lives here: reading `tests/data` (and the whole of the recorded traffic where it is beside the checkout), and the
buckets that follow from the provider's usage objects. What does not: anything of `proxy.meter`: expectations must not come
from the code under test.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

REPOSITORY = Path(__file__).parents[2]
SUBSET = REPOSITORY / "tests" / "data"
ALL_TRAFFIC = REPOSITORY.parent / "shared" / "traffic"


@dataclass(frozen=True)
class Recording:
    """One exchange."""

    id: str
    method: str
    path: str
    request_body: bytes
    status: int
    content_type: str
    body: bytes
    streamed: bool
    usage: list[dict[str, Any]]


def recordings(folder: Path, *names: str) -> Iterator[Recording]:
    for name in names:
        with gzip.open(folder / f"{name}.jsonl.gz") as lines:
            for line in lines:
                yield _recording(json.loads(line))


def _recording(raw: dict[str, Any]) -> Recording:
    headers = {name.lower(): value for name, value in raw["response_headers"]}
    return Recording(
        id=raw["id"],
        method=raw["method"],
        path=urlsplit(raw["url"]).path,
        request_body=(raw["request_body"] or "").encode(),
        status=raw["status"],
        content_type=headers.get("content-type") or "",
        body=raw["response_body"].encode(),
        streamed=raw["streamed"],
        usage=raw["usage"],
    )


def expected_buckets(recording: Recording) -> dict[str, int] | None:
    """Give the non-zero buckets by the provider's numbers; `None` where it gave none."""
    if not recording.usage:
        return None
    if "/v1/messages" in recording.path:
        buckets = _anthropic(recording.usage)
    else:
        buckets = _openai(recording.usage[-1])
    return {name: count for name, count in buckets.items() if count}


def _openai(usage: dict[str, Any]) -> dict[str, int]:
    flat = {
        f"{key}.{inner}": number
        for key, value in usage.items()
        if isinstance(value, dict)
        for inner, number in value.items()
        if isinstance(number, int)
    }

    def detail(side: tuple[str, ...], name: str) -> int:
        return sum(
            n
            for key, n in flat.items()
            if key.startswith(side) and key.endswith("." + name)
        )

    ins, outs = ("prompt", "input"), ("completion", "output")
    cached, written = detail(ins, "cached_tokens"), detail(ins, "cache_write_tokens")
    audio_in, image_in = detail(ins, "audio_tokens"), detail(ins, "image_tokens")
    thought, audio_out = detail(outs, "reasoning_tokens"), detail(outs, "audio_tokens")
    total_in = usage.get("prompt_tokens", usage.get("input_tokens")) or 0
    total_out = usage.get("completion_tokens", usage.get("output_tokens")) or 0
    return {
        "input": max(0, total_in - cached - written - audio_in - image_in),
        "cache_read": cached,
        "cache_write": written,
        "output": max(0, total_out - thought - audio_out),
        "reasoning": thought,
        "audio_in": audio_in,
        "audio_out": audio_out,
        "image_in": image_in,
    }


def _anthropic(usages: list[dict[str, Any]]) -> dict[str, int]:
    last: dict[str, Any] = {}
    for usage in usages:
        for key, value in usage.items():
            if value is not None:
                last[key] = value
    long = (last.get("cache_creation") or {}).get("ephemeral_1h_input_tokens", 0)
    thought = (last.get("output_tokens_details") or {}).get("thinking_tokens", 0)
    return {
        "input": last["input_tokens"],
        "cache_read": last.get("cache_read_input_tokens", 0),
        "cache_write": last.get("cache_creation_input_tokens", 0) - long,
        "cache_write_long": long,
        "output": last["output_tokens"] - thought,
        "reasoning": thought,
    }
