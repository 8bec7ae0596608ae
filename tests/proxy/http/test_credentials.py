import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.credentials import Scheme, find_credentials
from proxy.http.headers import Headers

SIGNED = b"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=ab"


def found(headers=(), query=b""):
    return [
        (c.scheme, c.slot, c.secret)
        for c in find_credentials(Headers(list(headers)), query)
    ]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ((b"Authorization", b"Bearer k"), (Scheme.BEARER, b"authorization", b"k")),
        ((b"authorization", b"bearer  k "), (Scheme.BEARER, b"authorization", b"k")),
        ((b"Authorization", b"Basic dTpw"), (Scheme.BASIC, b"authorization", b"dTpw")),
        ((b"Authorization", SIGNED), (Scheme.SIGNED, b"authorization", b"AKIDEXAMPLE")),
        (
            (b"Authorization", b"token abc"),
            (Scheme.HEADER, b"authorization", b"token abc"),
        ),
        ((b"X-Api-Key", b" k "), (Scheme.HEADER, b"x-api-key", b"k")),
        ((b"api-key", b"k"), (Scheme.HEADER, b"api-key", b"k")),
        ((b"x-goog-api-key", b"k"), (Scheme.HEADER, b"x-goog-api-key", b"k")),
        (
            (b"Sec-WebSocket-Protocol", b"realtime, openai-insecure-api-key.k"),
            (Scheme.WEBSOCKET, b"sec-websocket-protocol", b"k"),
        ),
    ],
)
def test_credentials_are_found_in_headers(header, expected):
    assert found([header]) == [expected]


@pytest.mark.parametrize(
    "header",
    [
        (b"Authorization", b""),
        (b"Authorization", b"Bearer "),
        (b"Authorization", b"AWS4-HMAC-SHA256 Signature=ab"),
        (b"x-api-key", b" "),
        (
            b"Sec-WebSocket-Protocol",
            b"realtime, x-openai-insecure-api-key.k, openai-insecure-api-key.",
        ),
        (b"Cookie", b"k"),
    ],
)
def test_what_holds_no_secret_is_no_credential(header):
    assert found([header]) == []


def test_credentials_are_found_in_the_query():
    query = b"a=1&key=k%2F1&access_token=t&X-Amz-Credential=AKID%2F2026%2Fx&key=&X-Amz-Credential=%2F"
    assert found(query=query) == [
        (Scheme.QUERY, b"key", b"k/1"),
        (Scheme.QUERY, b"access_token", b"t"),
        (Scheme.SIGNED, b"X-Amz-Credential", b"AKID"),
    ]


def test_repr_hides_the_secret():
    (credential,) = find_credentials(Headers([(b"x-api-key", b"s3cret")]), b"")
    assert "s3cret" not in repr(credential)


@given(
    st.lists(st.tuples(st.sampled_from([b"authorization", b"x-api-key"]), st.binary())),
    st.binary(),
)
def test_no_bytes_make_it_raise(headers, query):
    list(find_credentials(Headers(headers), query))
