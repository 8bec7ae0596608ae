"""Finds a model in a table that was compiled from genai-prices.

What lives here: the table, and how providers and models are recognised in it (as genai-prices does). What does not: how the table is made
(`cli/price_compiler.py`), what a call costs (`book.py`, `rates.py`).
"""

import re
from datetime import date
from functools import lru_cache
from importlib import resources
from typing import Any

import msgspec

from proxy.meter.rates import PriceLine
from proxy.providers import SELF_HOSTED, price_id

__all__ = ["MODEL_CHARS", "SELF_HOSTED", "Entry", "PriceTable"]

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
    least_seconds: int = 0


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
    instead_of: str = ""


class Entry(msgspec.Struct, frozen=True):
    """A model that was found."""

    id: str
    """The table's own name of it."""
    window: int | None
    prices: list[PriceLine]
    variants: list[PriceLine]
    own: bool
    """Not found through another provider, whose service tiers would not hold here."""
    least_seconds: int = 0
    """Audio is billed as if it lasted so long at least."""


class PriceTable:
    """Says what the table says of a model."""

    def __init__(self, table: _Table) -> None:
        self.version = table.version
        """What `price_version` says of a cost that was computed from it."""
        self.instead_of = table.instead_of
        """The release's own table that this one was downloaded to replace; empty for a release's own."""
        self._providers = {provider.id: provider for provider in table.providers}
        self._models: dict[str, list[_Model]] = {}
        self.find = lru_cache(_LOOKUPS)(self._search)
        """Give what (provider, model) leads to, or `None`."""

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

    def context_window(self, provider: str, model: str) -> int | None:
        """Give how many tokens the model reads at most."""
        entry = self.find(provider, model)
        return entry.window if entry else None

    def model_id(self, provider: str, model: str) -> str | None:
        """Give the table's own name of a model: one of a fixed set, fit for a label."""
        entry = self.find(provider, model)
        return entry.id if entry else None

    def models(self) -> frozenset[str]:
        """Give all names that `model_id` may answer with."""
        return frozenset(
            name.id
            for provider in self._providers.values()
            for name in msgspec.json.decode(provider.models, type=list[_Name])
        )

    def read_whole(self) -> int:
        """Read what is otherwise read when it is first asked for, and give the number of models; raises as `parse`, and `re.error`."""
        models = [m for each in self._providers.values() for m in self._models_of(each)]
        for rule in (
            *(m.match for m in models),
            *(p.match for p in self._providers.values()),
            *(p.models_like for p in self._providers.values()),
        ):
            _matches(rule, "")
        return len(models)

    def names(self) -> dict[str, list[str]]:
        """Give the table's names of all models, by provider."""
        return {
            name: [model.id for model in self._models_of(provider)]
            for name, provider in self._providers.items()
        }

    def _search(self, provider: str, model: str) -> Entry | None:
        name, reference = provider.strip().lower(), model.lower()
        if len(model) > MODEL_CHARS or name in SELF_HOSTED:
            return None
        home = self._provider(price_id(name)) or self._provider(name)
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

    def _search_in(self, home: _Provider, reference: str) -> Entry | None:
        others = (
            self._providers[name]
            for name in home.falls_back_to
            if name in self._providers
        )
        for provider in (home, *others):
            for model in self._models_of(provider):
                if _matches(model.match, reference):
                    return Entry(
                        model.id,
                        model.window,
                        model.prices,
                        model.variants,
                        provider is home,
                        model.least_seconds,
                    )
        return None

    def _models_of(self, provider: _Provider) -> list[_Model]:
        models = self._models.get(provider.id)
        if models is None:
            models = self._models[provider.id] = msgspec.json.decode(
                provider.models, type=list[_Model]
            )
        return models


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
