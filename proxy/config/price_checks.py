"""Whether the rules about prices make sense."""

import difflib
from typing import NoReturn

from proxy.config.reading import shown
from proxy.config.structs import PriceRule, Settings
from proxy.errors import SettingsError
from proxy.model import is_id
from proxy.units import KNOWN

_MAX_PATTERN_CHARACTERS = 256
_MOST_USD = 1_000_000.0
_MOST_TIMES = 1_000.0


def check_prices(settings: Settings) -> None:
    """Raise `SettingsError` for the first rule that cannot work; that numbers are none or negative was checked before."""
    for index, rule in enumerate(settings.prices):
        _check_rule(f"prices[{index}]", rule, settings)


def _check_rule(key: str, rule: PriceRule, settings: Settings) -> None:
    if not rule.rates and rule.multiply == 1.0:
        raise SettingsError(
            f"{key}: changes nothing; give rates, as in `rates: {{input: 2.0, output: 8.0}}`, or `multiply: 0.8`"
        )
    for unit, usd in rule.rates.items():
        if unit not in KNOWN:
            near = difflib.get_close_matches(unit, sorted(KNOWN), n=3, cutoff=0.5)
            known = near or ["input", "output", "cache_read", "cache_write"]
            _fail(f"{key}.rates", unit, f"a unit of prices, as {', '.join(known)}")
        if usd > _MOST_USD:
            _fail(f"{key}.rates.{unit}", usd, f"at most {_MOST_USD:.0f} (USD)")
    if rule.multiply > _MOST_TIMES:
        _fail(f"{key}.multiply", rule.multiply, f"at most {_MOST_TIMES:.0f}")
    if not rule.model or len(rule.model) > _MAX_PATTERN_CHARACTERS:
        _fail(f"{key}.model", rule.model, 'a model\'s name or a pattern, as "gpt-4o*"')
    if rule.tenant and not is_id(rule.tenant):
        _fail(
            f"{key}.tenant", rule.tenant, "1 to 128 characters of A-Z a-z 0-9 . _ : -"
        )
    if rule.route and rule.route not in settings.routes:
        _fail(f"{key}.route", rule.route, f"one of {', '.join(settings.routes)}")


def _fail(key: str, value: object, remedy: str) -> NoReturn:
    raise SettingsError(f"{key}: is {shown(key, value)}; it must be {remedy}")
