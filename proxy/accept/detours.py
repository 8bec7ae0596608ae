"""Other upstreams for a request: where it goes there, and with whose key.

What lives here: a route's fallbacks as the worker knows them, and what of a request changes on the way to one. What does not: when one is
taken (`proxy/fallbacks.py`), connecting.

The agent's credential was meant for the first upstream, and goes to another one only where the settings say so. Otherwise whatever may hold
one is left out, by name, and the other upstream's own key takes its place.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import unquote_to_bytes

from proxy.accept.clients import Admission
from proxy.accept.routes import Match, Route, join_path, join_query
from proxy.http.credentials import KEY_HEADERS, KEY_PARAMETERS, find_credentials
from proxy.http.headers import Headers, RawHeaders
from proxy.model import Client
from proxy.providers import find

OWN_KEY, AGENTS_KEY, NO_KEY = "own", "agent", "none"
ANY_MODEL = "*"
_SECRET = re.compile(
    rb"auth|key$|token|secret|cookie|credential|passw|pwd|signature|jwt|^(?:sig|code|pass|session)$",
    re.IGNORECASE,
)
"""In names of headers that may hold a credential, and of parameters (Azure's `sig` and `code` among them)."""
_ACCOUNTS = frozenset({b"openai-organization", b"openai-project", b"chatgpt-account-id", b"x-goog-user-project"})  # fmt: skip
"""Headers that name an account at the first upstream."""
_AUTHORIZATION = b"Authorization"
_ANTHROPIC = b"x-api-key"
_GOOGLE = b"x-goog-api-key"


@dataclass(frozen=True, slots=True)
class Detour:
    """Another upstream of a route."""

    route: Route
    key: str = OWN_KEY
    """Whose credential goes there: `own`, `agent` or `none`."""
    models: Mapping[str, str] = field(default_factory=dict)
    """What models are called there; `*` stands for all others."""
    secret: bytes = field(default=b"", repr=False)
    """Its own key; empty where it has none, or where requests are signed."""

    def model(self, name: str) -> str:
        """Give what a model is called there."""
        return self.models.get(name) or self.models.get(ANY_MODEL) or name


@dataclass(frozen=True, slots=True)
class StandIn(Admission):
    """Whom a request is admitted for, on its way to an upstream that must not see the agent's credential."""

    name: bytes = _AUTHORIZATION
    """The header that takes the key."""
    secret: bytes = field(default=b"", repr=False)
    """Empty: none."""

    def headers(self, raw: RawHeaders) -> RawHeaders:
        """Give the headers without anything that may be a credential, but with the key."""
        value = b"Bearer " + self.secret if self.name == _AUTHORIZATION else self.secret
        lines = [(self.name, value)] if self.secret else []
        kept: list[tuple[bytes, bytes]] = []
        for name, each in raw:
            if not _is_secret(name.lower()):
                kept.append((name, each))
            elif _holds_key(name.lower()):
                kept += lines
                lines = []
        return kept + lines

    def target(self, target: bytes) -> bytes:
        """Give the target as it is: the agent's credentials have been taken out (`leads_to`)."""
        return target


def leads_to(match: Match, detour: Detour) -> Match:
    """Say where a request goes that takes a detour."""
    base, query = detour.route.base, match.query
    if detour.key != AGENTS_KEY:
        pairs = query.split(b"&") if query else []
        query = b"&".join(each for each in pairs if not _is_key(each.partition(b"=")[0]))  # fmt: skip
    joined = join_path(base.path, match.rest)
    return replace(
        match,
        route=detour.route,
        upstream_target=joined + join_query(base.query, b"?" if query else b"", query),
        upstream_path=joined.decode("ascii"),
        query=query,
    )


def admitted(client: Client, headers: Headers, query: bytes, detour: Detour) -> StandIn:
    """Say for whom a request is admitted that takes a detour without the agent's credential."""
    found = next(find_credentials(headers, query), None)
    slot = _slot(detour.route.provider, b"" if found is None else found.slot)
    return StandIn(client, ("credential",), name=slot, secret=detour.secret)


def _slot(provider: str, agents: bytes) -> bytes:
    """Name the header in which an upstream looks for its key; where nobody knows, the one that the agent's was in."""
    known = find(provider)
    if known is not None and known.key_slot:
        return known.key_slot
    if known is not None and known.name == "anthropic":
        return _ANTHROPIC
    if agents in KEY_PARAMETERS:
        return _GOOGLE
    return agents if agents in (_ANTHROPIC, _GOOGLE) else _AUTHORIZATION


def _holds_key(name: bytes) -> bool:
    return name == b"authorization" or name in KEY_HEADERS


def _is_secret(name: bytes) -> bool:
    return name in _ACCOUNTS or _SECRET.search(name) is not None


def _is_key(name: bytes) -> bool:
    name = unquote_to_bytes(name)  # as whoever gets it will read it
    return name in KEY_PARAMETERS or _SECRET.search(name) is not None
