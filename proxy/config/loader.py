"""Reading the settings: file, then `TACHO_*`, then flags.

What lives here: `load`, and the table of what the environment can override. What does not: types (`structs.py`), checks
(`checks.py`).
"""

import difflib
import os
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from proxy.config.built_in import built_in_routes
from proxy.config.checks import check
from proxy.config.reading import convert, describe, read_yaml, shown
from proxy.config.structs import Settings
from proxy.errors import SettingsError

CONFIG_VARIABLE = "TACHO_CONFIG"
RUN_VARIABLE = "TACHO_RUN"
"""What `tacho run` tells its child; no setting, so that commands within a run work."""
OVERRIDES = {
    "TACHO_LISTEN": "listen",
    "TACHO_LISTEN_TLS_CERT_FILE": "listen_tls.cert_file",
    "TACHO_LISTEN_TLS_KEY_FILE": "listen_tls.key_file",
    "TACHO_ADMIN_LISTEN": "admin.listen",
    "TACHO_ADMIN_TOKEN": "admin.token",
    "TACHO_STORE_LISTEN": "store.listen",
    "TACHO_STORE_READ_TOKEN": "store.read_token",
    "TACHO_STORE_WRITE_TOKEN": "store.write_token",
    "TACHO_DATA_DIR": "data_dir",
    "TACHO_WORKERS": "workers",
    "TACHO_STATE": "state",
    "TACHO_STATE_WAIT_MS": "state_wait_ms",
    "TACHO_INSTANCE": "instance",
    "TACHO_TENANT": "tenant",
    "TACHO_ENV": "env",
    "TACHO_AGENT": "agent",
    "TACHO_SECRET": "secret",
    "TACHO_DEFAULT_ROUTE": "default_route",
    "TACHO_RESPONSE_HEADERS": "response_headers",
    "TACHO_MAX_INFLIGHT": "limits.max_inflight",
    "TACHO_DRAIN_SECONDS": "timeouts.drain_seconds",
    "TACHO_SPOOL_MAX_BYTES": "spool.max_bytes",
    "TACHO_SPOOL_FSYNC": "spool.fsync",
    "TACHO_CLICKHOUSE_URL": "exporters.clickhouse.url",
    "TACHO_CLICKHOUSE_USER": "exporters.clickhouse.user",
    "TACHO_CLICKHOUSE_PASSWORD": "exporters.clickhouse.password",
    "TACHO_CLICKHOUSE_DATABASE": "exporters.clickhouse.database",
    "TACHO_CLICKHOUSE_CLUSTER": "exporters.clickhouse.cluster",
    "TACHO_CLICKHOUSE_CA_FILE": "exporters.clickhouse.ca_file",
    "TACHO_JSONL_DIRECTORY": "exporters.jsonl.directory",
    "TACHO_EGRESS_PROXY": "egress_proxy",
    "TACHO_CA_FILE": "ca_file",
}
"""Each environment variable and the key that it overrides."""
_SERVICE_LINK = re.compile(
    r"TACHO\w*_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)"
)


def environment() -> Mapping[str, str]:
    """Give the process's environment; the one place that touches it."""
    return dict(os.environ)


def load(
    path: str | None, environ: Mapping[str, str], flags: Mapping[str, str] | None = None
) -> Settings:
    """Give the checked settings, or raise `SettingsError`.

    `path` is the file (`None`: `TACHO_CONFIG`, or no file at all); `flags` maps dotted keys (`admin.listen`) to values and
    wins over the environment, which wins over the file.
    """
    path = path or environ.get(CONFIG_VARIABLE) or None
    try:
        document = read_yaml(_read(path)) if path else {}
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error
    overrides = _from_environment(environ, _named_variables(document))
    overrides.update(_from_flags(flags or {}))
    for key, (source, value) in overrides.items():
        _put(document, key, _typed(key, source, value))
    settings = convert(document)
    settings = msgspec.structs.replace(
        settings,
        routes={
            **built_in_routes(
                settings.listen,
                settings.egress_proxy,
                has_clients=bool(settings.clients),
            ),
            **settings.routes,
        },
    )
    check(settings)
    return settings


def as_environment(flags: Mapping[str, str]) -> dict[str, str]:
    """Give flags (dotted keys) as the `TACHO_*` variables by which children get them."""
    variables = {key: variable for variable, key in OVERRIDES.items()}
    return {variables[key]: value for key, value in flags.items()}


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise SettingsError(
            f"the settings file cannot be read: {error.strerror}; correct --config"
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError(
            "the settings file is not UTF-8 text; save it as such"
        ) from error


def _named_variables(document: Mapping[str, Any]) -> frozenset[str]:
    """Give the variables that the file itself names; these may begin with TACHO_, too."""
    named = set()
    for section, field in (("clients", "key_env"), ("routes", "upstream_key_env")):
        entries = document.get(section)
        for entry in entries.values() if isinstance(entries, dict) else ():
            named.add(str(entry.get(field)) if isinstance(entry, dict) else "")
            aws = entry.get("aws") if isinstance(entry, dict) else None
            named.update(map(str, aws.values()) if isinstance(aws, dict) else ())
    return frozenset(named)


def _from_environment(
    environ: Mapping[str, str], named: frozenset[str]
) -> dict[str, tuple[str, str]]:
    """Give key → (variable, value); an unknown `TACHO_*` is refused, what Kubernetes adds for a service of this name is not."""
    found = {}
    for variable, value in environ.items():
        if variable in OVERRIDES:
            found[OVERRIDES[variable]] = (variable, value)
        elif (
            variable.startswith("TACHO_")
            and variable not in (CONFIG_VARIABLE, RUN_VARIABLE)
            and variable not in named
        ):
            if _SERVICE_LINK.fullmatch(variable) or value.startswith(
                ("tcp://", "udp://", "sctp://")
            ):
                continue
            near = difflib.get_close_matches(variable, OVERRIDES, n=1, cutoff=0.6)
            remedy = (
                f"did you mean {near[0]}?"
                if near
                else f"there are {', '.join(OVERRIDES)}"
            )
            raise SettingsError(
                f"{variable}: there is no such environment variable; {remedy}"
            )
    return found


def _from_flags(flags: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Give key → (key, value); only what the environment can override, since children get flags by it."""
    for key in flags:
        if key not in OVERRIDES.values():
            raise SettingsError(
                f"{key}: there is no such flag; there are {', '.join(OVERRIDES.values())}"
            )
    return {key: (key, value) for key, value in flags.items()}


def _typed(key: str, source: str, text: str) -> object:
    """Read an override's text as the type of its key."""
    kind: Any = Settings
    for name in key.split("."):
        fields = msgspec.structs.fields(_struct(kind))
        kind = next(field.type for field in fields if field.name == name)
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError:
        raise SettingsError(
            f"{source}: is {shown(key, text)}; it must be {describe(kind)}"
        ) from None


def _struct(kind: Any) -> type[msgspec.Struct]:
    """Give the struct of a section, which may be optional (`TlsListener | None`)."""
    return getattr(kind, "__args__", (kind,))[0]  # type: ignore[no-any-return]


def _put(document: dict[str, Any], key: str, value: object) -> None:
    """Set a dotted key; a section that is no mapping stays for `convert` to complain about."""
    *sections, last = key.split(".")
    mapping: Any = document
    for name in sections:
        if mapping.get(name) is None:
            mapping[name] = {}
        mapping = mapping[name]
        if not isinstance(mapping, dict):
            return
    mapping[last] = value
