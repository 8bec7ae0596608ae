"""The head of the request that goes upstream: the agent's, less what is between agent and proxy. Pure.

Names, values, their order and case stay as the agent sent them. Changed are: Host, the headers of RFC 9110 §7.6.1, our own
`x-tacho-*`, `Expect` where the body is already here, and what `Changes` says.
"""

from dataclasses import dataclass

from proxy.forward.headers import end_to_end, write_head
from proxy.http.headers import RawHeaders

OUR_HEADERS = b"x-tacho-"


@dataclass(slots=True, frozen=True)
class Changes:
    """What else is changed in the head."""

    content_length: int | None = None
    """The new length of a body that was altered."""
    decoded: bool = False
    """The body has lost its content coding."""
    identity: bool = False
    """Ask for an answer without a content coding: only then can it be given back as it would have been."""
    body_is_here: bool = False
    """The body follows at once, so nobody needs to wait for a 100."""
    chunked: bool = False
    upgrade: bool = False
    """The agent asks for another protocol, and may."""


def request_head(
    method: bytes,
    target: bytes,
    authority: bytes,
    headers: RawHeaders,
    changes: Changes,
) -> bytes:
    """Give the head's bytes, its empty line included."""
    lines: list[tuple[bytes, bytes]] = []
    named_host = False
    for lower, name, value in end_to_end(headers, OUR_HEADERS, _kept(changes)):
        match lower:
            case b"host":
                named_host = True
                lines.append((name, authority))
            case b"content-length" if changes.content_length is not None:
                lines.append((name, str(changes.content_length).encode("ascii")))
            case b"content-encoding" if changes.decoded:
                continue
            case b"accept-encoding" if changes.identity:
                lines.append((name, b"identity"))
            case b"expect" if changes.body_is_here:
                continue
            case b"connection":
                lines.append((name, b"Upgrade"))
            case _:
                lines.append((name, value))
    if not named_host:
        lines.insert(0, (b"Host", authority))
    return write_head(b"%b %b HTTP/1.1" % (method, target), lines)


def _kept(changes: Changes) -> frozenset[bytes]:
    """Name the hop-by-hop headers that are needed on the next hop, too; they stay where they stood."""
    framing = {b"transfer-encoding"} if changes.chunked else set()
    upgrade = {b"connection", b"upgrade"} if changes.upgrade else set()
    return frozenset(framing | upgrade)
