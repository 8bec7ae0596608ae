"""Where credentials sit in a request.

What lives here: finding them. What does not: what they are good for (`accept/clients.py`), whom they stand for
(`identify/caller.py`), what they look like (`accept/recognise.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import unquote_to_bytes

from proxy.http.headers import Headers

KEY_HEADERS = (b"x-api-key", b"api-key", b"x-goog-api-key")
KEY_PARAMETERS = frozenset({b"key", b"access_token"})
_SIGNED_PARAMETER = b"X-Amz-Credential"
_WEBSOCKET_KEY = b"openai-insecure-api-key."


class Scheme(StrEnum):
    """How a credential is presented."""

    BEARER = "bearer"
    BASIC = "basic"
    SIGNED = "signed"
    """AWS SigV4: the secret is the id of the access key, since the signature changes with each request."""
    HEADER = "header"
    QUERY = "query"
    WEBSOCKET = "websocket"
    """A browser's WebSocket can send it only as a subprotocol."""


@dataclass(frozen=True, slots=True)
class Credential:
    """One credential; `slot` is the lowercase name of the header, or the name of the query parameter, that holds it."""

    scheme: Scheme
    slot: bytes
    secret: bytes = field(repr=False)


def find_credentials(headers: Headers, query: bytes) -> Iterator[Credential]:
    """Give each non-empty credential of a request, in the order in which providers look for them. Never raises."""
    for value in headers.every(b"authorization"):
        credential = read_authorization(value)
        if credential is not None:
            yield credential
    for name in KEY_HEADERS:
        for value in headers.every(name):
            if value.strip():
                yield Credential(Scheme.HEADER, name, value.strip())
    if query:
        yield from _in_query(query)
    for value in headers.every(b"sec-websocket-protocol"):
        for protocol in value.split(b","):
            before, found, secret = protocol.strip().partition(_WEBSOCKET_KEY)
            if found and secret and not before:
                yield Credential(Scheme.WEBSOCKET, b"sec-websocket-protocol", secret)


def read_authorization(value: bytes) -> Credential | None:
    """Read an Authorization header's value; with a scheme that is not known all of it counts as the secret."""
    scheme, _, rest = value.strip().partition(b" ")
    secret, kind = rest.strip(), Scheme.HEADER
    match scheme.lower():
        case b"bearer":
            kind = Scheme.BEARER
        case b"basic":
            kind = Scheme.BASIC
        case b"aws4-hmac-sha256":
            kind, secret = (
                Scheme.SIGNED,
                _access_key(secret.partition(b"Credential=")[2]),
            )
        case _:
            secret = value.strip()
    return Credential(kind, b"authorization", secret) if secret else None


def parameters(query: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Give name and value of each parameter, as sent: nothing is decoded."""
    for pair in query.split(b"&"):
        name, _, value = pair.partition(b"=")
        yield name, value


def _in_query(query: bytes) -> Iterator[Credential]:
    for name, value in parameters(query):
        secret = unquote_to_bytes(value)
        if name in KEY_PARAMETERS and secret:
            yield Credential(Scheme.QUERY, name, secret)
        elif name == _SIGNED_PARAMETER and _access_key(secret):
            yield Credential(Scheme.SIGNED, name, _access_key(secret))


def _access_key(scope: bytes) -> bytes:
    return scope.partition(b"/")[0]
