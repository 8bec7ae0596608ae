"""The units of the price table: what has a price, and which price is asked first.

What lives here: the words, how they lie in each other, and for how many of them a price is said. What does not: prices (`meter/`), counts
(`model/tokens.py`). Settings may name units, so that this stands below both.

The words are those of genai-prices without `_mtok`, the dollars for a million tokens. A sort of token is a set of properties (input, audio,
read from the cache); it costs what the most specific unit costs that has a price and whose properties it all has.
"""

from collections.abc import Iterator, Mapping

_MODALITIES = ("text", "audio", "image", "video")
_Properties = frozenset[str]


def _token_units() -> Iterator[tuple[str, _Properties]]:
    """Give each unit of tokens with its properties."""
    for modality in ("", *_MODALITIES):
        middle = f"_{modality}" if modality else ""
        own = {modality} - {""}
        yield f"input{middle}", frozenset({"input", *own})
        yield f"output{middle}", frozenset({"output", *own})
        yield f"cache{middle}_read", frozenset({"input", "read", *own})
        for life in ("", "5m", "1h"):
            name = f"cache{middle}_write" + (f"_{life}" if life else "")
            yield name, frozenset({"input", "write", *own, life}) - {""}
        yield f"input{middle}_tool", frozenset({"input", "tool", *own})
        yield (
            f"output{middle}_reasoning",
            frozenset({"output", "reasoning", *own}),
        )
        yield f"output{middle}_citation", frozenset({"output", "citation", *own})


_TOKENS: Mapping[str, _Properties] = dict(_token_units())


def _chain(unit: str) -> tuple[str, ...]:
    """Give the units that price this one, the most specific first."""
    properties = _TOKENS[unit]
    holding = [name for name, each in _TOKENS.items() if each <= properties]
    return tuple(sorted(holding, key=lambda name: -len(_TOKENS[name])))


_BUCKETS: Mapping[str, str] = {
    "input": "input",
    "cache_read": "cache_read",
    "cache_write": "cache_write",
    "cache_write_long": "cache_write_1h",
    "output": "output",
    "reasoning": "output_reasoning",
    "audio_in": "input_audio",
    "audio_out": "output_audio",
    "image_in": "input_image",
}
"""Each bucket of `Usage`, in its order, and what its tokens are called as long as no detail says more."""

BUCKET_UNITS: tuple[tuple[str, ...], ...] = tuple(
    _chain(unit) for unit in _BUCKETS.values()
)
"""For each bucket of `Usage`: the units that price it; the first that has a price does."""

_PLACES: tuple[tuple[_Properties, str], ...] = (
    (frozenset({"read"}), "cache_read"),
    (frozenset({"write", "1h"}), "cache_write_long"),
    (frozenset({"write"}), "cache_write"),
    (frozenset({"reasoning"}), "reasoning"),
    (frozenset({"output", "audio"}), "audio_out"),
    (frozenset({"output"}), "output"),
    (frozenset({"audio"}), "audio_in"),
    (frozenset({"image"}), "image_in"),
    (frozenset({"input"}), "input"),
)


def _bucket(unit: str) -> int:
    """Give the place in `Usage` of the bucket that counts this unit: the first whose mark it has."""
    name = next(name for marks, name in _PLACES if marks <= _TOKENS[unit])
    return list(_BUCKETS).index(name)


DETAIL_UNITS: Mapping[str, tuple[int, tuple[str, ...]]] = {
    unit: (_bucket(unit), _chain(unit))
    for unit in _TOKENS
    if unit not in _BUCKETS.values()
}
"""What `Reading.details` may name: the place of the bucket that it is counted in, and the units that price it."""

_SECONDS = ("input_audio_hours", "audio_hours")
_PAGES = ("input_document_kpages",)
_RERANKS = ("rerank_searches_kcount",)
FEE_UNITS: Mapping[str, tuple[str, ...]] = {
    "request": ("requests_kcount",),
    "web_search": ("web_searches_kcount",),
    "file_search": ("storage_searches_kcount",),
    "x_search": ("social_searches_kcount",),
    "code_execution": ("code_executions_kcount",),
    "code_interpreter": ("code_executions_kcount",),
    "search_units": _RERANKS,
    "rerank_search": _RERANKS,
    "audio_seconds": ("audio_hours",),
    "input_audio_seconds": _SECONDS,
    "output_audio_seconds": ("output_audio_hours", "audio_hours"),
    "input_characters": ("input_mchars",),
    "input_text_messages": ("input_text_messages_kcount",),
    "input_pixels": ("input_gpixels",),
    "pages": _PAGES,
    "input_document_pages": _PAGES,
    "input_annotated_document_pages": ("input_annotated_document_kpages", *_PAGES),
}
"""For each thing that is billed by use (`Reading.server_tool_uses`): the units that price it, the first that has a price does.

No count is part of another: pages with annotations are not among the plain ones. What is not here is billed by nobody that we know.
"""

_PER_SUFFIX = {
    "_kcount": 1_000,
    "_kpages": 1_000,
    "_hours": 3_600,
    "_mchars": 1_000_000,
    "_gpixels": 1_000_000_000,
}


def pieces_per_price(fee_unit: str) -> int:
    """Say for how many pieces (uses, seconds, characters) a fee is."""
    return next(
        pieces for suffix, pieces in _PER_SUFFIX.items() if fee_unit.endswith(suffix)
    )


TOKEN_UNITS = frozenset(_TOKENS)
"""All sorts of tokens, the plain ones among them."""
KNOWN = TOKEN_UNITS | {unit for units in FEE_UNITS.values() for unit in units}
"""All units that a call here can be billed by."""
