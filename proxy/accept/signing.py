"""Which requests must be signed anew before AWS takes them.

What lives here: the decision, and the refusals of what cannot work. What does not: the signature (`http/sigv4.py`).

An AWS signature covers the Host header, and an SDK whose base URL leads here signs our host: what it signed is valid nowhere
else. A bearer key covers nothing and passes as it is.
"""

from proxy.accept.clients import Admission
from proxy.accept.refusal import Refusal
from proxy.accept.routes import Route
from proxy.http.credentials import Scheme, read_authorization
from proxy.http.headers import Headers
from proxy.http.sigv4 import Signer, region_signed_for
from proxy.model import ErrorType
from proxy.providers import price_id

_AWS = "aws"


def signer_for(
    route: Route, signer: Signer | None, agent: Headers, admission: Admission
) -> Signer | Refusal | None:
    """Give who signs a request anew, `None` where it goes as it is, or why it cannot be sent; never raises.

    What counts is the credential that would go upstream: a client key is not there any more.
    """
    aws = signer is not None or price_id(route.provider) == _AWS
    if not aws or (signer is None and _is_for(route, agent)):
        return None
    found = Headers(admission.headers(agent.raw)).first(b"authorization")
    credential = None if found is None else read_authorization(found)
    signed = credential is not None and credential.scheme is Scheme.SIGNED
    if signer is None:
        return _no_keys(route) if signed else None
    if credential is not None and not signed:
        return None
    if not (signer.region or region_signed_for(found or b"")):
        message = (
            f"the region to sign for is not known: set routes.{route.name}.aws.region"
        )
        return Refusal(400, "no_region", ErrorType.INVALID_REQUEST, message, _KIND)
    return signer


def _is_for(route: Route, agent: Headers) -> bool:
    """Tell whether the agent signed the upstream's own host, and only connects here."""
    return (agent.first(b"host") or b"").lower() == route.base.authority().lower()


def _no_keys(route: Route) -> Refusal:
    message = (
        f"this request is signed for this proxy's host, and AWS would refuse the signature: set routes.{route.name}.sign "
        "to aws (with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the proxy's environment) to have it signed anew, or "
        "send a Bedrock API key (AWS_BEARER_TOKEN_BEDROCK, which needs listen_tls)"
    )
    return Refusal(400, "not_signable", ErrorType.AUTH, message, _KIND)


_KIND = (("x-amzn-ErrorType", "ValidationException"),)
"""What makes boto3 show the message, and not try again."""
