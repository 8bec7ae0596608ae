"""AWS's side of a signature, by botocore: what an SDK signs, and whether AWS would take what arrived.

What lives here: keys of tests, signing, verifying. What does not: anything of the product, whose signer this must not share.
"""

import datetime
from collections.abc import Mapping

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.helpers.wire import Headers, Message

KEY_ID = "AKIATHEPROXYSOWNKEY0"
SECRET = "the/proxys+own+secret+of+tests+0123456789"
TOKEN = "the/proxys+own+session+token=="
AGENTS_KEY_ID = "AKIATHEAGENTSOWNKEY0"
AGENTS_SECRET = "the/agents+own+secret+of+tests"


def signed_by_boto(url: str, body: bytes, region: str = "eu-west-1") -> Headers:
    """Give the headers that make a request an SDK's own."""
    sent = AWSRequest(
        "POST", url, headers={"Content-Type": "application/json"}, data=body
    )
    key = Credentials(AGENTS_KEY_ID, AGENTS_SECRET)
    SigV4Auth(key, "bedrock", region).add_auth(sent)
    names = ("X-Amz-Date", "Authorization")
    return [(name.encode(), str(sent.headers[name]).encode()) for name in names]


class _At(SigV4Auth):  # type: ignore[misc]  # botocore ships no types
    """Signs again what was signed, at the moment of the first signature."""

    def _modify_request_before_signing(self, request: AWSRequest) -> None:
        """Leave the request as it came."""


def signature_problem(
    seen: Message,
    region: str,
    host: str,
    service: str = "bedrock",
    keys: Mapping[str, str] = {KEY_ID: SECRET},  # nobody changes it
) -> str:
    """Say why AWS would refuse a request, or nothing."""
    authorization = (seen.get(b"authorization") or b"").decode()
    fields = dict(
        part.strip().split("=", 1)
        for part in authorization.removeprefix("AWS4-HMAC-SHA256 ").split(",")
    )
    moment = (seen.get(b"x-amz-date") or b"").decode()
    key_id, _, scope = fields.get("Credential", "").partition("/")
    if key_id not in keys or scope != f"{moment[:8]}/{region}/{service}/aws4_request":
        return f"unknown key or scope: {key_id}, {scope}"
    if (seen.get(b"host") or b"").decode() != host:
        return "another host"
    age = datetime.datetime.now(datetime.UTC) - datetime.datetime.strptime(
        moment, "%Y%m%dT%H%M%SZ"
    ).replace(tzinfo=datetime.UTC)
    if abs(age.total_seconds()) > 300:
        return "the signature has expired"
    names = fields["SignedHeaders"].split(";")
    needed = {
        n.lower().decode() for n, _ in seen.headers if n.lower().startswith(b"x-amz-")
    }
    if not {"host", "x-amz-date", *needed} <= set(names):
        return "a header that must be signed is not"
    headers = {name: (seen.get(name.encode()) or b"").decode() for name in names}
    url = f"https://{host}{seen.target.decode()}"
    again = AWSRequest(seen.method.decode(), url, headers=headers, data=seen.body)
    again.context["timestamp"] = moment
    signer = _At(Credentials(key_id, keys[key_id]), service, region)
    text = signer.string_to_sign(again, signer.canonical_request(again))
    made = signer.signature(text, again)
    return "" if made == fields["Signature"] else "the signature does not match"
