from proxy.http.headers import Headers

HEADERS = Headers(
    [(b"X-Dup", b"1"), (b"Host", b"h"), (b"x-dup", b"2"), (b"X-Tacho-Tag-A", b"v")]
)


def test_names_are_found_in_any_case():
    assert HEADERS.first(b"host") == b"h"
    assert HEADERS.first(b"x-dup") == b"1"
    assert HEADERS.first(b"absent") is None


def test_repeated_headers_keep_all_values_in_order():
    assert HEADERS.every(b"x-dup") == [b"1", b"2"]
    assert HEADERS.every(b"absent") == ()


def test_headers_are_found_by_prefix():
    assert list(HEADERS.starting_with(b"x-tacho-tag-")) == [(b"x-tacho-tag-a", b"v")]


def test_repr_shows_no_values():
    assert "authorization" in repr(Headers([(b"Authorization", b"s3cret")]))
    assert "s3cret" not in repr(Headers([(b"Authorization", b"s3cret")]))
