"""Base URLs of upstreams as the settings give them.

What lives here: the strict reading of such a URL. What does not: joining it with a request's target (`accept/routes.py`).
"""

import ipaddress
import re
from dataclasses import dataclass

DEFAULT_PORTS = {"http": 80, "https": 443}
_URL = re.compile(
    r"(?P<scheme>[A-Za-z]+)://(?P<authority>[^/?#\\]*)(?P<path>/[^?#]*)?(\?(?P<query>[^#]*))?"
)
_AUTHORITY = re.compile(r"(?P<host>\[[^\]]+\]|[^:\[\]]+)(:(?P<port>[0-9]{1,5}))?")
_NAME = re.compile(
    r"(?!(.*\.)?[0-9]+\.?$)(?!.*\.\.)[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?"
)


@dataclass(frozen=True, slots=True)
class BaseUrl:
    """An upstream's address and what comes before each request's path and query."""

    scheme: str
    """`http` or `https`."""
    host: str
    """Lowercase name, or IP address without brackets."""
    port: int
    path: bytes
    """As given; empty or starting with a slash."""
    query: bytes

    def origin(self) -> str:
        """Give scheme, host and port as one text."""
        return f"{self.scheme}://{self.authority().decode()}"

    def authority(self) -> bytes:
        """Give the Host header: brackets around IPv6, the port where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (
            host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"
        ).encode()


def parse_base_url(text: str) -> BaseUrl:
    """Read a base URL; `ValueError` says what would be right, without showing the URL."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(
            "printable ASCII without spaces; others percent-encoded, names as punycode"
        )
    if "#" in text:
        raise ValueError("a URL without a fragment (#...)")
    parts = _URL.fullmatch(text)
    if parts is None or parts["scheme"].lower() not in DEFAULT_PORTS:
        raise ValueError("http://HOST[:PORT][/PATH] or https://...")
    if "@" in parts["authority"]:
        raise ValueError(
            "a URL without user and password; credentials come with each request or by upstream_key_env"
        )
    scheme = parts["scheme"].lower()
    host, port = parse_authority(parts["authority"])
    if port == 0:
        raise ValueError("a port from 1 to 65535")
    path, query = (parts["path"] or "").encode(), (parts["query"] or "").encode()
    return BaseUrl(scheme, host, port or DEFAULT_PORTS[scheme], path, query)


def parse_authority(text: str) -> tuple[str, int | None]:
    """Read `HOST`, `HOST:PORT` or `[IPV6]:PORT`; `ValueError` says what would be right."""
    parts = _AUTHORITY.fullmatch(text)
    if parts is None:
        raise ValueError("HOST:PORT, with an IPv6 address in brackets")
    port = None if parts["port"] is None else int(parts["port"])
    if port is not None and port > 65535:
        raise ValueError("a port up to 65535")
    return _host(parts["host"]), port


def _host(text: str) -> str:
    """Read a name or an address; numbers that a resolver takes for an address (`2130706433`, `127.1`) are neither."""
    try:
        if text.startswith("["):
            return str(ipaddress.IPv6Address(text[1:-1]))
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        if _NAME.fullmatch(text) is None:
            raise ValueError("a host's name or IP address before the port") from None
        return text.lower()
