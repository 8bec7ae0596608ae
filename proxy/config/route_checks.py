"""Whether routes and clients make sense."""

import re
from typing import NoReturn

from proxy.config.reading import shown
from proxy.config.structs import AwsSigning, ClientSettings, RouteSettings, Settings
from proxy.errors import SettingsError
from proxy.http.base_url import parse_base_url
from proxy.model import is_id

RESERVED_ROUTES = frozenset({"tenant", "agent", "run", "tacho"})
_ROUTE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_WORD = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MAX_AGENT_CHARACTERS = 128


def check_routes(settings: Settings) -> None:
    """Raise `SettingsError` for the first route that cannot work."""
    for name, route in settings.routes.items():
        if name in RESERVED_ROUTES:
            _fail(
                f"routes.{name}",
                name,
                f"another name: {', '.join(sorted(RESERVED_ROUTES))} are reserved",
            )
        if _ROUTE_NAME.fullmatch(name) is None:
            _fail(
                f"routes.{name}",
                name,
                "lowercase letters, digits, _ and -, a letter or digit first",
            )
        _check_route(f"routes.{name}", route)
    default = settings.default_route
    if default and default not in settings.routes:
        _fail("default_route", default, f"one of {', '.join(settings.routes)}")


def _check_route(key: str, route: RouteSettings) -> None:
    try:
        parse_base_url(route.url)
    except ValueError as error:
        # What stands before an @ would be a password; what follows a ? may be a key.
        _fail(f"{key}.url", route.url.rpartition("@")[2].partition("?")[0], str(error))
    for field, word in (("provider", route.provider), ("dialect", route.dialect)):
        if word and _WORD.fullmatch(word) is None:
            _fail(f"{key}.{field}", word, "lowercase letters, digits, . _ and -")
    if route.upstream_key_env and _VARIABLE.fullmatch(route.upstream_key_env) is None:
        _fail(
            f"{key}.upstream_key_env",
            "",
            "the name of an environment variable, not the key itself",
        )
    _check_signing(key, route)


def _check_signing(key: str, route: RouteSettings) -> None:
    aws = route.aws
    if aws != AwsSigning() and not route.sign:
        raise SettingsError(
            f"{key}.aws: is for routes that sign; set {key}.sign to aws"
        )
    for field, word in (("region", aws.region), ("service", aws.service)):
        if word and _WORD.fullmatch(word) is None:
            _fail(f"{key}.aws.{field}", word, "lowercase letters, digits and -")
    for field in ("access_key_id_env", "secret_access_key_env", "session_token_env"):
        if _VARIABLE.fullmatch(getattr(aws, field)) is None:
            _fail(
                f"{key}.aws.{field}",
                "",
                "the name of an environment variable, not the key itself",
            )


def check_clients(settings: Settings) -> None:
    """Raise `SettingsError` for the first client that cannot work."""
    for name, client in settings.clients.items():
        if not is_id(name):
            _fail(f"clients.{name}", name, "1 to 128 characters of A-Z a-z 0-9 . _ : -")
        _check_client(f"clients.{name}", client, settings)


def _check_client(key: str, client: ClientSettings, settings: Settings) -> None:
    if _VARIABLE.fullmatch(client.key_env) is None:
        _fail(
            f"{key}.key_env",
            "",
            "the name of an environment variable, not the key itself",
        )
    if client.tenant and not is_id(client.tenant):
        _fail(
            f"{key}.tenant", client.tenant, "1 to 128 characters of A-Z a-z 0-9 . _ : -"
        )
    if not client.agent.isprintable() or len(client.agent) > _MAX_AGENT_CHARACTERS:
        _fail(f"{key}.agent", client.agent, "at most 128 printable characters")
    for route in client.routes:
        if route not in settings.routes:
            _fail(
                f"{key}.routes",
                route,
                f"routes that exist: {', '.join(settings.routes)}",
            )


def _fail(key: str, value: str, remedy: str) -> NoReturn:
    is_hidden = key.endswith("_env")
    raise SettingsError(
        f"{key}: is {'not that' if is_hidden else shown('', value)}; it must be {remedy}"
    )
