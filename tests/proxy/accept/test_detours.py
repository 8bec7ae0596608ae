"""Where a request goes that takes a detour, and that no credential of the agent goes with it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.accept.detours import Detour, admitted, leads_to
from proxy.accept.routes import Match, Route, RouteTable
from proxy.http.base_url import parse_base_url
from proxy.http.headers import Headers
from proxy.model import ANONYMOUS

CHAT = b"/v1/chat/completions"


def route(name: str, url: str, **fields: Any) -> Route:
    return Route(name, parse_base_url(url), **fields)


FIRST = route("one", "https://one.test/api")
OTHER = route("two", "https://two.test/base?deployment=x")


def matched(target: bytes) -> Match:
    match = RouteTable([FIRST]).match("POST", target, Headers([]))
    assert isinstance(match, Match)
    return match


@pytest.mark.parametrize(
    ("target", "key", "becomes"),
    [
        (b"/one" + CHAT, "own", b"/base" + CHAT + b"?deployment=x"),
        (b"/agent/a/run/r/one" + CHAT, "own", b"/base" + CHAT + b"?deployment=x"),
        (b"/one" + CHAT + b"?a=1&key=s&b=%20", "own", b"/base" + CHAT + b"?deployment=x&a=1&b=%20"),
        (b"/one" + CHAT + b"?key=s", "none", b"/base" + CHAT + b"?deployment=x"),
        (b"/one" + CHAT + b"?access_token=s&X-Amz-Signature=1&api-key=2", "none", b"/base" + CHAT + b"?deployment=x"),
        (b"/one" + CHAT + b"?%6bey=s&%61pi%5Fkey=t&%2561=1", "none", b"/base" + CHAT + b"?deployment=x&%2561=1"),
        (b"/one" + CHAT + b"?sig=1&code=2&jwt=3&pwd=4&encode=5", "own", b"/base" + CHAT + b"?deployment=x&encode=5"),
        (b"/one" + CHAT + b"?a=1&key=s", "agent", b"/base" + CHAT + b"?deployment=x&a=1&key=s"),
        (b"/one", "own", b"/base?deployment=x"),
    ],
)  # fmt: skip
def test_the_path_behind_the_route_stands_behind_the_others_base(target, key, becomes):
    found = leads_to(matched(target), Detour(OTHER, key))
    assert (found.route, found.upstream_target) == (OTHER, becomes)
    assert found.run == matched(target).run


AGENTS = [
    (b"Host", b"p"),
    (b"Authorization", b"Bearer agents"),
    (b"X-Api-Key", b"agents"),
    (b"Cookie", b"session=agents"),
    (b"OpenAI-Organization", b"agents"),
    (b"X-Amz-Security-Token", b"agents"),
    (b"Helicone-Auth", b"agents"),
    (b"Idempotency-Key", b"agents"),
    (b"Content-Type", b"application/json"),
]


@pytest.mark.parametrize(
    ("provider", "agents", "slot"),
    [
        ("", [(b"Authorization", b"Bearer k")], (b"Authorization", b"Bearer new")),
        ("", [(b"x-api-key", b"k")], (b"x-api-key", b"new")),
        ("", [(b"api-key", b"k")], (b"Authorization", b"Bearer new")),
        ("", [(b"x-goog-api-key", b"k")], (b"x-goog-api-key", b"new")),
        ("", [], (b"Authorization", b"Bearer new")),
        ("azure", [(b"Authorization", b"Bearer k")], (b"api-key", b"new")),
        ("anthropic", [(b"Authorization", b"Bearer k")], (b"x-api-key", b"new")),
        ("openai", [(b"x-api-key", b"k")], (b"x-api-key", b"new")),
    ],
)
def test_the_key_stands_where_the_upstream_looks_for_it(provider, agents, slot):
    detour = Detour(route("two", "https://two.test", provider=provider), secret=b"new")
    admission = admitted(ANONYMOUS, Headers(agents), b"", detour)
    assert admission.headers([*agents, (b"A", b"1")]) == ([slot, (b"A", b"1")] if agents else [(b"A", b"1"), slot])  # fmt: skip
    assert admission.altered == ("credential",)
    assert "new" not in repr(admission) + repr(detour)


def test_a_key_in_the_query_becomes_one_in_the_header():
    detour = Detour(route("two", "https://two.test", provider="gemini"), secret=b"new")
    admission = admitted(ANONYMOUS, Headers([]), b"key=k", detour)
    assert admission.headers([]) == [(b"x-goog-api-key", b"new")]
    assert admission.target(b"/v1?a=1") == b"/v1?a=1"


def test_nothing_that_may_be_a_credential_goes_along():
    for secret in (b"new", b""):
        admission = admitted(ANONYMOUS, Headers(AGENTS), b"", Detour(OTHER, secret=secret))  # fmt: skip
        sent = admission.headers(AGENTS)
        assert not any(b"agents" in value for _, value in sent)
        assert [name for name, _ in sent if name in (b"Host", b"Content-Type")] == [b"Host", b"Content-Type"]  # fmt: skip


@given(st.sampled_from(["Authorization", "X-API-Key", "api-key", "x-goog-api-key", "Cookie", "X-Auth-Token", "apikey", "X-Secret"]), st.text("abcXYZ", min_size=8))  # fmt: skip
def test_however_a_credential_is_named_it_stays_behind(name, value):
    raw = [(name.encode(), value.encode())]
    admission = admitted(ANONYMOUS, Headers(raw), b"", Detour(OTHER, secret=b"k1"))
    assert not any(value.encode() in each for _, each in admission.headers(raw))


def test_models_have_other_names_there():
    detour = Detour(OTHER, models={"a": "b", "*": "c"})
    assert [detour.model(each) for each in ("a", "x", "")] == ["b", "c", "c"]
    assert Detour(OTHER).model("a") == "a"
