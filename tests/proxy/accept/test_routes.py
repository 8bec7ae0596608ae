import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.accept.refusal import Refusal
from proxy.accept.routes import Match, Route, RouteTable
from proxy.http.base_url import parse_base_url
from proxy.http.headers import Headers
from proxy.model import Kind
from proxy.providers import PROVIDERS

NONE = Headers([])
ANTHROPIC_KEY = Headers([(b"x-api-key", b"sk-ant-api03-abcdefgh")])
OPENAI_KEY = Headers(
    [(b"authorization", b"Bearer sk-proj-abcdefghijklT3BlbkFJabcdefghijkl")]
)
GROQ_KEY = Headers([(b"authorization", b"Bearer gsk_" + b"a" * 52)])


def route(name, url, provider=None) -> Route:
    return Route(
        name, parse_base_url(url), provider=name if provider is None else provider
    )


ROUTES = [
    route("openai", "https://api.openai.com"),
    route("anthropic", "https://api.anthropic.com"),
    route("search", "http://search.internal:8080/api/?k=v", provider="search"),
    route("plain", "http://plain.internal/base"),
]
TABLE = RouteTable(ROUTES)


def matched(target: bytes, headers: Headers = NONE, table: RouteTable = TABLE) -> Match:
    match = table.match("POST", target, headers)
    assert isinstance(match, Match), match
    return match


def refused(
    target: bytes, headers: Headers = NONE, table: RouteTable = TABLE, method="POST"
) -> Refusal:
    refusal = table.match(method, target, headers)
    assert isinstance(refusal, Refusal), refusal
    return refusal


@pytest.mark.parametrize(
    ("target", "upstream"),
    [
        (b"/openai/v1/chat/completions", b"/v1/chat/completions"),
        (
            b"/openai/v1/a%2Fb//c/../d;x?a=1&a=2;b=%zz&c=",
            b"/v1/a%2Fb//c/../d;x?a=1&a=2;b=%zz&c=",
        ),
        (b"/openai", b"/"),
        (b"/openai/", b"/"),
        (b"/openai?", b"/?"),
        (b"/openai/v1?a?b", b"/v1?a?b"),
        (b"/openai//evil.example/x", b"//evil.example/x"),
        (b'/openai/v1/"<>{}|^`\\', b'/v1/"<>{}|^`\\'),
        (b"/plain", b"/base"),
        (b"/plain/", b"/base/"),
        (b"/plain/x", b"/base/x"),
        (b"/plain/%2Fx", b"/base/%2Fx"),
        (b"/search", b"/api/?k=v"),
        (b"/search/", b"/api/?k=v"),
        (b"/search/b", b"/api/b?k=v"),
        (b"/search/b?", b"/api/b?k=v"),
        (b"/search//b?q=1", b"/api//b?k=v&q=1"),
    ],
)
def test_the_rest_of_the_target_is_joined_byte_for_byte(target, upstream):
    match = matched(target)
    assert match.upstream_target == upstream
    assert match.upstream_path.encode() == upstream.partition(b"?")[0]
    assert match.query == target.partition(b"?")[2]
    assert match.altered == ("path_prefix",)


@pytest.mark.parametrize(
    ("target", "named"),
    [
        (b"/tenant/t/agent/a/run/r/openai/v1", ("t", "a", "r")),
        (b"/agent/a/openai/v1", ("", "a", "")),
        (b"/tenant/t/run/r%3A1/openai/v1", ("t", "", "r:1")),
        (b"/run/" + b"x" * 128 + b"/openai/v1", ("", "", "x" * 128)),
        (b"/openai/run/r", ("", "", "")),
    ],
)
def test_a_prefix_names_tenant_agent_and_run(target, named):
    match = matched(target)
    assert (match.tenant, match.agent, match.run) == named
    assert match.route.name == "openai"


@pytest.mark.parametrize(
    "target",
    [
        b"/run//openai/v1",
        b"/run/" + b"x" * 129 + b"/openai",
        b"/run/a%2Fb/openai",
        b"/run/a%20b/openai",
        b"/run/a%zz/openai",
        b"/run/%E2%80%A8/openai",
        b"/agent/a%20b/openai/v1",
        b"/tenant/%00/openai/v1",
    ],
)
def test_a_name_that_cannot_be_used_is_taken_off_the_path_left_out_and_counted(target):
    match = matched(target)
    assert (match.route.name, match.ignored, match.altered) == ("openai", 1, ("path_prefix",))  # fmt: skip
    assert (match.tenant, match.agent, match.run) == ("", "", "")
    assert b"%" not in match.upstream_target


@pytest.mark.parametrize(
    "target",
    [
        b"/run/r/agent/a/openai",
        b"/run/r/run/s/openai",
        b"/agent/a/tenant/t/openai",
    ],
)
def test_prefixes_in_another_order_are_refused(target):
    refusal = refused(target)
    assert (refusal.status, refusal.code) == (400, "bad_prefix")


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"http://evil.example/openai/v1", 421),
        (b"https://u:p@evil.example/", 421),
        (b"*", 400),
        (b"evil.example:443", 400),
        (b"@evil", 400),
        (b"http:evil", 400),
        (b"//evil/x", 400),
        (b"/\\evil", 400),
        (b"\\evil", 400),
        (b"/openai/v1#frag", 400),
        (b"/openai/a b", 400),
        (b"/openai/\x00", 400),
        (b"/openai/\x7f", 400),
        (b"/openai/\r\nX: y", 400),
        (b"/openai/v1\n", 400),
        (b"/openai/\xe9", 400),
        (b"", 400),
    ],
)
def test_p06_what_is_no_plain_path_is_refused(target, status):
    assert refused(target).status == status


@pytest.mark.parametrize(
    ("method", "target"), [("CONNECT", b"evil:443"), ("TRACE", b"/openai/v1")]
)
def test_p07_methods_of_other_proxies_are_refused(method, target):
    refusal = refused(target, method=method)
    assert refusal.status == 405
    assert refusal.headers[0][0] == "Allow"


@pytest.mark.parametrize(
    "target",
    [
        b"/",
        b"/nowhere/v1",
        b"/OpenAI/v1",
        b"/%6fpenai/v1",
        b"/openai%2Fv1",
        b"/tacho/metrics",
        b"/run/r",
        b"/run",
        b"/run/r/",
    ],
)
def test_a03_an_unknown_route_lists_those_there_are(target):
    refusal = refused(target)
    assert (refusal.status, refusal.code) == (404, "no_route")
    assert refusal.routes == ("anthropic", "openai", "plain", "search")
    assert "anthropic, openai, plain, search" in refusal.message


@pytest.mark.parametrize(
    ("target", "headers", "name", "altered"),
    [
        (b"/v1/messages?beta=true", ANTHROPIC_KEY, "anthropic", ()),
        (b"/run/r/v1/messages", ANTHROPIC_KEY, "anthropic", ("path_prefix",)),
        (b"/v1/responses", OPENAI_KEY, "openai", ()),
    ],
)
def test_path_and_key_together_name_a_provider(target, headers, name, altered):
    match = matched(target, headers)
    assert match.route.name == name
    assert match.upstream_target == target.removeprefix(b"/run/r")
    assert match.altered == altered


def test_a_route_that_only_has_a_providers_name_is_not_taken_for_it():
    table = RouteTable([route("openai", "http://mine.internal", provider="mine")])
    assert refused(b"/v1/responses", OPENAI_KEY, table).status == 404


def test_a_tool_with_a_providers_name_gets_none_of_its_keys():
    base = parse_base_url("https://tools.internal/mcp")
    table = RouteTable([Route("groq", base, Kind.MCP, provider="groq")])
    refused(b"/openai/v1/chat/completions", GROQ_KEY, table)
    assert matched(b"/groq/x", GROQ_KEY, table).route.name == "groq"


def test_the_default_route_takes_what_names_no_route():
    table = RouteTable(ROUTES, "plain")
    assert matched(b"/x?y", NONE, table).upstream_target == b"/base/x?y"
    assert matched(b"/v1/messages", ANTHROPIC_KEY, table).route.name == "anthropic"
    assert refused(b"/tacho/x", NONE, table).status == 404


@pytest.mark.parametrize(
    ("target", "headers", "default"),
    [
        pytest.param(
            b"/openai/v1/chat/completions",
            GROQ_KEY,
            "",
            id="Groq's SDK adds /openai/v1",
        ),
        pytest.param(
            b"/openai/deployments/d/chat/completions",
            NONE,
            "",
            id="Azure's adds /openai/deployments",
        ),
        pytest.param(b"/anthropic/v1/messages", OPENAI_KEY, "", id="wrong base URL"),
        pytest.param(b"/v1/other", ANTHROPIC_KEY, "openai", id="default route"),
    ],
)
def test_a_key_never_goes_to_a_provider_that_it_was_not_meant_for(
    target, headers, default
):
    refusal = refused(target, headers, RouteTable(ROUTES, default))
    assert refusal.status == 404


BUILT_IN = RouteTable(
    [route(p.name, p.url) for p in PROVIDERS if p.url]
    + [route("azure", "https://mine.openai.azure.com")]
)
AZURE_KEY = Headers([(b"api-key", b"0123456789abcdef" * 2)])


@pytest.mark.parametrize(
    ("target", "headers", "name"),
    [
        (b"/openai/v1/chat/completions", GROQ_KEY, "groq"),
        (b"/openai/v1/chat/completions", OPENAI_KEY, "openai"),
        (b"/openai/deployments/d/chat/completions?api-version=1", AZURE_KEY, "azure"),
        (b"/groq/openai/v1/chat/completions", GROQ_KEY, "groq"),
        (b"/v1beta/models/g:generateContent?key=AIza" + b"a" * 35, NONE, "gemini"),
    ],
)
def test_what_an_sdk_adds_to_a_bare_host_is_recognised_by_its_key(
    target, headers, name
):
    match = matched(target, headers, BUILT_IN)
    assert match.route.name == name
    upstream = target.removeprefix(b"/openai" if name == "openai" else b"/groq")
    assert match.upstream_target == upstream


@pytest.mark.parametrize(
    "provider", [p for p in PROVIDERS if p.url], ids=lambda each: each.name
)
def test_no_providers_own_host_gets_a_key_that_is_surely_anothers(provider):
    headers = ANTHROPIC_KEY if provider.name != "anthropic" else OPENAI_KEY
    target = b"/" + provider.name.encode() + b"/v1/models"
    if provider.self_hosted:
        assert matched(target, headers, BUILT_IN).route.name == provider.name
    else:
        assert refused(target, headers, BUILT_IN).status == 404


@pytest.mark.parametrize("provider", ["deepseek", "groq", "openai"])
def test_who_names_an_official_route_never_gets_the_default_one(provider):
    routes = [
        *(route(p.name, p.url) for p in PROVIDERS if p.url),
        route("plain", "http://litellm.internal"),
    ]
    target = b"/" + provider.encode() + b"/v1/chat/completions"
    refusal = refused(target, ANTHROPIC_KEY, RouteTable(routes, "plain"))
    assert refusal.status == 404


def test_an_azure_key_as_bearer_never_goes_to_openai():
    key = b"a" * 52 + b"JQQJ99BAACYeBjFXJ3w3AAABACOG" + b"a" * 4
    headers = Headers([(b"authorization", b"Bearer " + key)])
    target = b"/openai/v1/chat/completions"
    assert matched(target, headers, BUILT_IN).route.name == "azure"
    refused(target, headers)


def test_a_dot_at_a_hosts_end_does_not_make_it_nobodys():
    table = RouteTable([route("openai", "https://api.openai.com.")])
    refused(b"/openai/v1/chat/completions", GROQ_KEY, table)


def test_azures_paths_need_a_route_to_azure_and_its_key():
    target = b"/openai/deployments/d/chat/completions"
    assert refused(target, AZURE_KEY).status == 404
    assert refused(target, NONE, BUILT_IN).status == 404


def test_a_host_that_is_no_providers_own_gets_any_key():
    table = RouteTable([route("openai", "http://gateway.internal")])
    assert (
        matched(b"/openai/v1/chat/completions", GROQ_KEY, table).route.name == "openai"
    )


@given(st.binary(max_size=60), st.sampled_from(["", "plain"]))
def test_whatever_the_target_host_and_base_never_change(tail, default):
    table = RouteTable(ROUTES, default)
    for start in (b"", b"/", b"/plain", b"/plain/", b"/run/r/plain/"):
        match = table.match("GET", start + tail, NONE)
        if isinstance(match, Refusal):
            continue
        assert match.route in ROUTES
        assert match.upstream_target.startswith(match.route.base.path or b"/")
        assert (
            not match.upstream_target.startswith((b"//", b"/\\"))
            or tail.find(b"\\") >= 0
        )
        assert all(0x20 < byte < 0x7F for byte in match.upstream_target)
