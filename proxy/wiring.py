"""What the phases get of the settings: each its own small part, in its own words.

What lives here: translating settings into the phases' option types. What does not: reading settings (`config/`), making the
objects that use them (`worker.py`).
"""

import ssl

from proxy.accept.clients import ClientKey, Clients
from proxy.accept.routes import Route, RouteTable
from proxy.call import Snapshot
from proxy.config import Keys, RouteSettings, Secrets, Settings
from proxy.errors import SettingsError, StartError
from proxy.forward.agent import PortLimits
from proxy.forward.origin import Limits
from proxy.http.base_url import parse_base_url
from proxy.meter.dialects import DIALECTS
from proxy.model import Client, Kind
from proxy.record.batches import SpoolOptions

_DIALECTS = tuple(dialect.name for dialect in DIALECTS)
_INJECTORS = frozenset({"openai", "azure", "vllm", "llama.cpp"})
"""Providers whose chat streams carry usage only when asked, and who understand the question."""


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
    )


def _route(name: str, each: RouteSettings) -> Route:
    provider = each.provider or name
    if each.dialect not in ("", *_DIALECTS):
        raise SettingsError(
            f"routes.{name}.dialect: {each.dialect!r} is none; one of {', '.join(_DIALECTS)}, or empty to recognise it"
        )
    usage = each.stream_usage or ("inject" if provider in _INJECTORS else "estimate")
    return Route(
        name=name,
        base=parse_base_url(each.url),
        kind=Kind(each.kind),
        provider=provider,
        dialect=each.dialect,
        stream_usage=usage,
        websocket=each.websocket,
        allow_link_local=each.allow_link_local,
        ca_file=each.ca_file,
    )


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
