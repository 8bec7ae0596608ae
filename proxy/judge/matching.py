"""Whom a policy concerns: patterns for tenant, agent, route and model, and settings that differ for some.

What lives here: patterns, and the settings that hold for a call. What does not: the settings themselves (each policy's file).
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Literal, Protocol, TypeVar

import msgspec

from proxy.model import Kind

ModeName = Literal["off", "observe", "enforce"]


class Site(msgspec.Struct, frozen=True, gc=False):
    """What of a call decides which limits hold for it; many calls share one."""

    tenant: str
    agent: str
    caller: str
    route: str
    model: str
    kind: Kind
    is_retry: bool = False
    has_body: bool = True
    """Whether the request was read."""


class Where(Protocol):
    """Shell-style patterns; an empty one fits everything."""

    @property
    def tenant(self) -> str: ...
    @property
    def agent(self) -> str: ...
    @property
    def route(self) -> str: ...
    @property
    def model(self) -> str: ...


_Settings = TypeVar("_Settings", bound=msgspec.Struct)


def fits(where: Where, site: Site) -> bool:
    """Tell whether all patterns fit; upper and lower case differ."""
    return (
        _fits(where.tenant, site.tenant)
        and _fits(where.agent, site.agent)
        and _fits(where.route, site.route)
        and _fits(where.model, site.model)
    )


def effective(settings: _Settings, when: Sequence[Where], site: Site) -> _Settings:
    """Give the settings as they hold for a site: of `when` the first that fits counts, alone; what it does not name stays."""
    for each in when:
        if fits(each, site):
            return overridden(settings, each)
    return settings


def overridden(settings: _Settings, where: object) -> _Settings:
    """Give settings with what an override names."""
    named = {
        name: value
        for name in settings.__struct_fields__
        if (value := getattr(where, name, msgspec.UNSET)) is not msgspec.UNSET
    }
    return msgspec.structs.replace(settings, **named)


def _fits(pattern: str, value: str) -> bool:
    return not pattern or fnmatchcase(value, pattern)
