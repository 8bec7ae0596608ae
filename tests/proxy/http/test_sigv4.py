"""The signature is botocore's, for the requests that SDKs and agents make."""

import datetime
from typing import Any
from unittest import mock

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.http.sigv4 import Credentials, Signer, region_signed_for

HOST = b"bedrock-runtime.eu-west-1.amazonaws.com"
NOW_NS = 1_700_000_000 * 10**9 + 7
KEY = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
OF_OURS = {"host", "content-type", "x-amz-date", "x-amz-security-token"}

segments = st.text(st.sampled_from("abcXYZ019-._~%:3A!$&'()*+,;=@"), max_size=12).map(
    lambda text: text.replace("%", "%3A")
)
paths = st.lists(segments, max_size=6).map(lambda parts: "/" + "/".join(parts))
words = st.text(st.sampled_from("abcAZ09-._~%2F"), max_size=6).map(
    lambda text: text.replace("%", "%2F")
)
queries = st.lists(st.tuples(words.filter(bool), words), max_size=4).map(
    lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)
)
values = st.text(st.sampled_from("abc/; =1\t"), min_size=1, max_size=20).map(
    lambda text: text.strip() or "x"
)
headers_of_theirs = st.lists(
    st.tuples(
        st.sampled_from(
            ["Content-Type", "X-Amz-Target", "x-amz-meta-a", "User-Agent", "Accept"]
        ),
        values,
    ),
    max_size=5,
    unique_by=lambda pair: pair[0].lower(),
)


def botocore_signs(
    method: str, url: str, headers: dict[str, str], body: bytes, key: Credentials
) -> str:
    """Give the Authorization that botocore makes of the headers that we sign, too."""
    signed = {
        name: value
        for name, value in headers.items()
        if name.lower() in OF_OURS or name.lower().startswith("x-amz-")
    }
    request = AWSRequest(method, url, headers=signed, data=body)
    request.context["payload_signing_enabled"] = True
    credentials = BotoCredentials(
        key.access_key_id, key.secret_access_key, key.session_token or None
    )
    moment = datetime.datetime.fromtimestamp(NOW_NS // 10**9, datetime.UTC)
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=moment):
        signer = botocore.auth.SigV4Auth(credentials, "bedrock", "eu-west-1")
        signer.add_auth(request)
    return str(request.headers["Authorization"])


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["POST", "GET"]),
    paths,
    queries,
    headers_of_theirs,
    st.binary(max_size=40),
    st.sampled_from(["", "a-token/with+signs=="]),
)
def test_the_signature_is_the_one_that_botocore_makes(
    method: str,
    path: str,
    query: str,
    headers: list[tuple[str, str]],
    body: bytes,
    token: str,
):
    target = path + (f"?{query}" if query else "")
    key = Credentials(KEY.access_key_id, KEY.secret_access_key, token)
    raw = [(name.encode(), value.encode()) for name, value in headers]
    sent = Signer(key, "bedrock", "eu-west-1").sign(
        method.encode(), target.encode(), HOST, raw, body, NOW_NS
    )
    (*_, (name, authorization)) = sent
    url = f"https://{HOST.decode()}{target}"
    assert name == b"Authorization"
    assert authorization.decode() == botocore_signs(
        method, url, dict(headers), body, key
    )


def signed(*raw: tuple[bytes, bytes], **changes: Any) -> dict[bytes, bytes]:
    options: dict[str, Any] = {"region": "us-west-2", **changes}
    signer = Signer(KEY, "bedrock")
    return dict(signer.sign(b"POST", b"/m", HOST, raw, b"{}", NOW_NS, **options))


def test_what_the_agent_signed_with_is_replaced_and_all_else_stays():
    sent = signed(
        (b"AUTHORIZATION", b"AWS4-HMAC-SHA256 Credential=x"),
        (b"x-amz-date", b"20000101T000000Z"),
        (b"Date", b"long ago"),
        (b"X-Amz-Security-Token", b"theirs"),
        (b"X-Amz-Content-Sha256", b"theirs"),
        (b"amz-sdk-invocation-id", b"1"),
        (b"amz-sdk-request", b"attempt=1"),
    )
    assert {b"amz-sdk-invocation-id", b"amz-sdk-request"} < sent.keys()
    assert sent.pop(b"Authorization").startswith(
        b"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20231114/us-west-2/bedrock/"
        b"aws4_request, SignedHeaders=host;x-amz-date, Signature="
    )
    assert sent.pop(b"X-Amz-Date") == b"20231114T221320Z"
    assert len(sent) == 2


@pytest.mark.parametrize(
    ("authorization", "region"),
    [
        (
            b"AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/bedrock/aws4_request, SignedHeaders=host",
            "us-east-1",
        ),
        (b"AWS4-HMAC-SHA256 SignedHeaders=host, Credential=A/B/c-2/d/e", "c-2"),
        (b"AWS4-HMAC-SHA256 Credential=AK/20260101/us east/bedrock/aws4_request", ""),
        (b"AWS4-HMAC-SHA256 Credential=AK/20260101/\xff1/bedrock/aws4_request", ""),
        (b"AWS4-HMAC-SHA256 Credential=AK/us-east-1", ""),
        (b"Bearer x", ""),
        (b"", ""),
    ],
)
def test_the_region_stands_in_the_scope(authorization: bytes, region: str):
    assert region_signed_for(authorization) == region


def test_neither_key_nor_token_is_shown():
    shown = repr(Signer(Credentials("AKIAX", "secret!", "token!"), "bedrock", "r"))
    assert not any(word in shown for word in ("AKIAX", "secret!", "token!"))
