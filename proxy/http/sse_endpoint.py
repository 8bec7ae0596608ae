"""The endpoint that an MCP server of the old HTTP+SSE transport names, as the agent must call it.

What lives here: finding the event `endpoint` at the beginning of a stream, and putting our prefix before the path that it names.
What does not: knowing which streams may begin with it (the dialect), counting, recording.

Strategy: such a stream begins with `event: endpoint` and `data: /messages?session_id=...`. The client joins that to its own
URL, and refuses another origin. So an absolute path, and a URL of the upstream's own origin, lose the route; a relative
reference mostly keeps it. Both URLs are computed, the one that is meant and the one that the client would make of it; only where they
differ are the bytes of that one value replaced. Of the first event its data
is held until its blank line, and only while it may be the one.
https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse
"""

import re
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

from proxy.http.base_url import DEFAULT_PORTS, BaseUrl

CAP_BYTES = 8192
"""What is larger, held and new together, is no endpoint, and goes on."""

_LINE = re.compile(rb"([^\r\n]*)(\r\n|\r|\n)")
_OBJECT = re.compile(rb"data: ?[{\[]")
_AGENT = "http://agent.invalid"
"""Stands for the origin under which the agent knows us: no answer depends on it."""


class SseEndpoint:
    """Rewrites the endpoint in the first event of one stream; all else passes as it is."""

    def __init__(self, base: BaseUrl, agent_path: bytes, upstream_path: str) -> None:
        """`base` is the route's; the paths are those of the request as the agent sent it and as it went upstream."""
        root = base.path.decode("ascii").removesuffix("/")
        rest = upstream_path[len(root) :]
        self._root = root
        self._agent_path = agent_path.decode("ascii")
        self._prefix = self._agent_path.removesuffix(rest)
        self._origin = (base.scheme, base.host, base.port)
        authority = base.authority().decode("ascii")
        self._upstream = f"{base.scheme}://{authority}{upstream_path}"
        self._held = b""
        self._at = 0
        self._after_cr = False
        self._name = b""
        self._value: slice | None = None
        self.over = False
        """All that comes passes as it is."""
        self.rewritten = False
        self.unreachable = False
        """The endpoint lies outside of the route, so that no path of ours leads to it."""

    def feed(self, chunk: bytes) -> bytes:
        """Give what may go on to the agent now."""
        if self.over:
            return chunk
        self._held += chunk
        if len(self._held) > CAP_BYTES:
            return self.flush()
        return b"".join(map(self._take_line, self._lines())) + self._undecided()

    def flush(self) -> bytes:
        """Give the rest, at the end of the stream."""
        self.over = True
        rest, self._held = self._held, b""
        return rest

    def _lines(self) -> Iterator[re.Match[bytes]]:
        while not self.over and (found := _LINE.match(self._held, self._at)):
            yield found

    def _undecided(self) -> bytes:
        """Give what is held of an unfinished line and of its event, unless that may be ours to change."""
        rest = self._held[self._at :]
        is_object = not self._name and _OBJECT.match(rest) is not None
        return self.flush() if self.over or is_object else b""

    def _take_line(self, found: re.Match[bytes]) -> bytes:
        """Take a line; give what can go on, which is all before the data."""
        start, self._at = self._at, found.end()
        line = found[1]
        second_half = self._after_cr and found[0] == b"\n"
        self._after_cr = found[2] == b"\r" and self._at == len(self._held)
        if not second_half:
            self._read_line(line, start)
        if self.over or self._value is not None:
            return b""
        passed, self._held = self._held[: self._at], self._held[self._at :]
        self._at = 0
        return passed

    def _read_line(self, line: bytes, start: int) -> None:
        name, _, value = line.partition(b":")
        begins = start + len(line) - len(value) + value.startswith(b" ")
        if not line and self._value is not None:
            self._end_event(self._value)
        elif not line:
            self._name = b""
        elif name == b"event":
            self._name = value.removeprefix(b" ")
            self.over = self._name != b"endpoint"
        elif name == b"data":
            # An endpoint of two lines is none.
            self.over = self._value is not None
            self._value = slice(begins, start + len(line))

    def _end_event(self, place: slice) -> None:
        self.over = True
        if self._name == b"endpoint":
            held, wanted = self._held, self._wanted(self._held[place])
            if wanted is not None:
                self.rewritten = True
                self._held = held[: place.start] + wanted + held[place.stop :]

    def _wanted(self, said: bytes) -> bytes | None:
        """Give what must stand there instead, or nothing where the client finds the way or nobody does."""
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
