"""The arithmetic of Cohere's usage objects: `usage` of the second API, `meta` of the first and of embeddings and rerankers.

What lives here: how such an object becomes disjoint buckets, and what is billed by use. What does not: where it stands.

Two counts stand side by side: `tokens` is what the model read and wrote, with Cohere's own preamble and tool prompts; `billed_units`
is what is paid for. The buckets are those billed, as genai-prices' own extractor has it: costs would be wrong by a factor of up to 80
otherwise (recorded: 6 billed of 501). `tokens` counts only where nothing is said to be billed. `cached_tokens` is a part of `tokens`
and can be larger than all that is billed (208 of 12), and it changes no price: it is no bucket beside `billed_units`. The whole object
stays in `usage_json`.
"""

import msgspec

from proxy.meter import lenient
from proxy.meter.draft import Draft
from proxy.model import Usage

USES = ("search_units", "classifications", "images", "pages")
"""What is billed by the piece."""


def take(draft: Draft, said: msgspec.Raw) -> None:
    """Take a `usage` or `meta` object, if it counts anything."""
    found = lenient.table(said)
    billed = lenient.member(found, "billed_units")
    uses = {name: lenient.count(billed.get(name)) for name in USES}
    counted = {name: count for name, count in uses.items() if count}
    tokens = lenient.member(found, "tokens")
    usage = _billed(billed) or _read(tokens, found or {})
    if usage is None and not counted:
        return
    draft.take_usage(usage or Usage(), said)
    draft.server_tool_uses = counted


def _billed(said: dict[str, object]) -> Usage | None:
    total_in, output = (
        lenient.count(said.get(name)) for name in ("input_tokens", "output_tokens")
    )
    text, image = (
        lenient.count(said.get(name)) for name in ("text_tokens", "image_tokens")
    )
    if (total_in, output, text, image) == (None, None, None, None):
        return None
    if total_in is None:
        total_in = text
    elif image is not None and total_in == (text or 0) + image:
        total_in -= image
    return Usage(input=total_in, output=output, image_in=image)


def _read(tokens: dict[str, object], said: dict[str, object]) -> Usage | None:
    total_in, output = (
        lenient.count(tokens.get(name)) for name in ("input_tokens", "output_tokens")
    )
    if total_in is None and output is None:
        return None
    cached = lenient.count(said.get("cached_tokens"))
    if total_in is not None:
        total_in = max(0, total_in - (cached or 0))
    return Usage(input=total_in, cache_read=cached, output=output)
