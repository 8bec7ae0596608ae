"""Who may call: client keys.

What lives here: finding and checking a client key, and putting the upstream's key in its place. What does not: whom a call is
attributed to (`identify/`). Keys are looked up by their whole HMAC, so neither time nor a prefix tells anything about them.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote_from_bytes, unquote_to_bytes

from proxy.accept.refusal import Refusal
from proxy.accept.routes import Route
from proxy.http.credentials import (
    KEY_HEADERS,
    KEY_PARAMETERS,
    Scheme,
    parameters,
    read_authorization,
)
from proxy.http.headers import Headers, RawHeaders
from proxy.model import ANONYMOUS, Client, ErrorType

OWN_KEY_HEADER = b"x-tacho-key"
_CHALLENGE = (("WWW-Authenticate", "Bearer"),)


@dataclass(frozen=True, slots=True)
class ClientKey:
    """One key, whom it stands for and which routes it opens (none named: all)."""

    key: str = field(repr=False)
    client: Client
    routes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Admission:
    """A caller who may pass; says how the request's credentials change on the way."""

    client: Client
    altered: tuple[str, ...] = ()
    """`credential` when the upstream's key takes the place of the client's."""
    _keys: "Clients | None" = field(default=None, repr=False)
    _upstream_key: bytes = field(default=b"", repr=False)

    def headers(self, raw: RawHeaders) -> RawHeaders:
        """Give the headers to send: each client key is replaced by the upstream's key, or dropped where there is none."""
        if self._keys is None:
            return raw
        return self._keys.rewrite_headers(raw, self._upstream_key)

    def target(self, target: bytes) -> bytes:
        """Give the target to send, with `?key=` replaced likewise."""
        if self._keys is None or b"?" not in target:
            return target
        return self._keys.rewrite_target(target, self._upstream_key)


class Clients:
    """All client keys; a snapshot that requests under way keep. Without keys everybody is `ANONYMOUS`."""

    def __init__(
        self, keys: Iterable[ClientKey], upstream_keys: Mapping[str, str], salt: bytes
    ) -> None:
        """Take the keys, the upstream keys by route's name, and what keys the hashes (the installation's secret)."""
        self._salt = salt
        self._keys = {self._digest(key.key.encode()): key for key in keys}
        self._upstream_keys = {
            route: key.encode() for route, key in upstream_keys.items()
        }

    def admit(
        self, headers: Headers, query: bytes, route: Route
    ) -> Admission | Refusal:
        """Say who calls, or why not; never raises."""
        if not self._keys:
            return Admission(ANONYMOUS)
        own = headers.first(OWN_KEY_HEADER)
        if own is not None:
            found, in_slot = self._find(own.strip()), False
        else:
            found, in_slot = self._in_slots(headers, query), True
        if found is None:
            return _unauthorised(f"route {route.name}", known=own is not None)
        if found.routes and route.name not in found.routes:
            message = f"this client key may not use route {route.name}; it may use {', '.join(sorted(found.routes))}"
            return Refusal(403, "route_not_allowed", ErrorType.AUTH, message)
        upstream_key = self._upstream_keys.get(route.name, b"")
        if in_slot and route.official and not (upstream_key or route.signs):
            message = (
                f"route {route.name} has no key of its own: set routes.{route.name}.upstream_key_env, "
                "or send the client key in x-tacho-key and the provider's in its usual place"
            )
            return Refusal(403, "no_upstream_key", ErrorType.AUTH, message)
        # With its own header a client key may stand in a slot, too (an SDK insists on one): it never goes upstream.
        return Admission(
            found.client, ("credential",) if in_slot else (), self, upstream_key
        )

    def reporter(self, headers: Headers) -> Client | Refusal:
        """Say who sends what concerns no route (a report); never raises."""
        if not self._keys:
            return ANONYMOUS
        own = headers.first(OWN_KEY_HEADER)
        found = (
            self._find(own.strip()) if own is not None else self._in_slots(headers, b"")
        )
        if found is None:
            return _unauthorised("a report", known=own is not None)
        return found.client

    def rewrite_headers(self, raw: RawHeaders, upstream_key: bytes) -> RawHeaders:
        """Replace each client key in a header; without an upstream key the header goes."""
        rewritten = []
        for name, value in raw:
            secret = self._secret_in(name.lower(), value)
            if secret is None or self._find(secret) is None:
                rewritten.append((name, value))
            elif upstream_key:
                at = value.rindex(secret)
                rewritten.append(
                    (name, value[:at] + upstream_key + value[at + len(secret) :])
                )
        return rewritten

    def rewrite_target(self, target: bytes, upstream_key: bytes) -> bytes:
        """Replace each client key in the query; without an upstream key the parameter goes."""
        path, _, query = target.partition(b"?")
        kept = []
        for pair in query.split(b"&"):
            name, _, value = pair.partition(b"=")
            if (
                name not in KEY_PARAMETERS
                or self._find(unquote_to_bytes(value)) is None
            ):
                kept.append(pair)
            elif upstream_key:
                kept.append(
                    name + b"=" + quote_from_bytes(upstream_key, safe="").encode()
                )
        return path + b"?" + b"&".join(kept) if kept else path

    def _in_slots(self, headers: Headers, query: bytes) -> ClientKey | None:
        secrets = [self._secret_in(name.lower(), value) for name, value in headers.raw]
        secrets += [
            unquote_to_bytes(value)
            for name, value in parameters(query)
            if name in KEY_PARAMETERS
        ]
        found = (self._find(secret) for secret in secrets if secret)
        return next((key for key in found if key is not None), None)

    def _secret_in(self, name: bytes, value: bytes) -> bytes | None:
        """Give the secret of a header that providers read a key from."""
        if name == b"authorization":
            credential = read_authorization(value)
            return (
                credential.secret
                if credential is not None and credential.scheme is Scheme.BEARER
                else None
            )
        return value.strip() if name in KEY_HEADERS else None

    def _find(self, secret: bytes) -> ClientKey | None:
        return self._keys.get(self._digest(secret))

    def _digest(self, secret: bytes) -> bytes:
        return hmac.digest(self._salt, b"client key\0" + secret, hashlib.sha256)


def _unauthorised(what: str, *, known: bool) -> Refusal:
    if known:
        message = "x-tacho-key holds no key that is known here"
        return Refusal(401, "bad_client_key", ErrorType.AUTH, message, _CHALLENGE)
    message = f"a client key is needed for {what}: in x-tacho-key, or where the provider's key would stand"
    return Refusal(401, "no_client_key", ErrorType.AUTH, message, _CHALLENGE)
