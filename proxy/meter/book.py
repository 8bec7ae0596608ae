"""What a call costs in this installation: the price table, what the settings change about it, and what is done about unknown models.

What lives here: which terms hold for a call, and the name of those terms (`price_version`). What does not: the table (`prices.py`), changes
(`terms.py`), the sum (`rates.py`), sharing out a provider's own total (`shares.py`).

Of the rules the first that fits counts, alone: no two are added up, so that an invoice can be checked by hand. Terms that a rule changed
have a version of their own, since `price_version`, provider and model together say what was paid.

A self-hosted model (vLLM, Ollama, ...) without a rule is `unpriced`, its cost NULL. Nobody bills it by the token: what another host takes
for the same model, or the rates for unknown models, would be a large wrong number that looks like money, and zero would say that the
hardware is free. A rule can price it. It is no unknown model: no event, no refusal.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Literal

import msgspec

from proxy.meter.prices import Entry, PriceTable
from proxy.meter.rates import Billed, PriceLine, Schedule, cost_of, cost_of_text
from proxy.meter.terms import Change, Place, Rule
from proxy.model import Cost, CostSource
from proxy.providers import SELF_HOSTED

_LOOKUPS = 4096
PROVIDER_VERSION = "provider"
"""The `price_version` of a total that the provider itself has told."""
_SECONDS = "audio_seconds"
_NOTHING = Cost().parts()


class Unpriced(msgspec.Struct, frozen=True):
    """What becomes of a model that has no price; rates are dollars for a million tokens."""

    policy: Literal["assume", "allow", "block"] = "assume"
    input_usd: str = "5"
    output_usd: str = "25"

    @property
    def version(self) -> str:
        """Name the rates themselves: they come from the settings, and those may change."""
        return f"assumed-{_plain(self.input_usd)}-{_plain(self.output_usd)}"


class Terms(msgspec.Struct, frozen=True):
    """What holds for a model at one place."""

    source: CostSource
    version: str = ""
    """Empty where nothing is priced."""
    known_as: str = ""
    """The table's own name of the model; empty where it is not in there."""
    prices: list[PriceLine] = []
    variants: list[PriceLine] = []
    least_seconds: int = 0
    is_unknown: bool = False
    """Nobody knows its price, and somebody will ask for it."""

    def as_json(self) -> str:
        """Write them down for whoever reads the bill later."""
        said: dict[str, object] = {
            "model": self.known_as,
            "prices": self.prices,
            "variants": self.variants,
        }
        if self.least_seconds:
            said["least_seconds"] = self.least_seconds
        return msgspec.json.encode({k: v for k, v in said.items() if v}).decode()


class PriceBook:
    """Prices each call once, exactly, and says by which terms."""

    def __init__(
        self,
        table: PriceTable,
        rules: Sequence[Rule] = (),
        unpriced: Unpriced | None = None,
    ) -> None:
        self.table = table
        self._rules = tuple(rules)
        self.unpriced = unpriced or Unpriced()
        self._assumed = Terms(
            CostSource.ASSUMED,
            self.unpriced.version,
            prices=[
                PriceLine(
                    {
                        "input": self.unpriced.input_usd,
                        "output": self.unpriced.output_usd,
                    }
                )
            ],
            is_unknown=True,
        )
        self._assumed_schedule = Schedule(self._assumed.prices, ())
        self._at = lru_cache(_LOOKUPS)(self._look_up)

    def terms(self, place: Place) -> Terms:
        """Say what holds for a call."""
        return self._at(place)[0]

    def price(self, place: Place, billed: Billed) -> Cost:
        """Price an answer; NULL where the terms name no price for anything that it is billed for."""
        terms, schedule = self._at(place)
        if schedule is None:
            return Cost(source=terms.source)
        if terms.least_seconds:
            billed = _lengthened(billed, terms.least_seconds)
        rates = schedule.rates(billed.at_us, _context(billed.service_tier))
        cost = cost_of(billed, rates, terms.source, terms.version)
        if cost.parts() == _NOTHING:
            return Cost(source=CostSource.UNPRICED)
        return cost

    def price_of_text(self, place: Place, at_us: int, service_tier: str, input_tokens: int, output_tokens: int) -> tuple[int, int]:  # fmt: skip
        """Give what an input and an output of text cost, in pico-dollars; 0 where the terms name no price."""
        _, schedule = self._at(place)
        if schedule is None:
            return 0, 0
        rates = schedule.rates(at_us, _context(service_tier))
        return cost_of_text(input_tokens, output_tokens, rates)

    def assume(self, billed: Billed) -> Cost:
        """Price an answer as if nobody knew its model."""
        rates = self._assumed_schedule.rates(billed.at_us, {})
        return cost_of(billed, rates, CostSource.ASSUMED, self._assumed.version)

    def _look_up(self, place: Place) -> tuple[Terms, Schedule | None]:
        terms = self._terms(place)
        if terms.source is CostSource.UNPRICED:
            return terms, None
        return terms, Schedule(terms.prices, terms.variants)

    def _terms(self, place: Place) -> Terms:
        entry = self.table.find(place.provider, place.model)
        known_as = entry.id if entry else ""
        rule = next((each for each in self._rules if each.fits(place, known_as)), None)
        if entry is not None:
            return _of_table(entry, self.table.version, rule.change if rule else None)
        if rule is not None and rule.change.usd:
            lines = rule.change.lines(())
            version = f"settings+{rule.change.tag}"
            return Terms(CostSource.COMPUTED, version, prices=lines)
        if place.provider.strip().lower() in SELF_HOSTED:
            return Terms(CostSource.UNPRICED)
        if self.unpriced.policy == "allow":
            return Terms(CostSource.UNPRICED, is_unknown=True)
        # What `block` could not refuse (the request named no model) is not free either.
        return self._assumed


def _of_table(entry: Entry, version: str, change: Change | None) -> Terms:
    prices, variants = entry.prices, entry.variants if entry.own else []
    if change is not None:
        version = f"{version}+{change.tag}"
        prices, variants = change.lines(prices), change.variants(variants)
    return Terms(
        CostSource.COMPUTED,
        version,
        entry.id,
        prices,
        variants,
        entry.least_seconds,
    )


def _lengthened(billed: Billed, least_seconds: int) -> Billed:
    """Bill short audio as if it were longer, as genai-prices does for Groq; none at all stays none."""
    uses = tuple(
        (name, max(count, least_seconds) if count and _SECONDS in name else count)
        for name, count in billed.uses
    )
    return msgspec.structs.replace(billed, uses=uses)


def _context(service_tier: str) -> Mapping[str, str]:
    """Say in genai-prices' words what a service tier means: batch and fast mode are told apart from tiers there."""
    if not service_tier:
        return {}
    context = {"service_tier": service_tier}
    if service_tier == "batch":
        context["processing"] = "batch"
    if service_tier == "fast":
        context["speed"] = "fast"
    return context


def _plain(usd: str) -> str:
    return format(Decimal(usd).normalize(), "f")
