"""What types cannot say: whether the settings make sense together.

What lives here: checks that need nothing but the settings and files that they name. What does not: routes and clients
(`route_checks.py`, `fallback_checks.py`), prices (`price_checks.py`), policies (`policy_checks.py`), who keeps the state (`state_checks.py`), whether a port is free or a directory writable (that shows at the start).
"""

import math
import re
from collections.abc import Iterator
from typing import NoReturn

import msgspec

from proxy.config.addresses import Address, parse_address
from proxy.config.fallback_checks import check_fallbacks
from proxy.config.policy_checks import check_policies
from proxy.config.price_checks import check_prices
from proxy.config.reading import shown
from proxy.config.route_checks import check_clients, check_routes
from proxy.config.state_checks import check_state
from proxy.config.structs import Settings
from proxy.errors import SettingsError
from proxy.http.base_url import parse_authority, parse_base_url
from proxy.model import is_id

_MAY_BE_ZERO = frozenset(
    {
        "timeouts.drain_seconds",
        "spool.wait_ms",
        "spool.min_free_bytes",
        "unpriced.input_usd_per_mtok",
        "unpriced.output_usd_per_mtok",
    }
)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_MIN_SECRET_CHARACTERS = 16
_MAX_NAME_CHARACTERS = 128
_EGRESS_PREFIX = "http://"


def check(settings: Settings) -> None:
    """Raise `SettingsError` for the first thing that cannot work."""
    _check_numbers(settings)
    _check_listeners(settings)
    check_state(settings)
    _check_names(settings)
    _check_secrets(settings)
    check_routes(settings)
    check_fallbacks(settings)
    check_clients(settings)
    check_prices(settings)
    check_policies(settings.policies, settings.routes)
    _check_destinations(settings)
    _check_files(settings)
    _check_sizes(settings)


def fail(key: str, value: object, remedy: str) -> NoReturn:
    """Refuse a value."""
    raise SettingsError(f"{key}: is {shown(key, value)}; it must be {remedy}")


def numbers(
    section: msgspec.Struct, path: str = ""
) -> Iterator[tuple[str, int | float]]:
    """Give dotted key and value of each number in the settings."""
    for name, value in msgspec.structs.asdict(section).items():
        yield from _numbers_of(value, f"{path}.{name}" if path else name)


def _numbers_of(value: object, path: str) -> Iterator[tuple[str, int | float]]:
    if isinstance(value, msgspec.Struct):
        yield from numbers(value, path)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _numbers_of(item, f"{path}.{name}")
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _numbers_of(item, f"{path}[{index}]")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value


def _check_numbers(settings: Settings) -> None:
    for key, value in numbers(settings):
        if key.startswith("policies."):
            continue  # they have rules of their own
        zero = key in _MAY_BE_ZERO or key.startswith("prices[")
        if not math.isfinite(value) or value < 0 or (value == 0 and not zero):
            fail(
                key, value, "zero or a positive number" if zero else "a positive number"
            )


def _check_listeners(settings: Settings) -> None:
    listen = _address("listen", settings.listen)
    admin = _address("admin.listen", settings.admin.listen)
    store = _address("store.listen", settings.store.listen)
    taken: dict[Address, str] = {}
    for key, address in (
        ("listen", listen),
        ("admin.listen", admin),
        ("store.listen", store),
    ):
        if address.port and address in taken:
            fail(
                key,
                str(address),
                f"an address of its own; {taken[address]} has this one",
            )
        taken[address] = key
    if not listen.is_loopback() and not settings.clients:
        fail(
            "listen",
            settings.listen,
            "a loopback address as long as no client keys are set up; add `clients:`",
        )
    if not admin.is_loopback() and not settings.admin.token:
        fail(
            "admin.listen",
            settings.admin.listen,
            "a loopback address without a token; set TACHO_ADMIN_TOKEN",
        )
    if not store.is_loopback() and not (
        settings.store.read_token and settings.store.write_token
    ):
        remedy = "a loopback address without tokens; set TACHO_STORE_READ_TOKEN and TACHO_STORE_WRITE_TOKEN"
        fail("store.listen", settings.store.listen, remedy)


def _address(key: str, text: str) -> Address:
    try:
        return parse_address(text)
    except ValueError as error:
        fail(key, text, str(error))


def _check_names(settings: Settings) -> None:
    if not is_id(settings.tenant):
        fail("tenant", settings.tenant, "1 to 128 characters of A-Z a-z 0-9 . _ : -")
    for key, name in (
        ("env", settings.env),
        ("agent", settings.agent),
        ("instance", settings.instance),
    ):
        if not name.isprintable() or len(name) > _MAX_NAME_CHARACTERS:
            fail(key, name, "at most 128 printable characters")
    for made, name in settings.agents.rename.items():
        if not 0 < len(name) <= _MAX_NAME_CHARACTERS or not name.isprintable():
            fail(f"agents.rename.{made}", name, "1 to 128 printable characters")
    if not settings.data_dir or "\0" in settings.data_dir:
        fail("data_dir", settings.data_dir, "a directory's path")


def _check_secrets(settings: Settings) -> None:
    if settings.secret and len(settings.secret) < _MIN_SECRET_CHARACTERS:
        fail(
            "secret",
            settings.secret,
            "at least 16 characters, for example of `openssl rand -hex 32`",
        )
    tokens = {
        "admin.token": settings.admin.token,
        "store.read_token": settings.store.read_token,
        "store.write_token": settings.store.write_token,
    }
    for key, token in tokens.items():
        if not token.isascii() or not token.isprintable() or " " in token:
            fail(
                key,
                token,
                "printable ASCII without spaces, since it travels in a header",
            )
    if (
        settings.store.read_token
        and settings.store.read_token == settings.store.write_token
    ):
        fail("store.write_token", "", "another one than store.read_token")


def _check_destinations(settings: Settings) -> None:
    clickhouse = settings.exporters.clickhouse
    if clickhouse.url not in ("", "embedded"):
        try:
            parse_base_url(clickhouse.url)
        except ValueError as error:
            remedy = f"embedded, or the URL of a server: {error}"
            fail("exporters.clickhouse.url", clickhouse.url.rpartition("@")[2], remedy)
    for key, name in (
        ("database", clickhouse.database),
        ("cluster", clickhouse.cluster or "_"),
    ):
        if _IDENTIFIER.fullmatch(name) is None:
            fail(
                f"exporters.clickhouse.{key}",
                name,
                "an SQL name: letters, digits and _",
            )
    if settings.egress_proxy:
        authority = (
            settings.egress_proxy.removeprefix(_EGRESS_PREFIX)
            .rstrip("/")
            .rpartition("@")[2]
        )
        try:
            _, port = parse_authority(authority)
        except ValueError:
            port = None
        if not port or not settings.egress_proxy.startswith(_EGRESS_PREFIX):
            fail("egress_proxy", settings.egress_proxy, "http://HOST:PORT")


def _check_files(settings: Settings) -> None:
    files = {
        "ca_file": settings.ca_file,
        "exporters.clickhouse.ca_file": settings.exporters.clickhouse.ca_file,
        **{
            f"routes.{name}.ca_file": route.ca_file
            for name, route in settings.routes.items()
        },
    }
    if settings.listen_tls is not None:
        files["listen_tls.cert_file"] = settings.listen_tls.cert_file or "''"
        files["listen_tls.key_file"] = settings.listen_tls.key_file or "''"
    for key, path in files.items():
        if path:
            _check_file(key, path)


def _check_file(key: str, path: str) -> None:
    try:
        with open(path, "rb") as file:
            text = file.read()
    except (OSError, ValueError):
        fail(key, path, "a file that can be read")
    if b"-----BEGIN " not in text:
        fail(key, path, "a PEM file")


def _check_sizes(settings: Settings) -> None:
    limits, spool = settings.limits, settings.spool
    if limits.request_buffer_bytes > limits.request_buffers_total_bytes:
        remedy = f"at most limits.request_buffers_total_bytes ({limits.request_buffers_total_bytes})"
        fail("limits.request_buffer_bytes", limits.request_buffer_bytes, remedy)
    if spool.segment_bytes > spool.max_bytes:
        fail(
            "spool.segment_bytes",
            spool.segment_bytes,
            f"at most spool.max_bytes ({spool.max_bytes})",
        )
