"""Keys that the settings name by environment variable.

What lives here: reading them. What does not: what they open (`accept/clients.py`). Only the worker and `tacho check` read them,
since the exporter's container need not have them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.config.structs import AwsSigning, Settings
from proxy.errors import SettingsError
from proxy.http.sigv4 import Credentials


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys themselves; never shown."""

    clients: Mapping[str, str] = field(repr=False)
    """Client's name → its key."""
    upstream: Mapping[str, str] = field(repr=False)
    """Route's name → the key that replaces a client key; only routes that have one."""
    aws: Mapping[str, Credentials] = field(default_factory=dict, repr=False)
    """Route's name → the key that signs its requests; only routes that sign."""


def read_keys(settings: Settings, environ: Mapping[str, str]) -> Keys:
    """Read all keys; `SettingsError` for a variable that is not set, or two clients with the same key."""
    clients: dict[str, str] = {}
    for name, client in settings.clients.items():
        key = _read(f"clients.{name}.key_env", client.key_env, environ)
        if key in clients.values():
            raise SettingsError(
                f"clients.{name}.key_env: another client has the same key; give each its own"
            )
        clients[name] = key
    upstream = {
        name: _read(f"routes.{name}.upstream_key_env", route.upstream_key_env, environ)
        for name, route in settings.routes.items()
        if route.upstream_key_env
    }
    aws = {
        name: _read_aws(f"routes.{name}.aws", route.aws, environ)
        for name, route in settings.routes.items()
        if route.sign == "aws"
    }
    return Keys(clients, upstream, aws)


def _read_aws(path: str, named: AwsSigning, environ: Mapping[str, str]) -> Credentials:
    variable = named.session_token_env
    optional = variable == AwsSigning().session_token_env and not environ.get(variable)
    return Credentials(
        _read(f"{path}.access_key_id_env", named.access_key_id_env, environ),
        _read(f"{path}.secret_access_key_env", named.secret_access_key_env, environ),
        "" if optional else _read(f"{path}.session_token_env", variable, environ),
    )


def _read(path: str, variable: str, environ: Mapping[str, str]) -> str:
    key = environ.get(variable, "").strip()
    if not key:
        raise SettingsError(
            f"{path}: the environment variable {variable} is not set; set it to the key"
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise SettingsError(
            f"{path}: {variable} holds a space, or what is not ASCII; a key has neither"
        )
    return key
