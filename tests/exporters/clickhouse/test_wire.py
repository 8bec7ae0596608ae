"""What requests say, read without a server."""

import base64
import gzip
import zlib

import lz4.frame  # type: ignore[import-untyped, unused-ignore]
import pytest
import zstandard

from exporters.clickhouse.wire import (
    Credentials,
    Unusable,
    choose_encoding,
    deflate,
    find_key,
    host_allowed,
    inflate,
    origin_allowed,
    parameters,
    settings,
)

PLAIN = b"x" * 1000
TOKENS = Credentials("read", "write")


def basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize(
    ("headers", "query", "key"),
    [
        ({"X-ClickHouse-Key": "k"}, {}, "k"),
        (basic("user:k:with:colons"), {}, "k:with:colons"),
        ({"Authorization": "Bearer k"}, {}, "k"),
        ({}, {"password": "k"}, "k"),
        ({}, {}, ""),
        ({"Authorization": "Basic !!!"}, {}, ""),
        ({"Authorization": "Digest k"}, {}, ""),
    ],
)
def test_the_password_is_found_where_clients_put_it(
    headers: dict[str, str], query: dict[str, str], key: str
) -> None:
    assert find_key(headers, query) == key


def test_each_token_has_its_role_and_no_token_has_none() -> None:
    assert [TOKENS.role(k) for k in ("read", "write", "", "other", "é")] == [
        "reader",
        "writer",
        None,
        None,
        None,
    ]
    assert Credentials("", "").role("") is None
    assert "read" not in repr(TOKENS)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("", PLAIN),
        ("identity", PLAIN),
        ("gzip", gzip.compress(PLAIN, mtime=0)),
        ("deflate", zlib.compress(PLAIN)),
        ("zstd", zstandard.compress(PLAIN)),
        ("lz4", lz4.frame.compress(PLAIN)),
    ],
)
def test_bodies_are_inflated_up_to_a_limit(encoding: str, body: bytes) -> None:
    assert inflate(body, encoding, 1000) == PLAIN
    with pytest.raises(Unusable) as caught:
        inflate(body, encoding, 999)
    assert caught.value.status == 413


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "lz4"])
def test_a_broken_body_is_the_clients_fault(encoding: str) -> None:
    with pytest.raises(Unusable):
        inflate(b"no such thing", encoding, 1000)


def test_an_unknown_encoding_is_said_to_be_unknown() -> None:
    with pytest.raises(Unusable, match="snappy") as caught:
        inflate(b"", "snappy", 10)
    assert caught.value.status == 415


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "lz4"])
def test_answers_are_compressed_as_the_client_takes_them(encoding: str) -> None:
    assert choose_encoding(f"br;q=0.1, {encoding}") == encoding
    assert inflate(deflate(PLAIN, encoding), encoding, 1000) == PLAIN


def test_no_encoding_in_common_means_none() -> None:
    assert choose_encoding("snappy, identity") == ""
    assert deflate(PLAIN, "") == PLAIN


@pytest.mark.parametrize(
    ("host", "configured", "allowed"),
    [
        ("localhost:4143", "127.0.0.1", True),
        ("127.0.0.1:4143", "127.0.0.1", True),
        ("[::1]:4143", "127.0.0.1", True),
        ("tacho.localhost", "127.0.0.1", True),
        ("192.168.0.7:4143", "127.0.0.1", True),
        ("evil.example:4143", "127.0.0.1", False),
        ("", "127.0.0.1", False),
        ("grafana-net.internal:4143", "0.0.0.0", True),
    ],
)
def test_a_name_that_anybody_can_point_here_is_refused_on_loopback(
    host: str, configured: str, allowed: bool
) -> None:
    assert host_allowed(host, configured) is allowed


def test_pages_of_other_origins_are_refused() -> None:
    assert origin_allowed(None, "localhost:1")
    assert origin_allowed("http://localhost:1", "localhost:1")
    assert not origin_allowed("http://evil.example", "localhost:1")
    assert not origin_allowed("null", "localhost:1")


def test_keys_of_the_transport_are_no_settings() -> None:
    query = {
        "query": "q",
        "user": "u",
        "param_a": "1",
        "max_threads": "2",
        "client_protocol_version": "1",
    }
    assert settings(query) == {"max_threads": "2"}
    assert parameters(query) == {"a": "1"}
