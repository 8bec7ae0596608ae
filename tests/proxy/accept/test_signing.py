from typing import Any

import pytest

from proxy.accept.clients import Admission
from proxy.accept.refusal import Refusal
from proxy.accept.routes import Route
from proxy.accept.signing import signer_for
from proxy.http.base_url import parse_base_url
from proxy.http.headers import Headers
from proxy.http.sigv4 import Credentials, Signer
from proxy.model import ANONYMOUS

SIGNER = Signer(Credentials("AKIAOURS", "secret"), "bedrock", "eu-west-1")
ANYWHERE = Signer(Credentials("AKIAOURS", "secret"), "bedrock")
SIGNED = b"AWS4-HMAC-SHA256 Credential=AKIATHEIRS/20260101/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=0"
HOST = b"bedrock-runtime.eu-west-1.amazonaws.com"


def route(provider: str = "bedrock") -> Route:
    return Route("bed", parse_base_url(f"https://{HOST.decode()}"), provider=provider)


def chosen(
    signer: Signer | None, authorization: bytes = b"", host: bytes = b"here", **of: Any
) -> Signer | Refusal | None:
    raw = [(b"Host", host)]
    raw += [(b"Authorization", authorization)] if authorization else []
    return signer_for(route(**of), signer, Headers(raw), Admission(ANONYMOUS))


@pytest.mark.parametrize("authorization", [SIGNED, b""], ids=["signed", "none"])
def test_what_has_no_other_credential_is_signed(authorization: bytes):
    assert chosen(SIGNER, authorization) is SIGNER


@pytest.mark.parametrize("signer", [SIGNER, None])
@pytest.mark.parametrize("authorization", [b"Bearer bedrock-api-key-x", b"Basic eDp5"])
def test_another_credential_passes_as_it_is(
    signer: Signer | None, authorization: bytes
):
    assert chosen(signer, authorization) is None


def test_the_agents_own_region_counts_where_none_is_set():
    assert chosen(ANYWHERE, SIGNED) is ANYWHERE


def test_without_any_region_nothing_can_be_signed():
    refusal = chosen(ANYWHERE)
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code) == (400, "no_region")
    assert "routes.bed.aws.region" in refusal.message


@pytest.mark.parametrize("provider", ["bedrock", "aws"])
def test_a_signature_for_our_host_is_refused_where_nobody_can_sign_anew(provider: str):
    refusal = chosen(None, SIGNED, provider=provider)
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code) == (400, "not_signable")
    assert "routes.bed.sign" in refusal.message
    assert "AWS_BEARER_TOKEN_BEDROCK" in refusal.message
    assert refusal.headers == (("x-amzn-ErrorType", "ValidationException"),)
    assert "AKIA" not in refusal.message


def test_a_signature_for_the_upstreams_own_host_passes():
    assert chosen(None, SIGNED, host=HOST.upper()) is None


def test_other_providers_signatures_are_not_ours_to_judge():
    assert chosen(None, SIGNED, provider="tickets") is None
    assert chosen(None) is None
