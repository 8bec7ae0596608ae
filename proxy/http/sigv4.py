"""AWS Signature Version 4.

What lives here: signing a request whose body is at hand, and reading where a signature says it is for. Pure: the clock is an
argument. What does not: whether a request is to be signed (`accept/signing.py`), where the keys come from (`config/keys.py`).

Signed are Host, Content-Type and what begins with `x-amz-`: all that AWS asks for, and nothing that a hop may touch.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote_from_bytes

from proxy.http.headers import RawHeaders

_ALGORITHM = b"AWS4-HMAC-SHA256"
_OF_A_SIGNATURE = frozenset(
    {
        b"authorization",
        b"date",
        b"x-amz-date",
        b"x-amz-security-token",
        b"x-amz-content-sha256",
    }
)
"""Headers that are part of a signature, and replaced with it."""
_SIGNED = frozenset({b"host", b"content-type"})


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key of AWS; the token is there where the key is a temporary one."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs the requests of one route."""

    credentials: Credentials
    service: str
    region: str = ""
    """Empty: where the agent's own signature was for."""

    def sign(
        self,
        method: bytes,
        target: bytes,
        authority: bytes,
        headers: RawHeaders,
        body: bytes,
        now_ns: int,
        region: str = "",
    ) -> RawHeaders:
        """Give the headers with this signature in place of any other; `region` counts where the signer has none."""
        moment = datetime.fromtimestamp(now_ns // 10**9, UTC).strftime("%Y%m%dT%H%M%SZ")
        kept = [pair for pair in headers if pair[0].lower() not in _OF_A_SIGNATURE]
        kept.append((b"X-Amz-Date", moment.encode()))
        if self.credentials.session_token:
            token = self.credentials.session_token.encode()
            kept.append((b"X-Amz-Security-Token", token))
        scope = "/".join(
            (moment[:8], self.region or region, self.service, "aws4_request")
        )
        canonical, names = _canonical_request(method, target, authority, kept, body)
        text = b"\n".join(
            (_ALGORITHM, moment.encode(), scope.encode(), _sha256(canonical))
        )
        authorization = b"%b Credential=%b/%b, SignedHeaders=%b, Signature=%b" % (
            _ALGORITHM,
            self.credentials.access_key_id.encode(),
            scope.encode(),
            names,
            self._signature(scope, text),
        )
        return [*kept, (b"Authorization", authorization)]

    def _signature(self, scope: str, text: bytes) -> bytes:
        key = b"AWS4" + self.credentials.secret_access_key.encode()
        for word in scope.split("/"):
            key = hmac.digest(key, word.encode(), hashlib.sha256)
        return hmac.digest(key, text, hashlib.sha256).hex().encode()


def region_signed_for(authorization: bytes) -> str:
    """Give the region in the scope of a signature; empty where there is none."""
    scope = authorization.partition(b"Credential=")[2].partition(b",")[0].strip()
    parts = scope.split(b"/")
    found = parts[2].decode("latin-1") if len(parts) == 5 else ""
    return found if found.isascii() and found.replace("-", "").isalnum() else ""


def _canonical_request(
    method: bytes, target: bytes, authority: bytes, headers: RawHeaders, body: bytes
) -> tuple[bytes, bytes]:
    """Give the canonical request, and the names of the headers in it."""
    path, _, query = target.partition(b"?")
    values: dict[bytes, list[bytes]] = {b"host": [authority]}
    for name, value in headers:
        lower = name.lower()
        if lower != b"host" and (lower in _SIGNED or lower.startswith(b"x-amz-")):
            values.setdefault(lower, []).append(b" ".join(value.split()))
    names = b";".join(sorted(values))
    lines = [b"%b:%b\n" % (name, b",".join(values[name])) for name in sorted(values)]
    # The path stands encoded in the target, and is encoded once more: `%3A` is signed as `%253A`.
    canonical_path = quote_from_bytes(_without_dots(path), safe="/~").encode()
    parts = (
        method,
        canonical_path,
        _canonical_query(query),
        b"".join(lines),
        names,
        _sha256(body),
    )
    return b"\n".join(parts), names


def _canonical_query(query: bytes) -> bytes:
    pairs = sorted(pair.partition(b"=")[::2] for pair in query.split(b"&") if query)
    return b"&".join(b"%b=%b" % pair for pair in pairs)


def _without_dots(path: bytes) -> bytes:
    """Resolve `.` and `..`, and make several slashes one (RFC 3986 §5.2.4, as AWS reads it)."""
    kept: list[bytes] = []
    for segment in path.split(b"/"):
        if segment == b"..":
            del kept[-1:]
        elif segment not in (b"", b"."):
            kept.append(segment)
    last = b"/" if kept and path.endswith(b"/") else b""
    return b"/" + b"/".join(kept) + last


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()
