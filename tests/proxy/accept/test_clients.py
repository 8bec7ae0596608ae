import pytest

from proxy.accept.clients import Admission, ClientKey, Clients
from proxy.accept.refusal import Refusal
from proxy.accept.routes import Route
from proxy.http.base_url import parse_base_url
from proxy.http.headers import Headers
from proxy.model import ANONYMOUS, Client

OFFICIAL = Route("openai", parse_base_url("https://api.openai.com"))
LOCAL = Route("local", parse_base_url("http://127.0.0.1:8000"))
CI = Client("ci", "acme", "nightly", frozenset({"agent"}))
CLIENTS = Clients(
    [
        ClientKey("ci-key", CI),
        ClientKey("narrow-key", Client("narrow"), frozenset({"local", "other"})),
    ],
    {"openai": "sk-real/+="},
    b"salt",
)


def admit(*headers, query=b"", route=OFFICIAL, clients=CLIENTS):
    return clients.admit(Headers(list(headers)), query, route)


def admitted(*headers, **options) -> Admission:
    admission = admit(*headers, **options)
    assert isinstance(admission, Admission), admission
    return admission


def test_without_keys_everybody_is_anonymous_and_nothing_changes():
    clients = Clients([], {}, b"salt")
    admission = admitted((b"x-api-key", b"any"), clients=clients)
    assert admission.client == ANONYMOUS
    assert admission.headers([(b"x-api-key", b"any")]) == [(b"x-api-key", b"any")]
    assert admission.target(b"/v1?key=any") == b"/v1?key=any"


def test_a_key_in_its_own_header_lets_the_providers_pass():
    raw = [(b"X-Tacho-Key", b"ci-key"), (b"Authorization", b"Bearer sk-mine")]
    admission = admitted(*raw)
    assert admission.client == CI
    assert admission.altered == ()
    assert admission.headers(raw) == raw


@pytest.mark.parametrize(
    ("name", "value", "sent"),
    [
        (b"Authorization", b"Bearer ci-key", b"Bearer sk-real/+="),
        (b"authorization", b"bearer  ci-key ", b"bearer  sk-real/+= "),
        (b"X-Api-Key", b"ci-key", b"sk-real/+="),
        (b"api-key", b" ci-key", b" sk-real/+="),
        (b"x-goog-api-key", b"ci-key", b"sk-real/+="),
    ],
)
def test_a_key_in_the_providers_slot_is_replaced_there(name, value, sent):
    raw = [(b"Accept", b"*/*"), (name, value)]
    admission = admitted(*raw)
    assert admission.client == CI
    assert admission.altered == ("credential",)
    assert admission.headers(raw) == [(b"Accept", b"*/*"), (name, sent)]


def test_a_key_in_the_query_is_replaced_there():
    admission = admitted(query=b"a=1&key=ci%2Dkey")
    assert (
        admission.target(b"/v1?a=1&key=ci%2Dkey&b") == b"/v1?a=1&key=sk-real%2F%2B%3D&b"
    )
    assert admission.target(b"/v1") == b"/v1"


def test_a_client_key_never_goes_upstream_even_where_there_is_no_other():
    raw = [
        (b"Authorization", b"Bearer ci-key"),
        (b"x-api-key", b"ci-key"),
        (b"api-key", b"mine"),
    ]
    admission = admitted(*raw, route=LOCAL)
    assert admission.headers(raw) == [(b"api-key", b"mine")]
    assert admission.target(b"/v1?key=ci-key&a=1") == b"/v1?a=1"
    assert admission.target(b"/v1?key=ci-key") == b"/v1"


def test_a_client_key_in_both_places_is_replaced_in_the_slot():
    raw = [(b"x-tacho-key", b"ci-key"), (b"Authorization", b"Bearer ci-key")]
    assert admitted(*raw).headers(raw)[1] == (b"Authorization", b"Bearer sk-real/+=")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([], "no_client_key"),
        ([(b"Authorization", b"Bearer wrong")], "no_client_key"),
        ([(b"Authorization", b"Basic ci-key")], "no_client_key"),
        ([(b"Authorization", b"")], "no_client_key"),
        ([(b"Authorization", b"Bearer ci-ke")], "no_client_key"),
        (
            [(b"x-tacho-key", b"wrong"), (b"Authorization", b"Bearer ci-key")],
            "bad_client_key",
        ),
    ],
)
def test_no_key_or_a_wrong_one_is_401(headers, code):
    refusal = admit(*headers)
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code) == (401, code)
    assert "wrong" not in refusal.message
    assert refusal.headers == (("WWW-Authenticate", "Bearer"),)


def test_a_key_opens_only_its_routes():
    refusal = admit((b"x-tacho-key", b"narrow-key"))
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code) == (403, "route_not_allowed")
    assert "local, other" in refusal.message
    assert (
        admitted((b"x-tacho-key", b"narrow-key"), route=LOCAL).client.name == "narrow"
    )


def test_a_provider_without_a_key_of_ours_is_refused_with_the_remedy():
    clients = Clients([ClientKey("ci-key", CI)], {}, b"salt")
    refusal = admit((b"x-api-key", b"ci-key"), clients=clients)
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code) == (403, "no_upstream_key")
    assert "upstream_key_env" in refusal.message


def test_repr_hides_keys():
    shown = repr(admitted((b"x-api-key", b"ci-key"))) + repr(ClientKey("ci-key", CI))
    assert "ci-key" not in shown
    assert "sk-real" not in shown
