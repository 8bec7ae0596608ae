"""What the phases get of the settings."""

import ssl

import pytest

from proxy.accept.refusal import Refusal
from proxy.accept.routes import Match
from proxy.config import (
    AwsSigning,
    ClientSettings,
    Keys,
    LimitSettings,
    RouteSettings,
    RunSettings,
    Secrets,
    Settings,
    SpoolSettings,
    TimeoutSettings,
    built_in_routes,
)
from proxy.config.structs import TlsListener
from proxy.errors import SettingsError, StartError
from proxy.http.headers import Headers
from proxy.http.sigv4 import Credentials
from proxy.identify.facts import Run
from proxy.meter.dialects import recognise
from proxy.model import ANONYMOUS
from proxy.providers import PROVIDERS, Provider
from proxy.runs import RunBook
from proxy.state.memory import MemoryState
from proxy.telemetry import ExchangeMeters, Registry, RunMeters
from proxy.wiring import (
    build_snapshot,
    egress_proxy,
    listener_tls,
    port_limits,
    run_state,
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


@pytest.mark.parametrize(
    ("name", "settings", "provider", "usage"),
    [
        ("vllm", RouteSettings("http://h:1"), "vllm", "inject"),
        ("writer", RouteSettings("http://h:1"), "writer", "estimate"),
        ("eu", RouteSettings("https://eu.api.openai.com"), "openai", "inject"),
        ("groq", RouteSettings("https://api.openai.com"), "groq", "estimate"),
        ("eu", RouteSettings("https://api.openai.com", provider="acme"), "acme", "estimate"),
        ("writer", RouteSettings("http://h", "tool"), "writer", "estimate"),
    ],
)  # fmt: skip
def test_what_is_known_of_a_provider_holds_for_its_routes(
    name, settings, provider, usage
):
    table = build_snapshot(Settings(routes={name: settings}), NO_KEYS, SECRETS).routes
    found = table.routes[name]
    assert (found.provider, found.stream_usage) == (provider, usage)


def test_a_provider_of_a_known_family_is_one_line_of_the_table(monkeypatch):
    acme = Provider("acme", "https://api.acme.ai", "/v1", stream_usage="inject")
    monkeypatch.setattr("proxy.config.built_in.PROVIDERS", (*PROVIDERS, acme))
    monkeypatch.setattr("proxy.providers._BY_NAME", {"acme": acme})
    settings = Settings(routes=built_in_routes("127.0.0.1:4141"))
    table = build_snapshot(settings, NO_KEYS, SECRETS).routes
    target = b"/acme/v1/chat/completions"
    match = table.match("POST", target, Headers([(b"authorization", b"Bearer k")]))
    assert isinstance(match, Match)
    route = match.route
    assert (route.provider, route.stream_usage) == ("acme", "inject")
    assert route.base.authority() + match.upstream_target == (
        b"api.acme.ai/v1/chat/completions"
    )
    dialect, operation = recognise(
        route.kind, route.dialect, "POST", match.upstream_path
    )
    assert (dialect.name, operation.name) == ("openai_chat", "chat")


def test_a_routes_own_times_come_before_those_of_all():
    settings = Settings(
        routes={
            "own": RouteSettings("http://a", connect_timeout_seconds=1, first_byte_timeout_seconds=2, idle_timeout_seconds=3),
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


@pytest.mark.parametrize(
    ("url", "aws", "service", "region"),
    [
        ("https://bedrock-runtime.eu-west-1.amazonaws.com", {}, "bedrock", "eu-west-1"),
        (
            "https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com",
            {},
            "bedrock",
            "us-gov-west-1",
        ),
        (
            "https://vpce-0a.bedrock-runtime.us-east-1.vpce.amazonaws.com",
            {},
            "bedrock",
            "us-east-1",
        ),
        (
            "https://bedrock-mantle.us-west-2.api.aws",
            {},
            "bedrock-mantle",
            "us-west-2",
        ),
        ("https://gateway.test", {}, "bedrock", ""),
        (
            "https://bedrock-runtime.eu-west-1.amazonaws.com.",
            {"region": "us-east-1", "service": "other"},
            "other",
            "us-east-1",
        ),
    ],
)
def test_a_route_signs_for_the_region_of_its_host_or_settings(
    url, aws, service, region
):
    signing = RouteSettings(url, sign="aws", aws=AwsSigning(**aws))
    settings = Settings(routes={"b": signing, "other": RouteSettings(url)})
    keys = Keys({}, {}, {"b": Credentials("id", "secret")})
    snapshot = build_snapshot(settings, keys, SECRETS)
    (signer,) = snapshot.signers.values()
    assert (signer.service, signer.region) == (service, region)
    routes = snapshot.routes.routes
    assert (routes["b"].signs, routes["other"].signs) == (True, False)
    assert "secret" not in repr(snapshot.signers)


def make_book() -> RunBook:
    registry = Registry()
    return RunBook(RunMeters(registry, ExchangeMeters(registry, frozenset())), str)


def test_runs_live_as_long_and_are_as_many_as_the_settings_say():
    book = make_book()
    settings = Settings(runs=RunSettings(idle_seconds=2.0, max_live=2))
    memory = run_state(settings, 1, book)
    assert isinstance(memory, MemoryState)
    for number in range(3):
        memory.observe(Run("t", f"r{number}", "", seen_us=number), [])
    assert [event.run_id for event in book.events(1)] == ["r0"]
    memory.expire(2_000_001)
    assert [event.run_id for event in book.events(1)] == ["r1"]
    assert book.purse is None


def test_redis_remembers_runs_and_adds_up_what_they_come_to_where_the_settings_say_so():
    book = make_book()
    state = run_state(Settings(state="redis://:secret@h:7000/2"), 1, book)
    assert repr(state) == "RedisState(Line('h:7000/2'))"
    assert repr(book.purse) == repr(state)


def test_an_option_that_the_client_of_redis_does_not_take_is_refused_without_the_url():
    with pytest.raises(SettingsError, match="state: it must be memory, or") as refused:
        run_state(Settings(state="redis://:secret@h?db=y"), 1, make_book())  # fmt: skip
    assert "secret" not in str(refused.value)
