import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.headers import Headers
from proxy.identify.caller import MAX_TOKEN_BYTES, caller

SECRET = b"installation"


def named(*headers, query=b"", client="", secret=SECRET):
    return caller(secret, Headers(list(headers)), query, client)


def jwt(signature: str = "sig", **claims: object) -> bytes:
    def part(value: object) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    return part({"alg": "none"}) + b"." + part(claims) + b"." + signature.encode()


def bearer(token: bytes):
    return (b"Authorization", b"Bearer " + token)


def test_a_client_key_names_its_caller():
    assert named(bearer(b"k"), client="ci") == "key:ci"


def test_without_a_credential_the_caller_is_anonymous():
    assert named() == "anonymous"


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ([bearer(b"k")], b""),
        ([(b"x-api-key", b"k")], b""),
        ([(b"api-key", b"k")], b""),
        ([(b"x-goog-api-key", b"k")], b""),
        ([], b"key=k"),
        (
            [(b"Authorization", b"AWS4-HMAC-SHA256 Credential=k/2026/x, Signature=1")],
            b"",
        ),
    ],
)
def test_the_same_credential_is_the_same_caller_wherever_it_sits(headers, query):
    name = named(*headers, query=query)
    assert name == named(bearer(b"k"))
    assert len(name) == 16


def test_names_depend_on_the_whole_credential_and_on_the_installation():
    assert named(bearer(b"a" * 100 + b"1")) != named(bearer(b"a" * 100 + b"2"))
    assert named(bearer(b"k")) != named(bearer(b"k"), secret=b"another")


def test_a_renewed_token_is_the_same_caller():
    first = named(bearer(jwt("one", sub="u", iss="i", aud=["b", "a"], exp=1)))
    assert named(bearer(jwt("two", sub="u", iss="i", aud=["a", "b"], exp=2))) == first
    assert named(bearer(jwt("two", sub="v", iss="i", aud=["a", "b"], exp=2))) != first


def test_one_audience_is_the_same_as_text_or_list():
    assert named(bearer(jwt(sub="u", aud="a"))) == named(
        bearer(jwt(sub="u", aud=["a"]))
    )


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(jwt(iss="i"), id="no subject"),
        pytest.param(jwt(sub=5), id="wrong type"),
        pytest.param(b"eyJ.!!!.x", id="no base64"),
        pytest.param(b"eyJ.e30x.x", id="no JSON"),
        pytest.param(b"ey." + b"W" * 9 + b".x", id="broken padding"),
        pytest.param(b"a.b.c", id="no JWT"),
        pytest.param(jwt(sub="u" * MAX_TOKEN_BYTES), id="too long"),
        pytest.param(
            b"ey." + base64.b64encode(b"[" * 9000).rstrip(b"=") + b".x",
            id="deeply nested",
        ),
    ],
)
def test_a_token_without_stable_claims_is_named_by_its_hash(token):
    assert named(bearer(token)) != named(bearer(token + b"2"))


@given(st.binary())
def test_no_bytes_make_it_raise(token):
    assert len(named(bearer(b"ey" + token))) == 16
