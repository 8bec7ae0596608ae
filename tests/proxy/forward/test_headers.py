"""What of a head is passed on, and how one is written."""

from proxy.forward.headers import connection_tokens, end_to_end, write_head


def test_hop_by_hop_headers_and_ours_stay_behind() -> None:
    headers = [
        (b"Connection", b"X-A, close, content-length"),
        (b"Connection", b""),
        (b"X-A", b"1"),
        (b"Keep-Alive", b"5"),
        (b"TE", b"gzip"),
        (b"Upgrade", b"h2c"),
        (b"Proxy-Authorization", b"x"),
        (b"X-Tacho-Run", b"r"),
        (b"Content-Length", b"3"),
        (b"X-B", b"2"),
    ]
    assert connection_tokens(headers) == {b"x-a", b"close", b"content-length"}
    assert [name for _, name, _ in end_to_end(headers, b"x-tacho-")] == [
        b"Content-Length",
        b"X-B",
    ]


def test_a_head_is_written_byte_for_byte() -> None:
    assert (
        write_head(b"GET / HTTP/1.1", [(b"A", b"\xff"), (b"a", b"")])
        == b"GET / HTTP/1.1\r\nA: \xff\r\na: \r\n\r\n"
    )
