"""Whether the policies make sense.

What lives here: checks of the section `policies`. What does not: types and unknown keys (`reading.py`), what policies do (`proxy.judge`).
"""

import math
from collections.abc import Collection, Iterator, Sequence
from typing import NoReturn, TypeVar

import msgspec

from proxy.config.reading import shown
from proxy.errors import SettingsError
from proxy.judge.budgets import MAX_LEVELS, BudgetSettings
from proxy.judge.caps import BackstopSettings
from proxy.judge.gate_settings import check_gates
from proxy.judge.loops import (
    MAX_SERIES,
    CycleSettings,
    NoProgressSettings,
    RepeatSettings,
    SameErrorSettings,
)
from proxy.judge.matching import overridden
from proxy.judge.settings import PolicySettings
from proxy.judge.spend_rate import SpendRateSettings
from proxy.judge.tool_call_settings import ToolCallSettings
from proxy.model import is_id

_MAY_BE_ZERO = frozenset({"steps", "tool_calls"})
"""None at all makes sense of these: an agent that shall call no tools."""
_SHARES = frozenset({"warn_share", "window_share"})
_NEEDED = frozenset({"same_seconds", "max_period", "window"})
_GATES = frozenset({"breaker", "rate_gate", "quota_gate"})
_PATTERNS = frozenset({"tenant", "agent", "route", "model"})
_MAX_PATTERN_CHARACTERS = 256
_LEAST_USD = 0.000_001
_MOST_USD = 1_000_000.0
_MOST_COUNT = 10**12
_MOST_SECONDS = 366 * 86_400.0
_MAX_ENTRIES = 1000
_FEWEST_TIMES = 2
_Settings = TypeVar("_Settings", bound=msgspec.Struct)
_Loop = RepeatSettings | CycleSettings | SameErrorSettings | NoProgressSettings


def check_policies(settings: PolicySettings, routes: Collection[str]) -> None:
    """Raise `SettingsError` for the first thing that cannot work; `routes` are the names of those that exist."""
    _check_section("policies", settings, routes)
    check_gates("policies", settings.gates)
    _check_backstop(settings.backstop)
    _check_rates(settings.spend_rate)
    _check_budgets(settings.budgets)
    for name in ("repeat", "cycle", "same_error", "no_progress"):
        _check_loop(f"policies.{name}", getattr(settings, name))
    _check_tool_calls(settings.tool_calls)
    for index, pattern in enumerate(settings.polling_tools):
        _check_pattern(f"policies.polling_tools[{index}]", pattern)


def _check_section(key: str, section: msgspec.Struct, routes: Collection[str]) -> None:
    """Check each value by its name: the same name means the same everywhere."""
    for name in section.__struct_fields__:
        value, here = getattr(section, name), f"{key}.{name}"
        if name in _GATES:
            # Their numbers have rules of their own (`gate_settings.check_gates`).
            _check_list(f"{here}.when", value.when, routes)
        elif isinstance(value, msgspec.Struct):
            _check_section(here, value, routes)
        elif isinstance(value, tuple):
            _check_list(here, value, routes)
        elif name in _PATTERNS and value:
            _check_pattern(here, value)
            if name == "route":
                _check_route(here, value, routes)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            _check_number(here, name, value)


def _check_list(key: str, values: tuple[object, ...], routes: Collection[str]) -> None:
    if len(values) > _MAX_ENTRIES:
        _fail(key, len(values), f"a list of at most {_MAX_ENTRIES}")
    for index, each in enumerate(values):
        if isinstance(each, msgspec.Struct):
            here = f"{key}[{index}]"
            _check_section(here, each, routes)
            if key.endswith(".when"):
                _check_override(here, each)


def _check_number(key: str, name: str, value: float) -> None:
    if name in _SHARES:
        if not (math.isfinite(value) and 0 < value <= 1):
            _fail(key, value, "a share above 0, up to 1, or null for none")
        return
    zero = name in _MAY_BE_ZERO
    if not math.isfinite(value) or value < 0 or (value == 0 and not zero):
        few = "zero or a positive number" if zero else "a positive number"
        _fail(key, value, few if name in _NEEDED else f"{few}, or null for no limit")
    if "usd" in name and value < _LEAST_USD:
        _fail(key, value, f"at least {_LEAST_USD:f} (USD)")
    most = _most(name)
    if value > most:
        _fail(key, value, f"at most {most:.0f}")


def _most(name: str) -> float:
    if "usd" in name:
        return _MOST_USD
    return _MOST_SECONDS if name.endswith("_seconds") else _MOST_COUNT


def _check_pattern(key: str, pattern: str) -> None:
    if not pattern or len(pattern) > _MAX_PATTERN_CHARACTERS or not pattern.isprintable():  # fmt: skip
        _fail(key, pattern, 'a name or a pattern, as "nightly-*"')


def _check_route(key: str, pattern: str, routes: Collection[str]) -> None:
    if pattern not in routes and not set(pattern) & set("*?["):
        _fail(key, pattern, f"a pattern or one of {', '.join(routes)}")


def _check_override(key: str, override: msgspec.Struct) -> None:
    """An override that names nobody is the policy itself, one that names nothing else changes nothing."""
    named = {
        name
        for name in override.__struct_fields__
        if getattr(override, name) not in (msgspec.UNSET, "")
    }
    if not named & _PATTERNS:
        raise SettingsError(
            f"{key}: fits every call; name a tenant, an agent, a route or a model, or set it in {key.rpartition('.when')[0]} itself"
        )
    if named <= _PATTERNS:
        raise SettingsError(f"{key}: changes nothing; give a mode or a limit, as in `mode: enforce`")  # fmt: skip


def _check_backstop(backstop: BackstopSettings) -> None:
    for key, changed in _all("policies.backstop", backstop, backstop.when):
        if changed.mode != "off" and changed.steps is None and changed.cost_usd is None:
            raise SettingsError(
                f"{key}: limits nothing; give steps or cost_usd, or set {key}.mode to off"
            )
        if changed.steps == 0:
            _fail(f"{key}.steps", 0, "a positive number: no run could begin")


def _all(
    key: str, settings: _Settings, when: Sequence[msgspec.Struct]
) -> Iterator[tuple[str, _Settings]]:
    """Give a policy's settings and all that overrides make of them, with their keys."""
    yield key, settings
    for index, each in enumerate(when):
        yield f"{key}.when[{index}]", overridden(settings, each)


def _check_rates(spending: SpendRateSettings) -> None:
    for key, changed in _all("policies.spend_rate", spending, spending.when):
        minute, hour = changed.cost_usd_per_minute, changed.cost_usd_per_hour
        if minute is not None and hour is not None and minute > hour:
            _fail(f"{key}.cost_usd_per_minute", minute, f"at most cost_usd_per_hour ({hour})")  # fmt: skip


def _check_budgets(budgets: tuple[BudgetSettings, ...]) -> None:
    names: dict[str, int] = {}
    for index, budget in enumerate(budgets):
        key = f"policies.budgets[{index}]"
        if not is_id(budget.name):
            _fail(f"{key}.name", budget.name, "1 to 128 characters of A-Z a-z 0-9 . _ : -")  # fmt: skip
        if budget.name in names:
            _fail(f"{key}.name", budget.name, f"a name of its own; policies.budgets[{names[budget.name]}] has this one")  # fmt: skip
        names[budget.name] = index
        if budget.cost_usd is None and budget.tokens is None and budget.steps is None:
            raise SettingsError(f"{key}: has no amount; give cost_usd, tokens or steps")
        if budget.steps == 0:
            _fail(f"{key}.steps", 0, "a positive number, or null for no limit")
        if len(budget.warn_shares) > MAX_LEVELS:
            _fail(f"{key}.warn_shares", budget.warn_shares, f"at most {MAX_LEVELS} shares")  # fmt: skip
        for place, share in enumerate(budget.warn_shares):
            here = f"{key}.warn_shares[{place}]"
            _check_number(here, "warn_share", share)
            if share in budget.warn_shares[:place]:
                _fail(here, share, "a share that is not there twice")


def _check_tool_calls(tool_calls: ToolCallSettings) -> None:
    for key, changed in _all("policies.tool_calls", tool_calls, tool_calls.when):
        if changed.mode != "off" and not changed.problems:
            raise SettingsError(f"{key}: stops nothing; name problems, or set {key}.mode to off")  # fmt: skip


def _check_loop(key: str, loop: _Loop) -> None:
    for here, changed in _all(key, loop, loop.when):
        if changed.mode != "off" and changed.warn is None and changed.block is None:
            raise SettingsError(f"{here}: says nothing; give warn or block, or set {here}.mode to off")  # fmt: skip
        _check_times(here, changed)


def _check_times(key: str, loop: _Loop) -> None:
    warn, block = loop.warn, loop.block
    for name, times in (("warn", warn), ("block", block)):
        if times is not None and times < _FEWEST_TIMES:
            _fail(f"{key}.{name}", times, f"at least {_FEWEST_TIMES}: once is no loop")
    if warn is not None and block is not None and warn > block:
        _fail(f"{key}.warn", warn, f"at most {key}.block ({block})")
    most = max(warn or 0, block or 0)
    if isinstance(loop, CycleSettings):
        if loop.max_period < _FEWEST_TIMES:
            _fail(f"{key}.max_period", loop.max_period, "at least 2: one call again and again is `repeat`")  # fmt: skip
        size, factor = most * loop.max_period, f", times max_period ({loop.max_period})"
    elif isinstance(loop, NoProgressSettings):
        size, factor = most + loop.window, f", with window ({loop.window})"
    else:
        size, factor = most, ""
    # What a step's errors take is reckoned with in the series itself.
    bound = MAX_SERIES // 4 if isinstance(loop, SameErrorSettings) else MAX_SERIES
    if size > bound:
        name = "block" if block is not None else "warn"
        _fail(f"{key}.{name}", most, f"less: at most {bound}{factor}")


def _fail(key: str, value: object, remedy: str) -> NoReturn:
    raise SettingsError(f"{key}: is {shown(key, value)}; it must be {remedy}")
