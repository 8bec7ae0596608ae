"""How long a provider asks to wait, in every form in which they say it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.judge.gate_settings import MOST_SECONDS
from proxy.judge.waits import asked_wait, limit_wait, seconds_of

NOW = int(datetime(2026, 11, 22, 12, 0, tzinfo=UTC).timestamp())
NOW_US = NOW * 1_000_000
DATE = (b"Date", b"Sun, 22 Nov 2026 12:00:00 GMT")
EMPTY = (b"X-RateLimit-Remaining", b"0")


def wait_of(*headers, error=None):
    return limit_wait(headers, error or {}, NOW_US)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param(b"34", 34.0, id="seconds"),
        pytest.param(b"0", 0.0, id="zero"),
        pytest.param(b"1.5", 1.5, id="float"),
        pytest.param(b" 7 ", 7.0, id="spaces"),
        pytest.param(b"Sun, 22 Nov 2026 12:00:30 GMT", 30.0, id="date"),
        pytest.param(b"Sun, 22 Nov 2026 11:00:00 GMT", 0.0, id="date that has passed"),
        pytest.param(b"Fri, 01 Jan 2100 00:00:00 GMT", MOST_SECONDS, id="far date"),
        pytest.param(b"1000000000", MOST_SECONDS, id="1e9 in digits"),
        pytest.param(b"1e9", None, id="1e9"),
        pytest.param(b"-5", None, id="negative"),
        pytest.param(b"inf", None, id="infinite"),
        pytest.param(b"nan", None, id="not a number"),
        pytest.param(b"soon", None, id="garbage"),
        pytest.param(b"\xff\x00", None, id="bytes"),
        pytest.param(b"", None, id="empty"),
        pytest.param(b"9" * 400, None, id="endless digits"),
    ],
)
def test_C12_retry_after_is_read_in_every_form_and_bounded(value, seconds):
    assert wait_of((b"Retry-After", value)) == seconds


def test_C12_milliseconds_win_over_seconds():
    assert wait_of((b"retry-after", b"60"), (b"Retry-After-Ms", b"250")) == 0.25


def test_C12_a_date_counts_from_the_answers_own_clock():
    own = (b"date", b"Sun, 22 Nov 2026 11:59:50 GMT")
    assert wait_of(own, (b"retry-after", b"Sun, 22 Nov 2026 12:00:00 GMT")) == 10.0


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [
        ("34s", 34.0),
        ("34.074824224s", 34.074824224),
        ("0s", 0.0),
        ({"seconds": 12, "nanos": 5}, 12.0),
        ({"seconds": -1}, None),
        ("-3s", None),
        ("99999999s", MOST_SECONDS),
        (34, None),
        (None, None),
    ],
)
def test_C12_googles_retry_info_is_read(delay, seconds):
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    details = ["?", {"@type": "type.googleapis.com/google.rpc.Help"}, info]
    assert wait_of(error={"details": details}) == seconds


@pytest.mark.parametrize("details", [None, "34s", [], [{"@type": 7}]], ids=str)
def test_errors_without_retry_info_say_nothing(details):
    assert wait_of(error={"details": details}) is None


def test_retry_after_wins_over_retry_info():
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}
    assert wait_of((b"retry-after", b"2"), error={"details": [info]}) == 2.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"6m0s", 360.0),
        (b"1s", 1.0),
        (b"20m52.666s", 1252.666),
        (b"120ms", 0.12),
        (b"1h2m3s", 3723.0),
        (b"2", 2.0),
        (str(NOW + 90).encode(), 90.0),
        (str((NOW + 90) * 1000).encode(), 90.0),
        (b"2026-11-22T12:01:00Z", 60.0),
        (b"2026-11-22T13:01:00+01:00", 60.0),
        (b"2026-11-22T12:01:00", None),
        (b"2026-11-22T11:00:00Z", 0.0),
        (b"-1", None),
        (b"tomorrow", None),
        (b"1s" * 100, None),
        (b"", None),
    ],
)
def test_C12_the_reset_of_a_limit_that_is_used_up_counts(value, seconds):
    assert wait_of(DATE, EMPTY, (b"X-RateLimit-Reset", value)) == seconds


def test_a_reset_counts_only_where_a_limit_is_said_to_be_used_up():
    headers = [DATE, EMPTY, (b"X-RateLimit-Reset", b"9s")]
    assert asked_wait(headers, {}, NOW_US) is None
    assert limit_wait(headers, {}, NOW_US) == 9.0
    assert asked_wait([*headers, (b"retry-after", b"2")], {}, NOW_US) == 2.0


def test_of_several_limits_that_are_used_up_the_longest_counts():
    headers = [
        (b"x-ratelimit-remaining-requests", b"0"),
        (b"x-ratelimit-reset-requests", b"2s"),
        (b"x-ratelimit-remaining-tokens", b"-7"),
        (b"x-ratelimit-reset-tokens", b"3s"),
        (b"x-ratelimit-remaining-images", b"8"),
        (b"x-ratelimit-reset-images", b"9s"),
    ]
    assert wait_of(*headers) == 3.0


def test_a_limit_of_which_something_is_left_says_nothing():
    assert wait_of((b"x-ratelimit-reset", b"9s")) is None
    left = (b"anthropic-ratelimit-tokens-remaining", b"4000")
    assert wait_of(left, (b"anthropic-ratelimit-tokens-reset", b"9s")) is None


@pytest.mark.parametrize("date", [b"yesterday", b"\xff"], ids=["text", "bytes"])
def test_a_point_in_time_says_nothing_where_the_answers_date_is_garbage(date):
    for value in (b"2026-11-22T12:01:00Z", str(NOW + 90).encode()):
        headers = [(b"date", date), EMPTY, (b"x-ratelimit-reset", value)]
        assert wait_of(*headers) is None


def test_headers_that_a_gateway_quotes_are_read():
    quoted = {
        "X-RateLimit-Limit": "50",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str((NOW + 60) * 1000),
        "X-Other": 7,
    }
    error = {"metadata": {"headers": quoted}}
    assert wait_of(error=error) == 60.0


def test_an_answer_that_says_nothing_has_no_wait():
    assert wait_of((b"content-type", b"text/plain")) is None


@pytest.mark.parametrize("text", ["", "5", "s", "1x", "1s2m", "٣s"])
def test_what_is_no_duration_is_none(text):
    assert seconds_of(text) is None


_VALUES = st.binary(max_size=40) | st.from_regex(
    rb"[-+]?[0-9]{0,20}(\.[0-9]{0,9})?(ms|s|m|h|d)?", fullmatch=True
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["details", "metadata", "headers", "@type", "retryDelay", "seconds"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    b"Retry-After",
                    b"retry-after-ms",
                    b"date",
                    b"x-ratelimit-reset",
                    b"x-ratelimit-remaining",
                ]
            ),
            _VALUES,
        ),
        max_size=6,
    ),
    st.dictionaries(st.sampled_from(["details", "metadata"]), _JSON),
    st.integers(0, 1 << 53),
)
def test_C12_whatever_is_said_the_wait_is_bounded(headers, error, now_us):
    for read in (asked_wait, limit_wait):
        wait = read(headers, error, now_us)
        assert wait is None or 0.0 <= wait <= MOST_SECONDS
