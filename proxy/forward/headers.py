"""Heads as bytes: what a proxy passes on, and how a head is written. Pure.

Names and values stay byte for byte, in the order in which they came.
"""

from collections.abc import Iterable

from proxy.http.headers import RawHeaders

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"proxy-connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""RFC 9110 §7.6.1, and the two that only proxies speak."""

_NEVER_NAMED = frozenset({b"content-length", b"host"})
"""Framing and target stay whatever the Connection header says: dropping them would change the message."""


def connection_tokens(headers: RawHeaders) -> frozenset[bytes]:
    """Give the names that the Connection header lists, in lower case."""
    return frozenset(
        token
        for name, value in headers
        if name.lower() == b"connection"
        for token in (part.strip().lower() for part in value.split(b","))
        if token
    )


def end_to_end(
    headers: RawHeaders, drop_prefix: bytes, keep: frozenset[bytes] = frozenset()
) -> Iterable[tuple[bytes, bytes, bytes]]:
    """Give (lower-case name, name, value) of what a proxy passes on: no hop-by-hop header but those in `keep`, none of ours."""
    dropped = (HOP_BY_HOP | (connection_tokens(headers) - _NEVER_NAMED)) - keep
    for name, value in headers:
        lower = name.lower()
        if lower not in dropped and not lower.startswith(drop_prefix):
            yield lower, name, value


def write_head(first_line: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Give the bytes of a head."""
    lines = [first_line]
    lines += [name + b": " + value for name, value in headers]
    lines += (b"", b"")
    return b"\r\n".join(lines)
