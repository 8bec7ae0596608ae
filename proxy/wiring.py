"""What the phases get of the settings: each its own small part, in its own words.

What lives here: translating settings into the phases' option types. What does not: reading settings (`config/`), making the
objects that use them (`worker.py`).
"""

import re
import socket
import ssl
from collections.abc import Callable, Iterable
from functools import partial

from proxy.accept.clients import ClientKey, Clients
from proxy.accept.detours import OWN_KEY, Detour
from proxy.accept.routes import Route, RouteTable
from proxy.arriving import Installation
from proxy.call import Snapshot
from proxy.config import MEMORY, Keys, RouteSettings, Secrets, Settings
from proxy.errors import SettingsError, StartError
from proxy.forward.agent import PortLimits
from proxy.forward.origin import Limits
from proxy.govern.governor import Governor, Outside
from proxy.http.base_url import parse_base_url
from proxy.http.sigv4 import Credentials, Signer
from proxy.identify.hashing import key
from proxy.judge.claims import Phase, Turned
from proxy.judge.lines import Terms
from proxy.meter.dialects import DIALECTS
from proxy.model import Client, Kind
from proxy.providers import Provider, find, of_host
from proxy.record.batches import SpoolOptions
from proxy.runs import RunBook
from proxy.state import State
from proxy.state.memory import MemoryState

_DIALECTS = tuple(dialect.name for dialect in DIALECTS)
_AWS_HOST = re.compile(
    r"([a-z0-9-]+\.)+?(?P<region>[a-z]{2,4}(-[a-z]+)+-\d+)\.(vpce\.)?(amazonaws\.com(\.cn)?|api\.aws)"
)
_MANTLE = "bedrock-mantle"
_SESSION_TTL_US = 24 * 3_600_000_000
"""A client's session may pause for a night; what it has used is not forgotten."""
_MODEL_KINDS = ("llm", "embedding")


def build_snapshot(settings: Settings, keys: Keys, secrets: Secrets) -> Snapshot:
    """Give what requests see of the settings."""
    routes = [_route(name, each) for name, each in settings.routes.items()]
    clients = [
        ClientKey(
            keys.clients[name],
            Client(
                name,
                each.tenant or settings.tenant,
                each.agent,
                frozenset(each.may_set),
            ),
            frozenset(each.routes),
        )
        for name, each in settings.clients.items()
    ]
    return Snapshot(
        routes=RouteTable(routes, settings.default_route),
        clients=Clients(clients, keys.upstream, secrets.secret),
        limits={
            name: _limits(settings, each) for name, each in settings.routes.items()
        },
        request_buffer_bytes=settings.limits.request_buffer_bytes,
        request_buffers_total_bytes=settings.limits.request_buffers_total_bytes,
        max_inflight=settings.limits.max_inflight,
        signers={
            name: _signer(settings.routes[name], credentials)
            for name, credentials in keys.aws.items()
        },
        detours=_detours(settings, routes, keys),
        retries={
            name: each.retries
            for name, each in settings.routes.items()
            if each.retries is not None
        },
    )


def _detours(
    settings: Settings, routes: Iterable[Route], keys: Keys
) -> dict[str, tuple[Detour, ...]]:
    by_name = {route.name: route for route in routes}
    return {
        name: tuple(
            Detour(by_name[other.route], other.key, other.models, keys.upstream.get(other.route, "").encode() if other.key == OWN_KEY else b"")
            for other in each.fallback
        )
        for name, each in settings.routes.items()
        if each.fallback
    }  # fmt: skip


def installed(settings: Settings, secrets: Secrets) -> Installation:
    """Give what rows and names have of this installation."""
    return Installation(
        settings.instance or socket.gethostname(),
        settings.tenant,
        settings.env,
        settings.agent,
        secrets.secret,
    )


def run_state(
    settings: Settings,
    seed: int,
    book: RunBook,
    turned: Callable[[Turned], None] = lambda turned: None,
    met: Callable[[int, Phase], None] = lambda key, phase: None,
) -> State:
    """Give who remembers runs, and have it tell `book` of each that ends, `turned` and `met` of breakers; `seed` keys the names under which others keep it."""
    most, idle_us = settings.runs.max_live, round(settings.runs.idle_seconds * 1e6)
    if settings.state == MEMORY:
        return MemoryState(
            most, idle_us, book.ended, settings.limits.max_accounts, turned
        )
    # Its client takes a tenth of a second to import, and most installations have none.
    from proxy.state.redis_asked import Patience
    from proxy.state.redis_place import place_of
    from proxy.state.redis_state import redis_state

    try:
        place = place_of(settings.state)
    except ValueError as error:
        raise SettingsError(f"state: it must be memory, or {error}") from error
    patience = Patience(wait_seconds=settings.state_wait_ms / 1000)
    shared = redis_state(
        seed, place, most, idle_us, book.ended, patience, turned=turned, met=met
    )
    book.purse = shared
    return shared


def governor_of(
    settings: Settings, seed: int, state: State, outside: Outside
) -> Governor:
    """Give who asks the policies."""
    return Governor(settings.policies, terms_of(settings, seed), seed, state, outside)


def terms_of(settings: Settings, seed: int) -> Terms:
    """Give what policies need beside their own settings."""
    run_ttl_us = round(settings.runs.idle_seconds * 1e6)
    return Terms(partial(key, seed), run_ttl_us, max(run_ttl_us, _SESSION_TTL_US))


def _signer(each: RouteSettings, credentials: Credentials) -> Signer:
    """Read what the settings leave out from hosts like `bedrock-runtime.eu-west-1.amazonaws.com`."""
    host = parse_base_url(each.url).host.removesuffix(".")
    service, region = each.aws.service, each.aws.region
    found = _AWS_HOST.fullmatch(host)
    mantle = host.startswith(_MANTLE + ".")
    return Signer(
        credentials,
        service or (_MANTLE if mantle else "bedrock"),
        region or (found["region"] if found else ""),
    )


def _route(name: str, each: RouteSettings) -> Route:
    base = parse_base_url(each.url)
    known = _provider(name, each, base.host)
    if each.dialect not in ("", *_DIALECTS):
        raise SettingsError(
            f"routes.{name}.dialect: {each.dialect!r} is none; one of {', '.join(_DIALECTS)}, or empty to recognise it"
        )
    return Route(
        name=name,
        base=base,
        kind=Kind(each.kind),
        provider=each.provider or (known.name if known else name),
        dialect=each.dialect,
        stream_usage=each.stream_usage or (known.stream_usage if known else "estimate"),
        websocket=each.websocket,
        allow_link_local=each.allow_link_local,
        ca_file=each.ca_file,
        signs=bool(each.sign),
    )


def _provider(name: str, each: RouteSettings, host: str) -> Provider | None:
    """Give the provider that a route to models names, by itself or by its host; an unknown name of its own is respected."""
    if each.kind not in _MODEL_KINDS:
        return None
    return find(each.provider) if each.provider else find(name) or of_host(host)


def _limits(settings: Settings, each: RouteSettings) -> Limits:
    times = settings.timeouts
    return Limits(
        connect_seconds=each.connect_timeout_seconds or times.connect_seconds,
        first_byte_seconds=each.first_byte_timeout_seconds or times.first_byte_seconds,
        idle_seconds=each.idle_timeout_seconds or times.idle_seconds,
        max_head_bytes=settings.limits.max_response_header_bytes,
    )


def port_limits(settings: Settings) -> PortLimits:
    limits, times = settings.limits, settings.timeouts
    return PortLimits(
        max_header_line_bytes=limits.max_header_line_bytes,
        max_header_bytes=limits.max_header_bytes,
        max_headers=limits.max_headers,
        keepalive_seconds=times.keepalive_seconds,
        body_idle_seconds=times.body_idle_seconds,
        write_stall_seconds=times.write_stall_seconds,
    )


def spool_options(settings: Settings) -> SpoolOptions:
    s = settings.spool
    return SpoolOptions(
        max_bytes=s.max_bytes,
        segment_bytes=s.segment_bytes,
        segment_seconds=s.segment_seconds,
        fsync=s.fsync,
        fsync_interval_seconds=s.fsync_interval_seconds,
        wait_ms=s.wait_ms,
        min_free_bytes=s.min_free_bytes,
    )


def egress_proxy(settings: Settings) -> tuple[str, int] | None:
    if not settings.egress_proxy:
        return None
    base = parse_base_url(settings.egress_proxy)
    return base.host, base.port


def listener_tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.listen_tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(
            settings.listen_tls.cert_file, settings.listen_tls.key_file
        )
    except (OSError, ssl.SSLError) as error:
        raise StartError(
            f"listen_tls: {settings.listen_tls.cert_file} and its key cannot be used: {error}"
        ) from error
    return context
