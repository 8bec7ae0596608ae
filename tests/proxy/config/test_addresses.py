import pytest

from proxy.config import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address", "is_loopback"),
    [
        ("127.0.0.1:4141", Address("127.0.0.1", 4141), True),
        ("127.8.8.8:0", Address("127.8.8.8", 0), True),
        ("localhost:1", Address("localhost", 1), True),
        ("LocalHost:1", Address("localhost", 1), True),
        ("[::1]:65535", Address("::1", 65535), True),
        ("[::ffff:127.0.0.1]:1", Address("::ffff:7f00:1", 1), True),
        ("0.0.0.0:4141", Address("0.0.0.0", 4141), False),
        ("[::]:4141", Address("::", 4141), False),
        ("[::ffff:10.0.0.1]:1", Address("::ffff:a00:1", 1), False),
        ("proxy.internal:80", Address("proxy.internal", 80), False),
        ("localhost.evil.example:80", Address("localhost.evil.example", 80), False),
    ],
)
def test_addresses_are_read(text, address, is_loopback):
    assert parse_address(text) == address
    assert address.is_loopback() is is_loopback


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4141",
        ":4141",
        "localhost",
        "h:",
        "h:x",
        "::1:4141",
        "1.2.3:1",
        "h:65536",
        "a b:1",
    ],
)
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse_address(text)


def test_an_address_is_written_as_it_is_read():
    assert str(Address("::1", 1)) == "[::1]:1"
    assert str(Address("h", 2)) == "h:2"
