"""The admin port: metrics, health and status for people, probes and Prometheus, and the word that lets a run go on.

What lives here: `Guard`, who may ask, and `AdminServer`, what is asked. What does not: the answers (`supervisor.py`, `metrics.py`).

A web page that a user of this machine opens can send requests to loopback, too, and by DNS rebinding read the answers. Hence the
checks of Host and Origin, and no CORS. Off loopback a token is required, except by the two probes, which tell nothing.
"""

import hmac
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from proxy.allowance import PATH, Said
from proxy.config import Address
from proxy.control import Json, json_response, json_route
from proxy.errors import SettingsError

OPEN_PATHS = frozenset({"/healthz", "/readyz"})


@dataclass(frozen=True, slots=True)
class Guard:
    """Decides whether a request may be answered."""

    address: Address
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Refuse to serve strangers without a token."""
        if not self.token and not self.address.is_loopback():
            raise SettingsError(
                f"admin.listen: {self.address} is not loopback and needs a token; set TACHO_ADMIN_TOKEN or admin.token"
            )

    def refusal(self, path: str, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Give status and reason for a request that must not be answered, else `None`."""
        origin = headers.get("Origin")
        host = headers.get("Host", "")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return 403, "requests from other origins are not answered"
        if self.token and self._holds_token(headers.get("Authorization", "")):
            return None
        if not self._knows_host(host):
            return (
                403,
                "the Host header names another machine; use the address of this port",
            )
        if self.token and path not in OPEN_PATHS:
            return 401, "a token is required: Authorization: Bearer <admin token>"
        return None

    def _holds_token(self, authorization: str) -> bool:
        scheme, _, given = authorization.partition(" ")
        right = hmac.compare_digest(
            given.strip().encode("utf-8", "surrogateescape"), self.token.encode()
        )
        return scheme.lower() == "bearer" and right

    def _knows_host(self, host: str) -> bool:
        """An IP cannot be rebound, and neither can localhost; other names only as configured."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in ("localhost", self.address.host.lower()) or _ip(name) is not None


def _ip(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Answers:
    """Where the admin port's answers come from."""

    health: Callable[[], tuple[bool, Json]]
    ready: Callable[[], tuple[bool, Json]]
    status: Callable[[], Awaitable[Json]]
    metrics: Callable[[str], Awaitable[tuple[bytes, str]]]
    """Takes the Accept header; gives the body and its content type."""
    allow: Callable[[bytes], Awaitable[Said]]
    """Takes the wish that a run goes on (`allowance.py`)."""


class AdminServer:
    """Serves `Answers` on a listening socket, to whom the guard lets in."""

    def __init__(self, listener: socket.socket, guard: Guard, answers: Answers) -> None:
        self._listener = listener
        self._guard = guard
        self._answers = answers
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Begin to answer."""
        app = web.Application(middlewares=[self._check])
        app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
                web.get("/status", self._status),
                json_route(PATH, self._answers.allow),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.SockSite(self._runner, self._listener).start()

    async def close(self) -> None:
        """Stop answering; closes the socket."""
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _check(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        refusal = self._guard.refusal(request.path, request.headers)
        if refusal is not None:
            response: web.StreamResponse = _error(*refusal)
        else:
            try:
                response = await handler(request)
            except web.HTTPMethodNotAllowed as error:
                response = _error(405, f"{request.method} is not allowed here")
                response.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
            except web.HTTPNotFound:
                response = _error(
                    404,
                    "not found; this port has /metrics, /healthz, /readyz and /status, and takes POST /allow",
                )
        if response.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    async def _healthz(self, _: web.Request) -> web.Response:
        ok, detail = self._answers.health()
        return json_response(detail, 200 if ok else 503)

    async def _readyz(self, _: web.Request) -> web.Response:
        ok, detail = self._answers.ready()
        return json_response(detail, 200 if ok else 503)

    async def _metrics(self, request: web.Request) -> web.Response:
        body, content_type = await self._answers.metrics(
            request.headers.get("Accept", "")
        )
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _status(self, _: web.Request) -> web.Response:
        return json_response(await self._answers.status())


def _error(status: int, message: str) -> web.Response:
    return json_response({"error": {"message": message}}, status)
