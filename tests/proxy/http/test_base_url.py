import pytest

from proxy.http.base_url import BaseUrl, parse_authority, parse_base_url


@pytest.mark.parametrize(
    ("text", "expected", "authority"),
    [
        (
            "https://api.openai.com",
            BaseUrl("https", "api.openai.com", 443, b"", b""),
            b"api.openai.com",
        ),
        (
            "HTTP://Host_1:8080/a/?k=v",
            BaseUrl("http", "host_1", 8080, b"/a/", b"k=v"),
            b"host_1:8080",
        ),
        (
            "http://127.0.0.1:80",
            BaseUrl("http", "127.0.0.1", 80, b"", b""),
            b"127.0.0.1",
        ),
        (
            "https://[::1]:8443/x%2Fy",
            BaseUrl("https", "::1", 8443, b"/x%2Fy", b""),
            b"[::1]:8443",
        ),
        ("http://h?q", BaseUrl("http", "h", 80, b"", b"q"), b"h"),
    ],
)
def test_base_urls_are_read(text, expected, authority):
    assert parse_base_url(text) == expected
    assert expected.authority() == authority


@pytest.mark.parametrize(
    "text",
    [
        "",
        "api.openai.com",
        "ftp://h",
        "http:h",
        "http://",
        "http:///x",
        "http://u:s3cret@h",
        "http://h#f",
        "http://h\\@evil",
        "http://h/a b",
        "http://h/\n",
        "http://hé",
        "http://h:0",
        "http://h:",
        "http://h:65536",
        "http://h:1:2",
        "http://[::1",
        "http://[zz]",
        "http://2130706433",
        "http://127.1",
        "http://1.2.3.4.",
        "http://0x7f.1",
        "http://-h",
        "http://a..b",
    ],
)
def test_other_urls_are_refused_without_being_shown(text):
    with pytest.raises(ValueError, match=r".") as refused:
        parse_base_url(text)
    assert "s3cret" not in str(refused.value)


def test_an_authority_may_lack_its_port():
    assert parse_authority("localhost") == ("localhost", None)
    assert parse_authority("[::1]:0") == ("::1", 0)
