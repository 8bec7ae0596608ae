"""The URL names route, upstream target and perhaps tenant, agent and run.

What lives here: reading a request's target, byte by byte, and joining it with the route's base. What does not: connecting, who
may use a route (`clients.py`).

Strategy: the host comes from the settings and from nothing else; the target is refused unless it is a plain path, and then
only cut at slashes and concatenated. No URL library touches it, since each normalises something.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from proxy.accept.recognise import is_meant_for, provider_of_request
from proxy.accept.refusal import Refusal
from proxy.http.base_url import BaseUrl
from proxy.http.headers import Headers
from proxy.model import ErrorType, Kind, is_id
from proxy.providers import find, of_host

PREFIXES = (b"tenant", b"agent", b"run")
"""What may stand before the route, in this order, each optional, each followed by a value."""
_OWN_WORDS = frozenset({*PREFIXES, b"tacho"})
_OF_MODELS = (Kind.LLM, Kind.EMBEDDING)
_REFUSED_METHODS = frozenset({"CONNECT", "TRACE"})
_ALLOWED = (("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),)
_ABSOLUTE = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://.*")
_PLAIN_PATH = re.compile(rb"/(?![/\\])[!-\"$-~]*")
"""Printable ASCII without `#`, after exactly one slash."""


@dataclass(frozen=True, slots=True)
class Route:
    """One upstream; built by the worker from the settings."""

    name: str
    base: BaseUrl
    kind: Kind = Kind.LLM
    provider: str = ""
    dialect: str = ""
    stream_usage: str = "estimate"
    websocket: bool = False
    allow_link_local: bool = False
    ca_file: str = ""
    signs: bool = False
    """Requests are signed here (AWS), so that a client key needs no other key to take its place."""
    connect_seconds: float | None = None
    first_byte_seconds: float | None = None
    idle_seconds: float | None = None

    @property
    def official(self) -> str:
        """Give the provider whose own host this is, or an empty string."""
        known = of_host(self.base.host)
        return known.name if known else ""


@dataclass(frozen=True, slots=True)
class Match:
    """Where a request goes, and what its path said besides."""

    route: Route
    upstream_target: bytes
    """Path and query to send."""
    upstream_path: str
    """The path alone."""
    query: bytes
    """The agent's own query, without the question mark."""
    tenant: str = ""
    agent: str = ""
    run: str = ""
    ignored: int = 0
    """Names in the path that were not valid."""
    altered: tuple[str, ...] = ()
    """`path_prefix` when the agent's path began with words of ours."""
    rest: bytes = b""
    """The path behind the route's base."""


class RouteTable:
    """All routes; a snapshot that requests under way keep."""

    def __init__(self, routes: Iterable[Route], default_route: str = "") -> None:
        self.routes = {route.name: route for route in routes}
        self._default = self.routes[default_route] if default_route else None
        self._names = tuple(sorted(self.routes))
        self._by_segment = {
            route.name.encode(): route for route in self.routes.values()
        }
        self._by_provider = {
            r.name: r for r in self.routes.values() if _is_its_providers_own(r)
        }
        self._official = {name: r.official for name, r in self.routes.items()}

    def match(self, method: str, target: bytes, headers: Headers) -> Match | Refusal:
        """Say where a request goes; never raises."""
        refusal = _refuse_target(method, target)
        if refusal is not None:
            return refusal
        path, question, query = target.partition(b"?")
        named = read_prefixes(path)
        if isinstance(named, Refusal):
            return named
        values, rest = named
        ignored = sum(not each for each in values.values())
        segment = rest[1:].partition(b"/")[0]
        route = self._by_segment.get(segment)
        upstream_rest = rest[1 + len(segment) :] if route is not None else rest
        if route is None:
            route = self._unnamed(rest, segment, headers, query)
        elif self._is_foreign(route, upstream_rest, headers, query):
            # Groq's SDK adds /openai/v1 to a base URL and Azure's /openai/deployments: neither means OpenAI.
            # Who named a route does not mean the default one.
            meant, upstream_rest = self._recognise(rest, headers, query), rest
            if meant is None:
                return self._no_route(
                    f"this key or path is not one of {route.official}, where route {route.name} leads"
                )
            route = meant
        if route is None:
            return self._no_route("no route has this name")
        joined = join_path(route.base.path, upstream_rest)
        return Match(
            route,
            joined + join_query(route.base.query, question, query),
            joined.decode("ascii"),
            query,
            values.get(b"tenant", ""),
            values.get(b"agent", ""),
            values.get(b"run", ""),
            ignored,
            ("path_prefix",) if upstream_rest != path else (),
            upstream_rest,
        )

    def _unnamed(
        self, path: bytes, segment: bytes, headers: Headers, query: bytes
    ) -> Route | None:
        """Find the route of a path that names none."""
        if segment in _OWN_WORDS:
            return None
        found = self._recognise(path, headers, query)
        if found is not None or self._default is None:
            return found
        foreign = self._is_foreign(self._default, path, headers, query)
        return None if foreign else self._default

    def _recognise(self, path: bytes, headers: Headers, query: bytes) -> Route | None:
        """Find the route of the one provider that path and key fit."""
        route = self._by_provider.get(provider_of_request(path, headers, query))
        if route is None or self._is_foreign(route, path, headers, query):
            return None
        return route

    def _is_foreign(
        self, route: Route, path: bytes, headers: Headers, query: bytes
    ) -> bool:
        """Tell whether a provider's own host would get another provider's key or call."""
        official = self._official[route.name]
        if not official:
            return False
        azures = path.startswith(b"/deployments/") and official == "openai"
        return azures or not is_meant_for(official, headers, query)

    def _no_route(self, why: str) -> Refusal:
        names = ", ".join(self._names)
        message = f"{why}; the path begins with the name of a route: {names}"
        return Refusal(
            404, "no_route", ErrorType.NOT_FOUND, message, routes=self._names
        )


def _refuse_target(method: str, target: bytes) -> Refusal | None:
    if method in _REFUSED_METHODS:
        message = f"{method} is not served here"
        return Refusal(405, "bad_method", ErrorType.INVALID_REQUEST, message, _ALLOWED)
    if _PLAIN_PATH.fullmatch(target):
        return None
    if _ABSOLUTE.fullmatch(target):
        message = "this is no forward proxy: set the base URL, not HTTP_PROXY"
        return Refusal(421, "not_a_forward_proxy", ErrorType.INVALID_REQUEST, message)
    message = "the request target must be a path of printable ASCII that begins with one slash and has no #"
    return Refusal(400, "bad_target", ErrorType.INVALID_REQUEST, message)


def read_prefixes(path: bytes) -> tuple[dict[bytes, str], bytes] | Refusal:
    """Take `/tenant/<t>/agent/<a>/run/<r>` off the path; a name that is not valid is empty."""
    values: dict[bytes, str] = {}
    rest = path
    for word in PREFIXES:
        if not rest.startswith(b"/" + word + b"/"):
            continue
        raw, slash, after = rest[len(word) + 2 :].partition(b"/")
        value = unquote_to_bytes(raw).decode("latin-1")
        values[word] = value if is_id(value) else ""
        rest = slash + after or b"/"
    if values and rest[1:].partition(b"/")[0] in PREFIXES:
        message = (
            "prefixes come once each, in the order /tenant/T/agent/A/run/R/ROUTE/..."
        )
        return Refusal(400, "bad_prefix", ErrorType.INVALID_REQUEST, message)
    return values, rest


def _is_its_providers_own(route: Route) -> bool:
    """Tell whether a route with a provider's name really leads to that provider's models; a tool may have its name, too."""
    known = find(route.provider) if route.kind in _OF_MODELS else None
    return known is not None and known.name == route.name


def join_path(base: bytes, rest: bytes) -> bytes:
    """Put exactly one slash where the two meet; all other bytes stay as they are."""
    if not rest:
        return base or b"/"
    return base.removesuffix(b"/") + b"/" + rest.removeprefix(b"/")


def join_query(base: bytes, question: bytes, query: bytes) -> bytes:
    """Put a base URL's query before the request's own."""
    if base:
        return b"?" + base + (b"&" + query if query else b"")
    return question + query
