"""What of arguments, requests and results does not count when two are compared, and what does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.identify.messages import canonical
from proxy.judge.masking import MASK, MAX_BYTES, masked, masked_result

NOW_US = 1_700_000_000_000_000
"""2023-11-14T22:13:20Z"""
_UUIDS = ("3f2b8c1e-0000-4a6b-9d00-112233445566", "00000000-1111-4222-8333-444444444444")  # fmt: skip

SAME = {
    "request id": ({"q": "a", "request_id": _UUIDS[0]}, {"q": "a", "request_id": "x"}),
    "header style": ({"X-Request-ID": "1"}, {"X-Request-ID": "2"}),
    "camel case": ({"toolCallId": "call_1"}, {"toolCallId": "call_2"}),
    "idempotency key": ({"idempotency_key": "k1"}, {"idempotency_key": "k2"}),
    "nonce with quotes": ({"nonce": 'a"b'}, {"nonce": "c\\"}),
    "counter": ({"attempt": 1, "retry_count": 2}, {"attempt": 2, "retry_count": 3}),
    "timestamp by name": ({"timestamp": "yesterday"}, {"timestamp": "today"}),
    "member in a text": ({"url": "http://h/?nonce=abc&q=1"}, {"url": "http://h/?nonce=xyz&q=1"}),
    "seconds": ({"since": 1_700_000_000}, {"since": 1_699_999_500}),
    "milliseconds": ({"since": 1_700_000_000_123}, {"since": 1_700_000_060_000}),
    "nanoseconds": ({"t": 1_700_000_000_123_456_789}, {"t": 1_700_000_001_123_456_789}),
    "with a fraction": ({"t": "1700000000.123"}, {"t": "1700000060.5"}),
    "iso": ({"at": "2023-11-14T22:13:20Z"}, {"at": "2023-11-14T22:20:01.5+00:00"}),
    "iso of another zone": ({"at": "2023-11-14T23:13:20+01:00"}, {"at": "2023-11-14T17:13:20-0500"}),
    "local, without a zone": ({"at": "2023-11-15 08:13:20"}, {"at": "2023-11-15 08:13"}),
    "time of day": ({"q": "at 22:13:20"}, {"q": "at 22:14:59.123"}),
    "http date": ({"q": "Tue, 14 Nov 2023 22:13:20 GMT"}, {"q": "Wed, 15 Nov 2023 09:00:00 GMT"}),
}  # fmt: skip
OTHER = {
    "page": ({"page": 1}, {"page": 2}),
    "order by its uuid": ({"order": _UUIDS[0]}, {"order": _UUIDS[1]}),
    "mail by its id": ({"message_id": "18f0a1"}, {"message_id": "18f0a2"}),
    "commit": ({"sha": "a" * 40}, {"sha": "b" * 40}),
    "date": ({"day": "2023-11-14"}, {"day": "2023-11-15"}),
    "hours of a log": ({"from": "2023-10-01T10:00:00Z"}, {"from": "2023-10-01T11:00:00Z"}),
    "old epochs": ({"from": 1_600_000_000}, {"from": 1_600_003_600}),
    "no moment at all": ({"q": "2023-02-31T10:00:00Z"}, {"q": "2023-02-30T10:00:00Z"}),
    "phone numbers": ({"tel": "2025550123"}, {"tel": "2025550124"}),
    "no name of ours": ({"my_request_idea": "a"}, {"my_request_idea": "b"}),
}  # fmt: skip


def asked(arguments: object) -> bytes:
    return masked(canonical(arguments), NOW_US)


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME.keys())
def test_c19_what_differs_each_time_does_not_count(one: object, other: object):
    assert asked(one) == asked(other)
    assert MASK in asked(one)


@pytest.mark.parametrize(("one", "other"), OTHER.values(), ids=OTHER.keys())
def test_what_is_asked_for_counts(one: object, other: object):
    assert asked(one) != asked(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"Error 500 (request {_UUIDS[0]})", f"Error 500 (request {_UUIDS[1]})"),
        ("failed: req_011CSH9xZ2aQ", "failed: req_9zzCSH9xZ2bQ"),
        ("<Job object at 0x7f3a5c2b1d60>", "<Job object at 0x7f3a5c2b9990>"),
        ("timed out after 30.1 s", "timed out after 29.987 s"),
        ("down since 2020-01-01T00:00:00Z", "down since 2021-05-05T05:05:05Z"),
        ('{"duration_ms":12,"ok":true}', '{"duration_ms":99,"ok":true}'),
    ],
    ids=["uuid", "issued id", "address", "how long", "any time", "member"],
)
def test_of_results_ids_and_times_of_the_server_s_do_not_count(one: str, other: str):
    assert masked_result(one.encode()) == masked_result(other.encode())


def test_results_that_say_something_else_differ():
    assert masked_result(b"10 % done") != masked_result(b"20 % done")
    assert masked_result(b"404 not found") != masked_result(b"500 failed")


def test_the_rest_of_a_long_text_is_taken_as_it_is():
    start = b"x" * MAX_BYTES
    assert masked(start + b" nonce=1", NOW_US) == start + b" nonce=1"
    assert masked(b"nonce=1 " + start, NOW_US) == b"nonce=" + MASK + b" " + start


@given(st.binary(max_size=400), st.integers(0, 2**60))
def test_anything_can_be_masked(text: bytes, now_us: int):
    assert masked(text, now_us) is not None
    assert masked_result(text) is not None


@given(st.text("0123456789-:T .Zz+", max_size=60))
def test_whatever_looks_like_a_time_can_be_masked(text: str):
    assert masked(text.encode(), NOW_US) is not None


@pytest.mark.parametrize("piece", [b'"', b"request_id", b"a_", b"0-", b"1:", b"\\", b"tue "])  # fmt: skip
def test_hostile_texts_take_no_longer_than_their_length(piece: bytes):
    """Nothing in the patterns begins twice at one place: the work grows with the text alone, so this ends."""
    assert masked(piece * 20_000, NOW_US) is not None
    assert masked_result(piece * 20_000) is not None
