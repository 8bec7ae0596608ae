import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.meter.headers import HeaderFacts, read_headers
from proxy.model import RateLimits

DATE = (b"Date", b"Sun, 22 Nov 2026 13:00:00 GMT")


def test_headers_of_openai_are_read():
    facts = read_headers(
        [
            (b"X-Request-ID", b"req_1"),
            (b"x-ratelimit-limit-requests", b"30000"),
            (b"x-ratelimit-remaining-requests", b" 29999 "),
            (b"x-ratelimit-limit-tokens", b"150000000"),
            (b"x-ratelimit-remaining-tokens", b"149999982"),
            (b"openai-processing-ms", b"498"),
        ]
    )
    assert facts == HeaderFacts(
        "req_1", RateLimits(30000, 29999, 150000000, 149999982), 498
    )


def test_headers_of_anthropic_are_read():
    facts = read_headers(
        [
            (b"request-id", b"req_2"),
            (b"anthropic-ratelimit-requests-limit", b"50"),
            (b"anthropic-ratelimit-requests-remaining", b"49"),
            (b"anthropic-ratelimit-tokens-limit", b"1000"),
            (b"anthropic-ratelimit-input-tokens-limit", b"7"),
            (b"anthropic-ratelimit-input-tokens-remaining", b"6"),
        ]
    )
    assert facts == HeaderFacts("req_2", RateLimits(50, 49, 1000, 6))


@pytest.mark.parametrize(
    "value", [b"", b"-1", b"+1", b"1.5", b"1e3", b"many", b"\xb2", b"9" * 17, b"1_0"]
)
def test_a_malformed_number_is_unknown(value: bytes):
    facts = read_headers(
        [(b"x-ratelimit-limit-tokens", value), (b"openai-processing-ms", value)]
    )
    assert facts == HeaderFacts()


def test_a_number_beyond_what_json_holds_is_capped():
    assert read_headers([(b"openai-processing-ms", b"9" * 16)]).processing_ms == 1 << 53


def test_a_malformed_limit_does_not_hide_a_good_one():
    raw = [(b"x-ratelimit-limit-requests", b"?"), (b"x-ratelimit-limit", b"5")]
    assert read_headers(raw).ratelimits == RateLimits(limit_requests=5)


def test_of_a_header_sent_twice_the_first_counts():
    assert (
        read_headers([(b"x-request-id", b"a"), (b"x-request-id", b"b")]).request_id
        == "a"
    )


def test_a_request_id_is_bounded_and_never_fails():
    assert (
        read_headers(
            [(b"x-request-id", b""), (b"cf-ray", b"\xff" + b"x" * 500)]
        ).request_id
        == "\ufffd" + "x" * 127
    )


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_retry_after_means_nothing_with_other_statuses(status: int):
    assert read_headers([(b"retry-after", b"3")], status).retry_after_seconds is None


@pytest.mark.parametrize("status", [429, 503, 529])
def test_retry_after_is_read_with_refusals(status: int):
    assert read_headers([(b"retry-after", b"3")], status).retry_after_seconds == 3


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([(b"retry-after", b"1.25")], 1.25),
        ([(b"retry-after-ms", b"1500"), (b"retry-after", b"9")], 1.5),
        ([(b"retry-after-ms", b"soon"), (b"retry-after", b"9")], 9),
        ([DATE, (b"retry-after", b"Sun, 22 Nov 2026 13:01:30 GMT")], 90),
        ([DATE, (b"retry-after", b"Sun, 22 Nov 2026 12:00:00 GMT")], 0),
        ([DATE, (b"retry-after", b"Sun, 22 Nov 2026 13:01:30")], None),
        ([(b"retry-after", b"Sun, 22 Nov 2026 13:01:30 GMT")], None),
        ([DATE, (b"retry-after", b"tomorrow")], None),
        ([DATE, (b"retry-after", b"\xff")], None),
        ([DATE, (b"retry-after", b"-1")], None),
        ([DATE, (b"retry-after", b"1" * 20)], None),
        ([DATE], None),
    ],
)
def test_the_wait_is_told_in_seconds(
    headers: list[tuple[bytes, bytes]], seconds: float | None
):
    assert read_headers(headers, 429).retry_after_seconds == seconds


NAMES = st.sampled_from(
    [b"retry-after", b"date", b"x-request-id", b"x-ratelimit-limit", b"retry-after-ms"]
)


@given(
    st.lists(
        st.tuples(
            NAMES | st.binary(),
            st.binary() | st.text("0123456789:, GMTSunNov").map(str.encode),
        )
    )
)
def test_no_headers_make_it_fail(raw: list[tuple[bytes, bytes]]):
    assert isinstance(read_headers(raw, 429), HeaderFacts)
