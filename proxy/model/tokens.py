"""Token counts and what they cost."""

import msgspec

from proxy.model.words import CostSource

PICO_PER_USD = 10**12
"""Money is an integer number of pico-dollars (1e-12 USD) until it is written as a decimal."""


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Token counts in disjoint buckets; `None` means that nobody said, never zero.

    All input is the sum of the input buckets, all output the sum of the output ones.
    """

    input: int | None = None
    """Uncached text input."""
    cache_read: int | None = None
    cache_write: int | None = None
    """Written to the cache with the short lifetime."""
    cache_write_long: int | None = None
    """Written with the long lifetime (Anthropic 1 h, OpenAI 12 h)."""
    output: int | None = None
    """Visible output."""
    reasoning: int | None = None
    audio_in: int | None = None
    audio_out: int | None = None
    image_in: int | None = None

    def __post_init__(self) -> None:
        """Refuse negative counts."""
        for count in msgspec.structs.astuple(self):
            if count is not None and count < 0:
                raise ValueError("token counts are never negative")

    def buckets(self) -> tuple[int | None, ...]:
        """Give the nine buckets in the order of the fields."""
        return msgspec.structs.astuple(self)

    def __add__(self, other: "Usage") -> "Usage":
        """Add bucket by bucket; unknown plus known is known."""
        return Usage(
            *(_add(a, b) for a, b in zip(self.buckets(), other.buckets(), strict=True))
        )

    def total(self) -> int:
        """Give the sum of all known buckets."""
        return sum(filter(None, self.buckets()))


def _add(a: int | None, b: int | None) -> int | None:
    if a is None:
        return b
    return a if b is None else a + b


class Cost(msgspec.Struct, frozen=True, omit_defaults=True):
    """Pico-dollars (1e-12 USD) by part; the total is their sum. `None` everywhere when `source` is `unpriced`."""

    source: CostSource | None = None
    """`None` where there was nothing to price (a tool call, a refusal)."""
    input: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    output: int | None = None
    reasoning: int | None = None
    other: int | None = None
    """Fees: server tools, per-request charges."""
    rate_input: int | None = None
    """Pico-dollars per uncached input token, rounded half-even."""
    price_version: str = ""

    def total(self) -> int | None:
        """Give the sum of the parts, or `None` when nothing is priced."""
        parts = [p for p in self.parts() if p is not None]
        return sum(parts) if parts else None

    def parts(self) -> tuple[int | None, ...]:
        """Give the six parts in the order of the fields."""
        return (
            self.input,
            self.cache_read,
            self.cache_write,
            self.output,
            self.reasoning,
            self.other,
        )
