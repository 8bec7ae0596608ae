"""Finds what a model costs, in a table that was compiled from genai-prices.

What lives here: the table, how providers and models are recognised in it (as genai-prices does), and the price of last resort. What
does not: how the table is made (`scripts/compile_prices.py`) and the arithmetic (`rates.py`).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from importlib import resources
from typing import Any

import msgspec

from proxy.meter.rates import PriceLine, Rates, Schedule, cost_of
from proxy.model import Cost, CostSource, Usage

SELF_HOSTED = frozenset(
    {
        "vllm",
        "llama.cpp",
        "llama_cpp",
        "llamacpp",
        "ollama",
        "lmstudio",
        "sglang",
        "tgi",
    }
)
"""Nobody bills these by the token: the same model's price elsewhere would be a wrong one."""

MODEL_CHARS = 256
"""A longer model name is not looked up."""

_LOOKUPS = 4096
_COMPACT_DATE = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")

Rule = Any
"""A string marked `=` (equals), `^` (starts), `$` (ends), `*` (contains) or `~` (expression); a list (any of); `{"all": …}`."""


class _Model(msgspec.Struct, frozen=True):
    id: str
    match: Rule = msgspec.field(name="is")
    window: int | None = None
    prices: list[PriceLine] = []
    variants: list[PriceLine] = []


class _Provider(msgspec.Struct, frozen=True):
    id: str
    models: msgspec.Raw
    """Read when the provider is first asked for: most never are."""
    match: Rule = msgspec.field(name="is", default=None)
    models_like: Rule = None
    falls_back_to: list[str] = []


class _Name(msgspec.Struct, frozen=True):
    id: str


class _Table(msgspec.Struct, frozen=True):
    version: str
    providers: list[_Provider]


class _Entry(msgspec.Struct, frozen=True):
    """A model that was found."""

    id: str
    window: int | None
    schedule: Schedule
    own: bool
    """Not found through another provider, whose service tiers would not hold here."""


class PriceTable:
    """Prices each call once, exactly, and says by which table."""

    def __init__(self, table: _Table) -> None:
        self.version = table.version
        """What `price_version` says of a cost that was computed here."""
        self._providers = {provider.id: provider for provider in table.providers}
        self._models: dict[str, list[_Model]] = {}
        self._find = lru_cache(_LOOKUPS)(self._search)

    @classmethod
    def parse(cls, data: bytes) -> "PriceTable":
        """Read a table; raises `msgspec.DecodeError` for anything else."""
        return cls(msgspec.json.decode(data, type=_Table))

    @classmethod
    def load(cls) -> "PriceTable":
        """Read the table that this release came with."""
        return cls.parse(
            resources.files("proxy.meter").joinpath("price_table.json").read_bytes()
        )

    def price(
        self,
        provider: str,
        model: str,
        usage: Usage,
        at_us: int,
        service_tier: str = "",
        uses: Sequence[tuple[str, int]] = (),
    ) -> Cost:
        """Price a usage at a moment; `unpriced` where the model is not known.

        `uses` are the server-run tools of `Reading.server_tool_uses`.
        """
        entry = self._find(provider, model)
        if entry is None:
            return Cost(source=CostSource.UNPRICED)
        rates = entry.schedule.rates(at_us, _context(service_tier) if entry.own else {})
        return cost_of(usage, rates, uses, CostSource.COMPUTED, self.version)

    def context_window(self, provider: str, model: str) -> int | None:
        """Give how many tokens the model reads at most."""
        entry = self._find(provider, model)
        return entry.window if entry else None

    def model_id(self, provider: str, model: str) -> str | None:
        """Give the table's own name of a model: one of a fixed set, fit for a label."""
        entry = self._find(provider, model)
        return entry.id if entry else None

    def models(self) -> frozenset[str]:
        """Give all names that `model_id` may answer with."""
        return frozenset(
            name.id
            for provider in self._providers.values()
            for name in msgspec.json.decode(provider.models, type=list[_Name])
        )

    def _search(self, provider: str, model: str) -> _Entry | None:
        name, reference = provider.strip().lower(), model.lower()
        if len(model) > MODEL_CHARS or name in SELF_HOSTED:
            return None
        home = self._provider(name)
        if home is None:
            home, reference = self._guess(reference)
        if home is None:
            return None
        return self._search_in(home, reference) or self._search_in(
            home, _with_dashed_date(reference)
        )

    def _provider(self, name: str) -> _Provider | None:
        return self._providers.get(name) or next(
            (p for p in self._providers.values() if _matches(p.match, name)), None
        )

    def _guess(self, reference: str) -> tuple[_Provider | None, str]:
        """Find whose model it is where the route does not say: by the prefix of gateways, else by the name itself."""
        prefix, _, rest = reference.partition("/")
        if rest and prefix in self._providers:
            return self._providers[prefix], rest
        return next(
            (p for p in self._providers.values() if _matches(p.models_like, reference)),
            None,
        ), reference

    def _search_in(self, home: _Provider, reference: str) -> _Entry | None:
        others = (
            self._providers[name]
            for name in home.falls_back_to
            if name in self._providers
        )
        for provider in (home, *others):
            for model in self._models_of(provider):
                if _matches(model.match, reference):
                    schedule = Schedule(model.prices, model.variants)
                    return _Entry(model.id, model.window, schedule, provider is home)
        return None

    def _models_of(self, provider: _Provider) -> list[_Model]:
        models = self._models.get(provider.id)
        if models is None:
            models = self._models[provider.id] = msgspec.json.decode(
                provider.models, type=list[_Model]
            )
        return models


def assumed(
    usage: Usage, input_usd_per_mtok: float, output_usd_per_mtok: float
) -> Cost:
    """Price a usage whose model nobody knows, by the settings' rates for all input and all output."""
    return cost_of(
        usage,
        _assumed_rates(input_usd_per_mtok, output_usd_per_mtok),
        (),
        CostSource.ASSUMED,
        "assumed",
    )


@lru_cache(16)
def _assumed_rates(input_usd_per_mtok: float, output_usd_per_mtok: float) -> Rates:
    return Rates.read(
        {"input": repr(input_usd_per_mtok), "output": repr(output_usd_per_mtok)}
    )


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


def _matches(rule: Rule, text: str) -> bool:
    if isinstance(rule, str):
        return _matches_one(rule[0], rule[1:], text)
    if isinstance(rule, list):
        return any(_matches(inner, text) for inner in rule)
    return rule is not None and all(_matches(inner, text) for inner in rule["all"])


def _matches_one(mark: str, pattern: str, text: str) -> bool:
    match mark:
        case "=":
            return text == pattern
        case "^":
            return text.startswith(pattern)
        case "$":
            return text.endswith(pattern)
        case "*":
            return pattern in text
        case _:
            return re.search(pattern, text) is not None


def _with_dashed_date(reference: str) -> str:
    """Write the date of `gpt-5.2-20251211`, as gateways name it, as `gpt-5.2-2025-12-11`."""
    return _COMPACT_DATE.sub(_dashed, reference)


def _dashed(found: re.Match[str]) -> str:
    year, month, day = found.groups()
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return found[0]
    return f"-{year}-{month}-{day}"
