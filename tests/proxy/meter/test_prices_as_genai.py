"""Our price of any answer is genai-prices' price, part by part, to the pico-dollar: every model, sort of token, fee, moment and tier."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from genai_prices.data import providers as theirs_all
from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

from proxy.meter.book import PriceBook
from proxy.meter.prices import PriceTable
from proxy.meter.rates import DETAIL_UNITS, Billed
from proxy.meter.terms import Place
from proxy.model import Usage
from tests.helpers import theirs

BUCKETS = Usage.__struct_fields__
MOMENTS = (
    datetime(2026, 11, 20, 12, tzinfo=UTC),
    datetime(2026, 11, 20, 2, 30, tzinfo=UTC),
    datetime(2025, 1, 1, tzinfo=UTC),
    datetime(2030, 6, 1, 16, 30, tzinfo=UTC),
)
TIERS: dict[str, dict[str, str]] = {
    "": {},
    "batch": {"service_tier": "batch", "processing": "batch"},
    "fast": {"service_tier": "fast", "speed": "fast"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "default": {"service_tier": "default"},
    "unheard_of": {"service_tier": "unheard_of"},
}
SIZES = (1, 7, 999, 128_000, 200_001, 1_234_567)
_SECONDS = ("audio_seconds", "input_audio_seconds", "output_audio_seconds")


def models() -> Iterator[tuple[Provider, ModelInfo, str]]:
    """Give every model under a name by which its provider finds it."""
    for provider in theirs_all:
        for model in provider.models:
            if provider.find_model(model.id, all_providers=theirs_all) is model:
                yield provider, model, model.id


def prices_of(model: ModelInfo) -> list[ModelPrice]:
    if isinstance(model.prices, ModelPrice):
        return [model.prices]
    return [line.prices for line in model.prices]


class Mix:
    """What an answer might be billed for, in our words and in theirs."""

    def __init__(self, dice: random.Random, model: ModelInfo) -> None:
        chosen = dice.sample(BUCKETS, dice.randint(1, len(BUCKETS)))
        self.buckets = {name: dice.choice(SIZES) for name in chosen}
        self.near_a_step(dice, model)
        self.details = [
            (
                name,
                dice.randint(0, self.buckets[BUCKETS[bucket]] // 50 + 1),
                BUCKETS[bucket],
            )
            for name, (bucket, _) in dice.sample(sorted(DETAIL_UNITS.items()), 12)
            if self.buckets.get(BUCKETS[bucket], 0) > 50
        ]
        names = [name for name in theirs.OF_USE if name not in _SECONDS]
        self.uses = {name: dice.choice(SIZES) for name in dice.sample(names, 4)}
        self.uses[dice.choice(_SECONDS[:2])] = dice.choice((0, 3, 10, 11, 3601))
        self.at = dice.choice(MOMENTS)
        self.tier = dice.choice(list(TIERS))

    def near_a_step(self, dice: random.Random, model: ModelInfo) -> None:
        """Let all input be at a step of this model's prices, or one token beyond it."""
        starts = {
            tier.start
            for price in prices_of(model)
            for rate in vars(price).values()
            if isinstance(rate, TieredPrices)
            for tier in rate.tiers
        }
        if starts and dice.random() < 0.7:
            ins = [b for b in BUCKETS if b not in ("output", "reasoning", "audio_out")]
            rest = sum(self.buckets.get(name, 0) for name in ins if name != "input")
            aim = dice.choice(sorted(starts)) + dice.choice((0, 1))
            if aim > rest:
                self.buckets["input"] = aim - rest

    def billed(self) -> Billed:
        return Billed(
            Usage(**self.buckets),
            tuple((name, count) for name, count, _ in self.details),
            tuple(self.uses.items()),
            int(self.at.timestamp()) * 1_000_000,
            self.tier,
        )


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook(PriceTable.load())


def assert_as_theirs(book: PriceBook, provider: Any, model: Any, name: str, mix: Mix):
    ours = book.price(Place(provider.id, name), mix.billed())
    said = theirs.atoms(mix.buckets, mix.details, mix.uses)
    expected = theirs.cost(provider, model, said, mix.at, TIERS[mix.tier])
    found = dict(zip(theirs.PARTS, ours.parts(), strict=True))
    assert {part: found[part] or 0 for part in found} == {
        part: expected.get(part, 0) for part in theirs.PARTS
    }, (provider.id, name, vars(mix))
    assert ours.total() == sum(expected.values())


def test_every_model_costs_what_genai_prices_says(book: PriceBook):
    dice = random.Random(7)
    checked = 0
    for provider, model, name in models():
        if provider.id in ("openai", "google", "anthropic") or dice.random() < 0.2:
            assert_as_theirs(book, provider, model, name, Mix(dice, model))
            checked += 1
    assert checked > 500


def test_every_model_with_variants_costs_what_genai_prices_says(book: PriceBook):
    dice = random.Random(8)
    for provider, model, name in models():
        if model.price_variants:
            assert_as_theirs(book, provider, model, name, Mix(dice, model))


def test_every_unit_with_a_price_has_been_checked(book: PriceBook):
    """Each model with a rare unit, with all its counts at once."""
    common = {"input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok"}
    dice = random.Random(9)
    seen: set[str] = set()
    for provider, model, name in models():
        rare = (
            {unit for price in prices_of(model) for unit in vars(price)} - common - seen
        )
        if rare:
            seen |= rare
            for _ in range(5):
                assert_as_theirs(book, provider, model, name, Mix(dice, model))
    assert len(seen) > 15


@pytest.mark.big
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(2))
def test_all_models_cost_what_genai_prices_says_for_many_mixes(
    book: PriceBook, seed: int
):
    dice = random.Random(seed)
    for provider, model, name in models():
        for _ in range(10):
            assert_as_theirs(book, provider, model, name, Mix(dice, model))
