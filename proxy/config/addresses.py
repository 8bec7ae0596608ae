"""Addresses to listen on."""

import ipaddress
from dataclasses import dataclass

from proxy.http.base_url import parse_authority


@dataclass(frozen=True, slots=True)
class Address:
    """A host (name or IP, no brackets) and a port; port 0 lets the system choose."""

    host: str
    port: int

    def is_loopback(self) -> bool:
        """Tell whether only this machine can reach it; of names only `localhost` is known to be."""
        try:
            ip = ipaddress.ip_address(self.host)
        except ValueError:
            return self.host == "localhost"
        mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
        return (mapped or ip).is_loopback

    def __str__(self) -> str:
        """Write it as settings and URLs do."""
        return (
            f"[{self.host}]:{self.port}"
            if ":" in self.host
            else f"{self.host}:{self.port}"
        )


def parse_address(text: str) -> Address:
    """Read `HOST:PORT` or `[IPV6]:PORT`; `ValueError` says what would be right."""
    host, port = parse_authority(text)
    if port is None:
        raise ValueError("HOST:PORT, for example 127.0.0.1:4141")
    return Address(host, port)
