"""Whether a route's fallbacks and retries make sense.

What lives here: that a fallback can take the route's calls, and that no key goes where it was not meant for. What does not: when one is
taken (`proxy/fallbacks.py`).
"""

from typing import NoReturn

from proxy.config.reading import shown
from proxy.config.structs import FallbackSettings, RouteSettings, Settings
from proxy.errors import SettingsError
from proxy.http.base_url import BaseUrl, parse_base_url
from proxy.judge.retries import MOST_RETRIES, MOST_WAIT_SECONDS, RetrySettings
from proxy.providers import of_host

_OF_MODELS = ("llm", "embedding")
_MAX_NAME_CHARACTERS = 256


def check_fallbacks(settings: Settings) -> None:
    """Raise `SettingsError` for the first fallback or retry that cannot work."""
    for name, route in settings.routes.items():
        taken: set[str] = set()
        for index, other in enumerate(route.fallback):
            key = f"routes.{name}.fallback[{index}]"
            if other.route in taken:
                _fail(f"{key}.route", other.route, "a route that is not there twice")
            taken.add(other.route)
            _check(key, name, route, other, settings)
        if route.retries is not None:
            _check_retries(f"routes.{name}.retries", route.retries)


def _check(
    key: str,
    name: str,
    route: RouteSettings,
    other: FallbackSettings,
    settings: Settings,
) -> None:
    target = settings.routes.get(other.route)
    if target is None:
        _fail(f"{key}.route", other.route, f"one of {', '.join(settings.routes)}")
    if other.route == name:
        _fail(f"{key}.route", other.route, "another route")
    if route.kind not in _OF_MODELS:
        raise SettingsError(f"{key}: is for routes to models; routes.{name}.kind is {route.kind}")  # fmt: skip
    if target.kind != route.kind:
        _fail(f"{key}.route", other.route, f"a route of kind {route.kind}; this one's is {target.kind}")  # fmt: skip
    if route.dialect and target.dialect and route.dialect != target.dialect:
        _fail(f"{key}.route", other.route, f"a route of the dialect {route.dialect}; this one's is {target.dialect}")  # fmt: skip
    _check_key(f"{key}.key", route, other, target)
    for model, there in other.models.items():
        here = f"{key}.models.{model}"
        if not _is_name(model) or not _is_name(there):
            _fail(here, there, "the names of two models, or * for all others")


def _check_key(
    key: str, route: RouteSettings, other: FallbackSettings, target: RouteSettings
) -> None:
    if other.key == "own" and not (target.upstream_key_env or target.sign):
        raise SettingsError(
            f"{key}: is own, but routes.{other.route} has no key: set routes.{other.route}.upstream_key_env, or set {key} to "
            "none for an upstream that asks for none, or to agent for another host of the same provider"
        )
    if other.key == "agent":
        first, second = parse_base_url(route.url), parse_base_url(target.url)
        if not _is_same_provider(first, second):
            _fail(key, "agent", "own or none: the agent's credential was not meant for that host")  # fmt: skip


def _is_same_provider(first: BaseUrl, second: BaseUrl) -> bool:
    if first.scheme == "https" != second.scheme:
        return False
    known = of_host(first.host)
    is_known = known is not None and of_host(second.host) is known
    return is_known or first.host == second.host


def _check_retries(key: str, retries: RetrySettings) -> None:
    """What is not positive has been refused with all other numbers."""
    if retries.most > MOST_RETRIES:
        _fail(f"{key}.most", retries.most, f"at most {MOST_RETRIES}")
    if retries.max_wait_seconds > MOST_WAIT_SECONDS:
        _fail(f"{key}.max_wait_seconds", retries.max_wait_seconds, f"at most {MOST_WAIT_SECONDS:g}")  # fmt: skip
    if retries.budget_percent > 100:
        _fail(f"{key}.budget_percent", retries.budget_percent, "at most 100")


def _is_name(text: str) -> bool:
    return bool(text) and text.isprintable() and len(text) <= _MAX_NAME_CHARACTERS


def _fail(key: str, value: object, remedy: str) -> NoReturn:
    raise SettingsError(f"{key}: is {shown('', value)}; it must be {remedy}")
