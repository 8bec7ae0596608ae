"""The upstream's head is the agent's, byte for byte, but for what is between agent and proxy."""

import pytest

from proxy.forward.heads import Changes, request_head

PLAIN = Changes()


def lines(headers, changes=PLAIN, target=b"/v1/x?a=%20b"):
    raw = request_head(b"POST", target, b"api.test", headers, changes)
    assert raw.endswith(b"\r\n\r\n")
    first, *rest = raw[:-4].split(b"\r\n")
    assert first == b"POST " + target + b" HTTP/1.1"
    return rest


def test_names_values_order_and_case_stay():
    headers = [
        (b"hOsT", b"proxy.test"),
        (b"X-Odd", b"\xff"),
        (b"x-odd", b""),
        (b"Content-Length", b"3"),
    ]
    assert lines(headers) == [
        b"hOsT: api.test",
        b"X-Odd: \xff",
        b"x-odd: ",
        b"Content-Length: 3",
    ]


def test_a_request_without_a_host_gets_one_first():
    assert lines([(b"A", b"1")]) == [b"Host: api.test", b"A: 1"]


@pytest.mark.parametrize(
    ("header", "changes", "becomes"),
    [
        ((b"Content-Length", b"3"), Changes(content_length=41), b"Content-Length: 41"),
        ((b"Accept-Encoding", b"br"), Changes(identity=True), b"Accept-Encoding: identity"),
        ((b"Content-Encoding", b"gzip"), Changes(decoded=True), None),
        ((b"Content-Encoding", b"gzip"), PLAIN, b"Content-Encoding: gzip"),
        ((b"Accept-Encoding", b"br"), PLAIN, b"Accept-Encoding: br"),
        ((b"Expect", b"100-continue"), Changes(body_is_here=True), None),
        ((b"Expect", b"100-continue"), PLAIN, b"Expect: 100-continue"),
        ((b"Transfer-Encoding", b"chunked"), PLAIN, None),
        ((b"Transfer-Encoding", b"chunked"), Changes(chunked=True), b"Transfer-Encoding: chunked"),
        ((b"Connection", b"keep-alive"), PLAIN, None),
        ((b"Connection", b"keep-alive, Upgrade"), Changes(upgrade=True), b"Connection: Upgrade"),
        ((b"Upgrade", b"websocket"), PLAIN, None),
        ((b"Upgrade", b"websocket"), Changes(upgrade=True), b"Upgrade: websocket"),
        ((b"X-Tacho-Run", b"r1"), PLAIN, None),
        ((b"TE", b"trailers"), PLAIN, None),
        ((b"Proxy-Authorization", b"Basic x"), PLAIN, None),
    ],
)  # fmt: skip
def test_each_change_touches_its_own_header_only(header, changes, becomes):
    headers = [(b"Host", b"proxy.test"), (b"A", b"1"), header, (b"B", b"2")]
    middle = [] if becomes is None else [becomes]
    assert lines(headers, changes) == [b"Host: api.test", b"A: 1", *middle, b"B: 2"]


def test_what_the_connection_header_names_stays_behind():
    headers = [(b"Host", b"p"), (b"Connection", b"X-Hop"), (b"X-Hop", b"1")]
    assert lines(headers) == [b"Host: api.test"]
