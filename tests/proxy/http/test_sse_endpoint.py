"""The endpoint of an old MCP server reaches the agent as a path that leads back here; nothing else changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.base_url import parse_base_url
from proxy.http.leading_back import LeadingBack
from proxy.http.sse_endpoint import CAP_BYTES, SseEndpoint

BASE = "http://tickets.internal:8080/api"


def rewriter(
    base: str = BASE, agent: bytes = b"/run/r1/tickets/sse", upstream: str = "/api/sse"
) -> SseEndpoint:
    return SseEndpoint(LeadingBack(parse_base_url(base), agent, upstream))


def event(data: str) -> bytes:
    return b"event: endpoint\r\ndata: %b\r\n\r\n" % data.encode()


def passed(made: SseEndpoint, *chunks: bytes) -> bytes:
    return b"".join(map(made.feed, chunks)) + made.flush()


PLACES = [
    # base, the agent's path, the upstream's, what the server says, what the agent has to be told
    pytest.param(
        BASE,
        b"/run/r1/tickets/sse",
        "/api/sse",
        "/api/messages?session_id=7",
        "/run/r1/tickets/messages?session_id=7",
        id="an absolute path",
    ),
    pytest.param(
        BASE,
        b"/tickets/sse",
        "/api/sse",
        "http://tickets.internal:8080/api/messages/?s=%2F",
        "/tickets/messages/?s=%2F",
        id="a URL of the upstream's",
    ),
    pytest.param(
        "https://Tickets.internal/",
        b"/tickets/sse",
        "/sse",
        "//tickets.internal/messages",
        "/tickets/messages",
        id="a URL without scheme, the port left out",
    ),
    pytest.param(
        "https://tickets.internal",
        b"/tickets",
        "/",
        "messages?s=1",
        "/tickets/messages?s=1",
        id="a relative one that would lose the route",
    ),
    pytest.param(
        BASE,
        b"/tickets",
        "/api",
        "/api?s=1",
        "/tickets?s=1",
        id="the route itself",
    ),
    pytest.param(
        "http://[::1]:7/", b"/t/sse", "/sse", "http://[::1]:7/m", "/t/m", id="IPv6"
    ),
]
LEFT = [
    pytest.param(
        b"/t/sse", "/api/sse", "messages?s=1", id="a relative one that works"
    ),
    pytest.param(b"/t/sse", "/api/sse", "?s=1", id="a query"),
    pytest.param(
        b"/t/sse", "/api/sse", "https://tickets.internal:8080/api/m", id="other scheme"
    ),
    pytest.param(b"/t/sse", "/api/sse", "http://elsewhere/api/m", id="other host"),
    pytest.param(
        b"/t/sse", "/api/sse", "http://tickets.internal/api/m", id="other port"
    ),
    pytest.param(b"/t/sse", "/api/sse", "http://[::1/m", id="no URL"),
    pytest.param(b"/t/sse", "/api/sse", "http://h:x/m", id="no port"),
    pytest.param(b"/t/sse", "/api/sse", "/api/\N{LATIN SMALL LETTER E WITH ACUTE}", id="not ASCII"),
    pytest.param(b"/api/sse", "/api/sse", "/api/messages", id="a path without prefix"),
]  # fmt: skip


@pytest.mark.parametrize(("base", "agent", "upstream", "said", "told"), PLACES)
def test_an_endpoint_that_would_lose_the_route_gets_its_prefix(
    base: str, agent: bytes, upstream: str, said: str, told: str
):
    made = rewriter(base, agent, upstream)
    assert passed(made, event(said)) == event(told)
    assert (made.rewritten, made.unreachable) == (True, False)
    assert (made.named, made.too_long) == (True, False)


@pytest.mark.parametrize(("agent", "upstream", "said"), LEFT)
def test_other_endpoints_stay_as_they_are(agent: bytes, upstream: str, said: str):
    made = rewriter(BASE, agent, upstream)
    assert passed(made, event(said)) == event(said)
    assert (made.rewritten, made.unreachable) == (False, False)


@pytest.mark.parametrize("said", ["/messages?s=1", "/apiary/messages", "../m"])
def test_an_endpoint_beyond_the_route_stays_and_is_told_of(said: str):
    made = rewriter()
    assert passed(made, event(said)) == event(said)
    assert (made.rewritten, made.unreachable) == (False, True)


SAID, TOLD = b"/api/m", b"/run/r1/tickets/m"
STREAMS = [
    pytest.param(b"event: endpoint\ndata: %b\n\n", id="LF"),
    pytest.param(b"event: endpoint\r\ndata: %b\r\n\r\n", id="CRLF"),
    pytest.param(b"event: endpoint\rdata: %b\r\r", id="CR"),
    pytest.param(b"data:%b\nevent:endpoint\n\n", id="data first, no spaces"),
    pytest.param(b": hello\n\nretry: 10\n\nid: 7\nevent: endpoint\nid: 8\ndata: %b\nretry: 7\n\n", id="other fields"),
    pytest.param(b"event: endpoint\n\nevent: endpoint\ndata: %b\n\n", id="a name without data before"),
    pytest.param(b"event: endpoint\ndata: %b\n\nevent: endpoint\ndata: /api/x\n\n", id="only the first"),
]  # fmt: skip


@pytest.mark.parametrize("stream", STREAMS)
def test_the_bytes_of_the_one_value_change_however_the_stream_is_cut(stream: bytes):
    said, told = stream % SAID, stream % TOLD
    assert passed(rewriter(), said) == told
    assert passed(rewriter(), *(said[at : at + 1] for at in range(len(said)))) == told
    for at in range(len(said)):
        assert passed(rewriter(), said[:at], said[at:]) == told


OTHERS = [
    pytest.param(b"event: message\n", id="another event"),
    pytest.param(b'data: {"jsonrpc"', id="a message without name"),
    pytest.param(b"event: endpoint\ndata: /api/m\ndata: x\n", id="two lines of data"),
    pytest.param(b"data: /api/m\n\n", id="data without name"),
    pytest.param(b"x" * (CAP_BYTES + 1), id="a line without end"),
]


@pytest.mark.parametrize("start", OTHERS)
def test_a_stream_that_begins_otherwise_passes_at_once(start: bytes):
    made = rewriter()
    assert made.feed(start) == start
    assert made.over
    assert not made.rewritten
    assert made.feed(event("/api/m")) == event("/api/m")


LONG = [
    pytest.param(event("/api/m?" + "x" * CAP_BYTES), id="an endpoint"),
    pytest.param(b"x" * (CAP_BYTES + 1) + b"\n" + event("/api/m"), id="a line"),
]


@pytest.mark.parametrize("stream", LONG)
@pytest.mark.parametrize("size", [1, 100, CAP_BYTES, 1 << 20])
def test_what_is_too_long_passes_and_is_told_of_however_it_is_cut(
    stream: bytes, size: int
):
    made = rewriter()
    chunks = (stream[at : at + size] for at in range(0, len(stream), size))
    assert passed(made, *chunks) == stream
    assert (made.too_long, made.rewritten, made.named) == (True, False, False)


@pytest.mark.parametrize("size", [1, 100, 1 << 20])
def test_it_does_not_matter_how_much_comes_with_an_endpoint(size: int):
    before = b": ping\n\n" * CAP_BYTES
    after = b"event: message\ndata: {}\n\n" * CAP_BYTES
    stream = before + event("/api/m") + after
    made = rewriter()
    chunks = (stream[at : at + size] for at in range(0, len(stream), size))
    told = before + event("/run/r1/tickets/m") + after
    assert passed(made, *chunks) == told
    assert not made.too_long


def test_a_message_without_name_is_not_too_long():
    made = rewriter()
    assert made.feed(b'data: {"a":"' + b"x" * CAP_BYTES)
    assert (made.over, made.too_long) == (True, False)


def test_what_comes_before_the_data_is_not_held():
    made = rewriter()
    assert made.feed(b": ping\n\nevent: endpoint\nda") == b": ping\n\nevent: endpoint\n"
    assert made.feed(b"ta: /api/m\n") == b""
    assert made.flush() == b"data: /api/m\n"


@given(st.lists(st.binary(max_size=40)))
def test_no_bytes_are_lost_or_refused(chunks: list[bytes]):
    made = rewriter()
    assert passed(made, *chunks) == b"".join(chunks) or made.rewritten


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=60))
def test_no_endpoint_is_refused(said: str):
    made = rewriter()
    out = passed(made, event(said))
    assert out == event(said) or made.rewritten
