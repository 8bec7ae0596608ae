"""The price book of this installation: which table, and what the settings change about it.

What lives here: finding the table (a release's own, or a newer one that `tacho prices update` has put into the data directory) and
translating the settings' rules. What does not: fetching tables (`cli/price_update.py`), pricing (`meter/`).

A downloaded table stands in for the table of the release that it was made under. After an upgrade the release's own is most likely
the newer one, so the downloaded one is left alone until the next update, and that is said.
"""

import logging
import re
from decimal import Decimal
from pathlib import Path

import msgspec

from proxy.config import PriceRule, Settings
from proxy.errors import SettingsError
from proxy.meter.book import PriceBook, Unpriced
from proxy.meter.prices import PriceTable
from proxy.meter.terms import Change, Place, Rule
from proxy.providers import SELF_HOSTED
from proxy.units import TOKEN_UNITS

BROKEN = (msgspec.MsgspecError, re.error, ValueError, KeyError, TypeError)
"""What reading a table raises that is none."""

_ALL_TOKENS = frozenset({"input", "output"})


def table_path(data_dir: str) -> Path:
    """Say where a downloaded table is."""
    return Path(data_dir) / "prices" / "price_table.json"


def find_table(
    data_dir: str, current: PriceTable | None = None
) -> tuple[PriceTable, str]:
    """Give the table to use, and why it is not the downloaded one, if there is one.

    A downloaded file that cannot be used leaves `current`, or the release's own.
    """
    path = table_path(data_dir)
    shipped = PriceTable.load()
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return shipped, ""
    except OSError as error:
        reason = f"{path} cannot be read ({error.strerror}); its owner must be who runs the proxy"
        return current or shipped, reason
    try:
        table = checked_table(data)
    except BROKEN as error:
        reason = f"{path} is no price table ({error}); run `tacho prices update` again, or delete it"
        return current or shipped, reason
    if table.instead_of != shipped.version:
        reason = f"{path} was downloaded under another release, whose prices may be older; run `tacho prices update`"
        return shipped, reason
    return table, ""


def checked_table(data: bytes) -> PriceTable:
    """Read a table, all of it; raises one of `BROKEN`."""
    if not PriceTable.parse(data).read_whole():
        raise ValueError("it has no models")
    return PriceTable.parse(data)


def find_book(
    settings: Settings, logger: logging.Logger, current: PriceTable | None = None
) -> PriceBook:
    """Give the book of the table to use, as `find_table` says; a table that is not used is logged. May raise `SettingsError`."""
    table, trouble = find_table(settings.data_dir, current)
    if trouble:
        logger.error("price_table_refused", extra={"detail": {"reason": trouble}})
    return build_book(settings, table)


def build_book(settings: Settings, table: PriceTable) -> PriceBook:
    """Give the book that the settings make of a table; `SettingsError` for a rule that would give tokens away."""
    for index, rule in enumerate(settings.prices):
        _check_rates(f"prices[{index}]", rule, table)
    said = settings.unpriced
    unpriced = Unpriced(
        said.policy, _text(said.input_usd_per_mtok), _text(said.output_usd_per_mtok)
    )
    return PriceBook(table, [_rule(each) for each in settings.prices], unpriced)


def _check_rates(key: str, said: PriceRule, table: PriceTable) -> None:
    """Refuse rates of some tokens that leave all others free: for a model that is in no table, they are all there is."""
    units = said.rates.keys() & TOKEN_UNITS
    if not units or units & _ALL_TOKENS or _is_in_table(said, table):
        return
    raise SettingsError(
        f"{key}.rates: names {', '.join(sorted(units))} alone, and no table has the model {said.model}:"
        " all other tokens would be free; give input and output, too, in USD for a million tokens"
    )


def _is_in_table(said: PriceRule, table: PriceTable) -> bool:
    """Whether a table may have a model that a rule is for; a pattern is looked for under all providers, for some have models of others."""
    if said.provider.lower() in SELF_HOSTED:
        return False
    names = table.names()
    providers = [said.provider] if said.provider else names
    if any(table.find(provider, said.model) for provider in providers):
        return True
    rule = Rule(Change(), model=said.model)
    known = (name for each in names.values() for name in each)
    return any(rule.fits(Place("", name), name) for name in known)


def _rule(said: PriceRule) -> Rule:
    change = Change(
        {unit: _text(usd) for unit, usd in said.rates.items()}, _text(said.multiply)
    )
    return Rule(change, said.provider, said.model, said.tenant, said.route)


def _text(number: float) -> str:
    """Write a number as it stood in the settings, without exponent."""
    return format(Decimal(repr(number)).normalize(), "f")
