"""Whose credential a request carries: the scope of runs, caps and budgets.

What lives here: a stable name for a credential that does not give it away. What does not: whether the credential is any good.
"""

import binascii
import hashlib
import hmac

import msgspec

from proxy.http.credentials import find_credentials
from proxy.http.headers import Headers

ANONYMOUS_CALLER = "anonymous"
CLIENT_KEY = "key:"
"""Before the name of a client key of ours."""
MAX_TOKEN_BYTES = 16 << 10
"""A longer token is not looked into; its hash names the caller."""
_HEX_DIGITS = 16


class _Claims(msgspec.Struct):
    """What of a JWT stays when it is renewed."""

    sub: str
    iss: str = ""
    aud: str | list[str] = ""


_claims = msgspec.json.Decoder(_Claims)


def caller(secret: bytes, headers: Headers, query: bytes, client_name: str) -> str:
    """Name the caller; never raises.

    The first that holds: `key:<name>` of a client key; the hash of a JWT's stable claims, which are believed for naming only
    (a forged one is refused by the provider); the hash of the first credential, wherever it sits; `anonymous`.
    """
    if client_name:
        return f"{CLIENT_KEY}{client_name}"
    for credential in find_credentials(headers, query):
        claims = _stable_claims(credential.secret)
        if claims is not None:
            return _digest(secret, b"jwt\0" + claims)
        return _digest(secret, b"credential\0" + credential.secret)
    return ANONYMOUS_CALLER


def _stable_claims(token: bytes) -> bytes | None:
    parts = token.split(b".")
    if len(parts) != 3 or not token.startswith(b"ey") or len(token) > MAX_TOKEN_BYTES:
        return None
    try:
        claims = _claims.decode(
            binascii.a2b_base64(parts[1].translate(_URL_SAFE) + b"==")
        )
    except (ValueError, msgspec.DecodeError, RecursionError):
        return None
    audience = [claims.aud] if isinstance(claims.aud, str) else sorted(claims.aud)
    return msgspec.json.encode([claims.iss, claims.sub, audience])


_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def _digest(secret: bytes, text: bytes) -> str:
    return hmac.digest(secret, text, hashlib.sha256).hex()[:_HEX_DIGITS]
