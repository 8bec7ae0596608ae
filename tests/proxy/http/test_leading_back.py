"""A reference to the upstream's own places becomes one to ours; all others stay. `test_sse_endpoint.py` has the table of places."""

import pytest

from proxy.http.base_url import parse_base_url
from proxy.http.leading_back import LeadingBack


def made() -> LeadingBack:
    base = parse_base_url("http://tickets.internal:8080/api")
    return LeadingBack(base, b"/run/r1/tickets/mcp", "/api/mcp")


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (b"/api/mcp/", b"/run/r1/tickets/mcp/"),
        (b"http://tickets.internal:8080/api/mcp/?a=%2F", b"/run/r1/tickets/mcp/?a=%2F"),
        (b"//tickets.internal:8080/api", b"/run/r1/tickets"),
        (b"mcp/", None),
        (b"https://tickets.internal:8080/api/mcp", None),
        (b"http://elsewhere/api/mcp", None),
        (b"http://[::1", None),
        (b"/api/\xff", None),
        (b"", None),
    ],
)
def test_only_places_of_the_upstream_are_translated(said: bytes, wanted: bytes | None):
    leading_back = made()
    assert leading_back.wanted(said) == wanted
    assert not leading_back.unreachable


def test_places_beyond_the_route_are_told_of_each_time():
    leading_back = made()
    for said, unreachable in ((b"/apiary", True), (b"/api/x", False), (b"/", True)):
        leading_back.wanted(said)
        assert leading_back.unreachable is unreachable
