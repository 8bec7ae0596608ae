"""What the phases get of the settings."""

import ssl

import pytest

from proxy.accept.refusal import Refusal
from proxy.config import (
    ClientSettings,
    Keys,
    LimitSettings,
    RouteSettings,
    Secrets,
    Settings,
    SpoolSettings,
    TimeoutSettings,
)
from proxy.config.structs import TlsListener
from proxy.errors import SettingsError, StartError
from proxy.http.headers import Headers
from proxy.model import ANONYMOUS
from proxy.wiring import (
    build_snapshot,
    egress_proxy,
    listener_tls,
    port_limits,
    spool_options,
)
from tests.helpers.tls import AUTHORITY, CERTIFICATE, KEY

NO_KEYS = Keys({}, {})
SECRETS = Secrets(b"secret", "read", "write")


def route(**fields):
    settings = Settings(routes={"r": RouteSettings("https://up.test/base", **fields)})
    return build_snapshot(settings, NO_KEYS, SECRETS).routes.routes["r"]


def test_a_route_leads_where_its_url_says():
    found = route(
        websocket=True, allow_link_local=True, ca_file="x", dialect="plain_http"
    )
    assert (found.base.host, found.base.port, found.base.path) == (
        "up.test",
        443,
        b"/base",
    )
    assert (found.websocket, found.allow_link_local, found.ca_file) == (True, True, "x")
    assert (found.kind, found.dialect, found.provider) == ("llm", "plain_http", "r")  # fmt: skip


def test_a_dialect_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(SettingsError, match=r"routes\.r\.dialect: 'd' .*openai_chat"):
        route(dialect="d")


@pytest.mark.parametrize(
    ("fields", "usage"),
    [
        ({"provider": "openai"}, "inject"),
        ({"provider": "azure"}, "inject"),
        ({"provider": "vllm"}, "inject"),
        ({"provider": "llama.cpp"}, "inject"),
        ({"provider": "mistral"}, "estimate"),
        ({}, "estimate"),
        ({"provider": "openai", "stream_usage": "off"}, "off"),
        ({"provider": "mistral", "stream_usage": "inject"}, "inject"),
    ],
)
def test_usage_is_asked_for_only_of_providers_that_understand_the_question(
    fields, usage
):
    assert route(**fields).stream_usage == usage


def test_a_routes_own_times_come_before_those_of_all():
    settings = Settings(
        routes={
            "own": RouteSettings("http://a", "llm", "", "", "", False, False, "", "", 1, 2, 3),
            "all": RouteSettings("http://b"),
        },
        timeouts=TimeoutSettings(10, 20, 30),
        limits=LimitSettings(max_response_header_bytes=99, max_inflight=5),
    )  # fmt: skip
    snapshot = build_snapshot(settings, NO_KEYS, SECRETS)
    own, all_ = snapshot.limits["own"], snapshot.limits["all"]
    assert (own.connect_seconds, own.first_byte_seconds, own.idle_seconds) == (1, 2, 3)
    assert (all_.connect_seconds, all_.first_byte_seconds) == (10, 20)
    assert (all_.idle_seconds, all_.max_head_bytes) == (30, 99)
    assert snapshot.max_inflight == 5


def test_by_default_the_first_byte_may_take_its_time():
    settings = Settings(routes={"r": RouteSettings("http://a")})
    limits = build_snapshot(settings, NO_KEYS, SECRETS).limits["r"]
    assert limits.first_byte_seconds is None


def test_client_keys_stand_for_whom_the_settings_name():
    settings = Settings(
        tenant="acme",
        routes={"r": RouteSettings("http://a"), "s": RouteSettings("http://b")},
        clients={
            "c": ClientSettings("K", "", "bot", ("agent",), ("r",)),
            "d": ClientSettings("L", "globex"),
        },
    )
    keys = Keys({"c": "key-c", "d": "key-d"}, {"r": "upstream-key"})
    snapshot = build_snapshot(settings, keys, SECRETS)
    routes = snapshot.routes.routes

    def admit(key: bytes, name: str):
        headers = Headers([(b"authorization", b"Bearer " + key)])
        return snapshot.clients.admit(headers, b"", routes[name])

    client = admit(b"key-c", "r").client
    assert (client.name, client.tenant, client.agent) == ("c", "acme", "bot")
    assert client.may_set == {"agent"}
    assert admit(b"key-c", "s").status == 403
    assert admit(b"key-d", "s").client.tenant == "globex"
    assert admit(b"other", "r").status == 401


def test_without_client_keys_everybody_may_call():
    settings = Settings(routes={"r": RouteSettings("http://a")})
    snapshot = build_snapshot(settings, NO_KEYS, SECRETS)
    admitted = snapshot.clients.admit(Headers([]), b"", snapshot.routes.routes["r"])
    assert not isinstance(admitted, Refusal)
    assert admitted.client == ANONYMOUS


def test_the_port_gets_its_limits_and_times():
    limits = port_limits(
        Settings(
            limits=LimitSettings(max_header_line_bytes=1, max_header_bytes=2, max_headers=3),
            timeouts=TimeoutSettings(
                keepalive_seconds=4, body_idle_seconds=5, write_stall_seconds=6
            ),
        )
    )  # fmt: skip
    assert [getattr(limits, name) for name in limits.__slots__] == [1, 2, 3, 4, 5, 6]


def test_the_spool_gets_its_options():
    settings = SpoolSettings(1, 2, 3.0, "always", 4.0, 5, 6)
    options = spool_options(Settings(spool=settings))
    assert (options.max_bytes, options.segment_bytes, options.segment_seconds) == (
        1,
        2,
        3.0,
    )
    assert (options.fsync, options.fsync_interval_seconds) == ("always", 4.0)
    assert (options.wait_ms, options.min_free_bytes) == (5, 6)  # fmt: skip


@pytest.mark.parametrize(
    ("url", "address"),
    [("", None), ("http://egress.test:3128", ("egress.test", 3128))],
)
def test_the_egress_proxy_is_an_address_or_none(url, address):
    assert egress_proxy(Settings(egress_proxy=url)) == address


def test_the_listener_speaks_tls_where_it_has_a_certificate():
    assert listener_tls(Settings()) is None
    context = listener_tls(Settings(listen_tls=TlsListener(CERTIFICATE, KEY)))
    assert context is not None
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("certificate", "key"),
    [("/nowhere.pem", KEY), (CERTIFICATE, AUTHORITY), (AUTHORITY, KEY)],
    ids=["no file", "no key", "not its key"],
)
def test_a_certificate_that_cannot_be_used_stops_the_start_and_is_named(
    certificate, key
):
    settings = Settings(listen_tls=TlsListener(certificate, key))
    with pytest.raises(StartError, match=r"listen_tls: .* cannot be used") as caught:
        listener_tls(settings)
    assert certificate in str(caught.value)
