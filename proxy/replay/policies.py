"""Which policies recorded calls can be held against, and what has to be said of the others.

What lives here: turning the settings of policies into those that a replay asks, and what it leaves out. What does not: asking (`replayer.py`).

The replay lets every policy observe: an observing policy finds what an enforcing one would refuse, and what follows from it is the replay's
own. Rows hold no bodies and no results, so that policies which read these are off.
"""

from typing import Literal, TypeVar

import msgspec
from msgspec.structs import replace

from proxy.judge.matching import ModeName
from proxy.judge.periods import DAY_US, HOUR_US, month_of
from proxy.judge.settings import PolicySettings

_Settings = TypeVar("_Settings", bound=msgspec.Struct)
_OFF: ModeName = "off"
_LEFT_OUT = (
    "same_error",
    "no_progress",
    "breaker",
    "rate_gate",
    "quota_gate",
    "tool_calls",
)
_LIMITING = ("backstop", "caps", "repeat", "cycle")
Reading = Literal["all", "enforced"]
"""Whether policies that only observe are taken as if they enforced, or count for nothing."""


def asked(settings: PolicySettings, reading: Reading) -> PolicySettings:
    """Give the settings by which a replay asks."""
    modes: dict[object, ModeName] = {
        "off": _OFF,
        "observe": "observe" if reading == "all" else _OFF,
        "enforce": "observe",
    }
    changed: dict[str, object] = {
        name: _moded(getattr(settings, name), modes) for name in _LIMITING
    }
    for name in _LEFT_OUT:
        changed[name] = replace(getattr(settings, name), mode=_OFF, when=())
    changed["budgets"] = tuple(_moded(each, modes) for each in settings.budgets)
    rate = _moded(settings.spend_rate, modes)
    # Each call gets a body of its own in a replay: none is ever asked again.
    when = tuple(replace(each, same_requests=None) for each in rate.when)
    changed["spend_rate"] = replace(rate, same_requests=None, when=when)
    return replace(settings, **changed, strict=False)


def left_out(settings: PolicySettings) -> list[str]:
    """Name what the settings switch on and no replay can tell."""
    names = [name for name in _LEFT_OUT if _is_on(getattr(settings, name))]
    rate = settings.spend_rate
    limits = [rate.same_requests, *(each.same_requests for each in rate.when)]
    if _is_on(rate) and any(limits):
        names.append("spend_rate.same_requests")
    return [*names, "strict"] if settings.strict else names


def begin_us(settings: PolicySettings, since_us: int) -> int:
    """Say from when on calls must be known for the accounts that live by the clock to be right at a time."""
    periods = {each.period for each in settings.budgets if each.mode != _OFF}
    if "month" in periods:
        day = since_us // DAY_US
        month = month_of(day)[0]
        while month_of(day - 1)[0] == month:
            day -= 1
        return day * DAY_US
    length = DAY_US if "day" in periods else HOUR_US
    return since_us // length * length


def _moded(section: _Settings, modes: dict[object, ModeName]) -> _Settings:
    """Give a policy with other modes, also where a `when` names one."""
    changed: dict[str, object] = {}
    mode = getattr(section, "mode", msgspec.UNSET)
    if mode is not msgspec.UNSET:
        changed["mode"] = modes[mode]
    if hasattr(section, "when"):
        changed["when"] = tuple(_moded(each, modes) for each in section.when)
    return replace(section, **changed)


def _is_on(section: msgspec.Struct) -> bool:
    places = (section, *getattr(section, "when", ()))
    return any(getattr(each, "mode", _OFF) not in (_OFF, msgspec.UNSET) for each in places)  # fmt: skip
