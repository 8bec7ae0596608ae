"""URLs that an upstream names, as the agent must call them.

What lives here: the path of ours that means the same place, for a reference that stands in an answer. What does not: where in an
answer such a reference stands (`sse_endpoint.py` for MCP's old transport, `answering.py` for `Location`).

The agent joins a reference to its own URL. So an absolute path, and a URL of the upstream's own origin, lose the route; a relative
reference mostly keeps it. Both URLs are computed, the one that is meant and the one that the agent would make of it; only where they
differ is another reference needed.
"""

from urllib.parse import urljoin, urlsplit

from proxy.http.base_url import DEFAULT_PORTS, BaseUrl

_AGENT = "http://agent.invalid"
"""Stands for the origin under which the agent knows us: no answer depends on it."""


class LeadingBack:
    """Knows where one request went, and what the agent called it."""

    def __init__(self, base: BaseUrl, agent_path: bytes, upstream_path: str) -> None:
        """`base` is the route's; the paths are those of the request as the agent sent it and as it went upstream."""
        root = base.path.decode("ascii").removesuffix("/")
        self._root = root
        self._agent_path = agent_path.decode("ascii")
        self._prefix = self._agent_path.removesuffix(upstream_path[len(root) :])
        self._origin = (base.scheme, base.host, base.port)
        authority = base.authority().decode("ascii")
        self._upstream = f"{base.scheme}://{authority}{upstream_path}"
        self.unreachable = False
        """What was asked for last lies outside of the route, so that no path of ours leads to it."""

    def wanted(self, said: bytes) -> bytes | None:
        """Give what must stand there instead, or nothing where the agent finds the way or nobody does."""
        self.unreachable = False
        try:
            text = said.decode("ascii")
            meant = urlsplit(urljoin(self._upstream, text))
            joined = urlsplit(urljoin(_AGENT + self._agent_path, text))
            port = meant.port or DEFAULT_PORTS.get(meant.scheme)
        except ValueError:
            return None
        if (meant.scheme, meant.hostname, port) != self._origin:
            return None
        rest = meant.path[len(self._root) :]
        if not meant.path.startswith(self._root) or rest[:1] not in ("", "/"):
            self.unreachable = True
            return None
        path = self._prefix + rest
        if (f"{joined.scheme}://{joined.netloc}", joined.path) == (_AGENT, path):
            return None
        wanted = path + ("?" + meant.query if meant.query else "")
        return wanted.encode("ascii")
