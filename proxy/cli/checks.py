"""What `tacho check` looks at.

What lives here: the checks, and the plan that the settings amount to, without secrets. What does not: how they are shown
(`check.py`), the checks of single values (`proxy/config.py`).
"""

import os
import ssl
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from proxy.config import MEMORY, Settings, environment, parse_address, read_keys
from proxy.control import canonical, socket_path
from proxy.control_client import real_path
from proxy.errors import TachoError
from proxy.preflight import few_files_warning, raise_file_limit, require_c_parser
from proxy.pricing import build_book, find_table
from proxy.supervise.listeners import DataDirLock, bind

REDIS_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Result:
    """One check and what came of it."""

    name: str
    ok: bool
    detail: str


def run_all(settings: Settings) -> list[Result]:
    """Do all checks; none changes anything."""
    return [_result(name, check) for name, check in _checks(settings)]


def _checks(settings: Settings) -> Iterator[tuple[str, Callable[[], str]]]:
    yield (
        "data directory",
        partial(_directory, Path(settings.data_dir).absolute(), "data_dir"),
    )
    running = _is_running(Path(settings.data_dir).absolute())
    yield "data port", partial(_port, settings.listen, "listen", running)
    yield "admin port", partial(_port, settings.admin.listen, "admin.listen", running)
    if settings.exporters.clickhouse.url == "embedded":
        yield (
            "store port",
            partial(_port, settings.store.listen, "store.listen", running),
        )
    yield "HTTP parser", _c_parser
    yield "open files", _files
    if settings.listen_tls is not None:
        yield (
            "listener TLS",
            partial(
                _certificate,
                settings.listen_tls.cert_file,
                settings.listen_tls.key_file,
            ),
        )
    for key, path in _authorities(settings):
        yield key, partial(_authority, path)
    if settings.clients or any(
        route.upstream_key_env or route.sign for route in settings.routes.values()
    ):
        yield "keys", partial(_keys, settings)
    if settings.state != MEMORY:
        yield "redis", partial(_redis, settings.state)
    if settings.prices:
        yield "prices", partial(_prices, settings)
    if settings.exporters.jsonl.directory:
        yield (
            "exporters.jsonl.directory",
            partial(
                _directory,
                Path(settings.exporters.jsonl.directory).absolute(),
                "exporters.jsonl.directory",
            ),
        )


def _result(name: str, check: Callable[[], str]) -> Result:
    try:
        return Result(name, True, check())
    except (TachoError, OSError, ssl.SSLError) as error:
        return Result(name, False, str(error))


def _redis(url: str) -> str:
    import asyncio

    from proxy.state.redis_place import place_of

    try:
        place = place_of(url)
    except ValueError as error:
        raise TachoError(f"state must be {error}") from error

    async def ask() -> None:
        connection = place.connection()
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                await connection.connect()
                await connection.send_packed_command(connection.pack_commands([("PING",)]))  # fmt: skip
                await connection.read_response()
        finally:
            await connection.disconnect(nowait=True)

    try:
        asyncio.run(ask())
    except (
        Exception
    ) as error:  # the client's errors have no common base, and may quote the URL
        raise TachoError(
            f"{place.name} does not answer ({type(error).__name__}); calls would be in no run unless they name one: start it, or correct state"
        ) from error
    return f"{place.name} answers"


def _directory(path: Path, key: str) -> str:
    place = next(parent for parent in (path, *path.parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise TachoError(
            f"{path} cannot be written: {error.strerror}; correct its permissions or {key}"
        ) from error
    return f"{path} is writable" if place == path else f"{path} will be made"


def _prices(settings: Settings) -> str:
    table, trouble = find_table(settings.data_dir)
    build_book(settings, table)
    rules = len(settings.prices)
    used = f"{rules} {'rule changes' if rules == 1 else 'rules change'} {table.version}"
    return f"{used}; {trouble}" if trouble else used


def _is_running(data_dir: Path) -> bool:
    """Tell whether an instance holds this data directory, whose ports are then rightly in use."""
    if not any(
        real_path(canonical(socket_path(data_dir, name))).exists()
        for name in ("tacho", "tacho-export")
    ):
        return False
    try:
        DataDirLock(data_dir, ("proxy", "export")).close()
    except TachoError:
        return True
    return False


def _port(text: str, key: str, running: bool) -> str:
    address = parse_address(text)
    try:
        bind(address, key).close()
    except TachoError:
        if running:
            return f"{address} is in use, and an instance is running on this data directory"
        raise
    return f"{address} is free"


def _c_parser() -> str:
    require_c_parser()
    return "aiohttp's C parser is in use"


def _files() -> str:
    limit = raise_file_limit()
    return few_files_warning(limit) or f"{limit} may be open"


def _certificate(cert_file: str, key_file: str) -> str:
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert_file, key_file)
    return f"{cert_file} and its key fit"


def _authority(path: str) -> str:
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    return f"{path} can be read"


def _keys(settings: Settings) -> str:
    keys = read_keys(settings, environment())
    return f"{len(keys.clients)} of clients and {len(keys.upstream) + len(keys.aws)} of upstreams are set"


def _authorities(settings: Settings) -> Iterator[tuple[str, str]]:
    named = [
        ("ca_file", settings.ca_file),
        ("exporters.clickhouse.ca_file", settings.exporters.clickhouse.ca_file),
    ]
    named += [
        (f"routes.{name}.ca_file", route.ca_file)
        for name, route in settings.routes.items()
    ]
    yield from ((key, path) for key, path in named if path)


def plan(settings: Settings) -> dict[str, Any]:
    """Say what would run, without secrets."""
    clickhouse, jsonl = settings.exporters.clickhouse, settings.exporters.jsonl
    exporters = [
        "clickhouse (embedded)"
        if clickhouse.url == "embedded"
        else f"clickhouse ({bare_url(clickhouse.url)})"
    ] * bool(clickhouse.url)
    exporters += [f"jsonl ({jsonl.directory})"] * bool(jsonl.directory)
    routes = sorted(settings.routes.items())
    return {
        "listen": f"{'http' if settings.listen_tls is None else 'https'}://{settings.listen}",
        "admin": f"http://{settings.admin.listen}",
        "store": f"http://{settings.store.listen}"
        if clickhouse.url == "embedded"
        else None,
        "data_dir": os.path.abspath(settings.data_dir),
        "workers": settings.workers,
        "state": bare_url(settings.state),
        "exporters": exporters,
        "routes": [
            {"name": name, "kind": route.kind, "url": bare_url(route.url)}
            for name, route in routes
        ],
    }


def bare_url(url: str) -> str:
    """Leave out what may be secret: user, password, query."""
    parts = urlsplit(url)
    return parts._replace(
        netloc=parts.netloc.rpartition("@")[2], query="", fragment=""
    ).geturl()
