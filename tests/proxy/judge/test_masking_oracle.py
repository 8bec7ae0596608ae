"""The normaliser as it was before it was made fast, as a judge of the one that is: both give the same bytes for any text.

What lives here: the patterns as they stood, each tried on all of a text, and texts of what they look for. What does not: what is to be masked
(`test_masking.py`).
"""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.judge import masking
from proxy.judge.masking import MASK, MAX_BYTES, NEAR_LOCAL_US, NEAR_US

NOW_US = 1_700_000_000_000_000
"""2023-11-14T22:13:20Z"""
_NAMES = (
    rb"(?:x[_-])?(?:client[_-]?)?(?:request|req|correlation|invocation|tool[_-]?call|tool[_-]?use)[_-]?id"
    rb"|nonce|idempotency[_-]?key|timestamp|time_stamp|now|current_(?:date)?time|(?:sent|requested|generated)_at"
    rb"|attempts?(?:_(?:number|count|no))?|retry(?:_(?:number|count|no))?|retries|counter|seq_no|sequence_number|iteration|random_seed"
    rb"|(?:duration|elapsed|latency|took)(?:_(?:ms|s|seconds))?"
)
_PLAIN_VALUE = rb"[\w.:+-]{1,128}"
_MEMBER = re.compile(
    rb"(?P<name>\"(?i:" + _NAMES + rb")\"\s?:\s?)(?:\"(?:[^\"\\]|\\.){0,256}\"|" + _PLAIN_VALUE + rb")"
)  # fmt: skip
_SET = re.compile(rb"=" + _PLAIN_VALUE)
_NAME_BEFORE = re.compile(rb"(?<![\w-])(?i:" + _NAMES + rb")\Z")
_NAME_BYTES = 32
_MAX_SET = 100
"""A text with more is a program or a table, and looking at each takes time."""
_HTTP_DATE = re.compile(
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),?\s[0-9]{1,2}\s[A-Z][a-z]{2}\s[0-9]{4}\s[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\s(?:GMT|UTC))?"
)
# A search skips to what a pattern can begin with; a boundary in front of that would make it stop at every sign, ten times as slow. So each
# pattern begins with the sign itself and looks behind it.
_ISO = (
    rb"[0-9](?<!\w.)(?P<iso>[0-9]{3}-[01][0-9]-[0-3][0-9])[T ]"
    rb"(?P<clock>[0-2][0-9]:[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?)(?P<zone>[Zz]\b|[+-][0-9]{2}:?[0-9]{2}\b)?"
)
_EPOCH = rb"[12](?<!\w.)(?P<epoch>[0-9]{9}(?:[0-9]{3}){0,3}\b)(?:\.[0-9]{1,9}\b)?"
_CLOCK = rb"[0-2](?<!\w.)[0-9]:[0-5][0-9]:[0-6][0-9](?:[.,][0-9]{1,9})?\b"
_ADDRESS = rb"0(?<!\w.)x[0-9a-f]{8,16}\b"
_TOOK = rb"[0-9](?:(?<=\bin\s.)|(?<=\btook\s.)|(?<=\bafter\s.))[0-9]{0,9}(?:\.[0-9]{1,9})?\s?(?:ns|us|ms|s|sec|seconds)\b"
_ASKED = re.compile(b"|".join((_ISO, _EPOCH, _CLOCK)))
_TOLD = re.compile(b"|".join((_ISO, _EPOCH, _CLOCK, _ADDRESS, _TOOK)))
_UUID = re.compile(
    rb"[0-9A-Fa-f](?<!\w.)[0-9A-Fa-f]{7}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}\b"
)
_DASHES_OF_A_UUID = 4
_PREFIXES = (b"call_", b"toolu_", b"tooluse_", b"req_", b"resp_", b"msg_", b"chatcmpl-")
_ISSUED = re.compile(
    rb"(?<!\w)(?:" + b"|".join(_PREFIXES) + rb")(?=[\w-]{0,128}[0-9])[\w-]{8,128}"
)
_DIGITS_OF_SECONDS = 10
_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)


def slow(text: bytes, now_us: int) -> bytes:
    head = _without_members(text[:MAX_BYTES])
    return _ASKED.sub(lambda found: _asked(found, now_us), head) + text[MAX_BYTES:]


def slow_result(text: bytes) -> bytes:
    head = _without_members(text[:MAX_BYTES])
    if head.count(b"-") >= _DASHES_OF_A_UUID:
        head = _UUID.sub(MASK, head)
    if any(each in head for each in _PREFIXES):
        head = _ISSUED.sub(MASK, head)
    return _TOLD.sub(MASK, head) + text[MAX_BYTES:]


def _without_members(text: bytes) -> bytes:
    text = _MEMBER.sub(_member, text)
    if 0 < text.count(b"=") <= _MAX_SET:
        text = _SET.sub(_set, text)
    return _HTTP_DATE.sub(MASK, text)


def _member(found: re.Match[bytes]) -> bytes:
    return found["name"] + MASK


def _set(found: re.Match[bytes]) -> bytes:
    start = found.start()
    is_ours = _NAME_BEFORE.search(found.string, max(0, start - _NAME_BYTES), start)
    return b"=" + MASK if is_ours else found[0]


def _asked(found: re.Match[bytes], now_us: int) -> bytes:
    if found["iso"] is not None:
        return MASK if _is_iso_now(found, now_us) else found[0]
    if found["epoch"] is not None:
        return MASK if _is_epoch_now(found, now_us) else found[0]
    return MASK


def _is_iso_now(found: re.Match[bytes], now_us: int) -> bool:
    zone = found["zone"]
    day = found[0][: len("YYYY-MM-DD")]
    text = b"%bT%b%b" % (day, found["clock"], (zone or b"Z").upper())
    try:
        moment = datetime.fromisoformat(text.decode())
    except ValueError:  # the 31st of February
        return False
    at_us = (moment - _BEGIN).total_seconds() * 1e6
    return abs(at_us - now_us) <= (NEAR_US if zone else NEAR_LOCAL_US)


def _is_epoch_now(found: re.Match[bytes], now_us: int) -> bool:
    """Compare in the unit that so many digits mean."""
    digits = found[0].partition(b".")[0]
    in_unit: int = 10 ** (len(digits) - _DIGITS_OF_SECONDS)
    return abs(int(digits) * 1_000_000 // in_unit - now_us) <= NEAR_US


PIECES = (
    b'"request_id":"a"', b'"X-Request-Id" : 5', b'"nonce"\t:\n"a\\"b"', b'"timestamp"::5', b'"now":  "x"', b'"seq_no":"nonce":7', b'"my_nonce":1',
    b'"timestamp":"a"nonce":1', b'\\"attempt\\":1', b'"attempts_no" \t:1', b'"tool call id":2', b'"toolCallId":[1]', b'"' + b"x" * 40 + b'":1',
    b"nonce=abc&", b"retry_count=5", b"my-nonce=1", b"a=b=c", b"now=", b"duration_ms=now=5", b"client_request_id=" + b"z" * 200, b"=1",
    b"2023-11-14T22:13:20Z", b"2023-11-14 22:13", b"2023-11-14\t22:13:20", b"2023-02-31T10:00:00Z", b"2001-01-01T00:00:00.5+01:00", b"2023-11-15T08:13:20z",
    b"1700000000", b"1700000000.123", b"1700000000123", b"17000000001", b"1600000000", b"x1700000000", b"1700000000123456789", b"22:13:20", b"09:59:60,1",
    b"Tue, 14 Nov 2023 22:13:20 GMT", b"Wed 1 Jan 1999 00:00:00", b"Fri,\n9 May 2025 09:00:00 UTC", b"0x7ffc0a1b2c3d", b"0x12", b"00x7ffc0a1b", b"in 12 ms", b"took\n3.5s",
    b"after 7sec", b"within 3 s", b"in 5", b"took 5 msx", b"3f2b8c1e-0000-4a6b-9d00-112233445566", b"a3f2b8c1e-0000-4a6b-9d00-112233445566", b"-0000-1111-2222-",
    b"call_abcdefgh1", b"toolu_abcdefgh", b"use_12345678", b"msg_0123456789", b"chatcmpl-0123abcdef", b"xcall_12345678", b"resp_1", b"req_99999999",
    b" ", b"\n", b"\xff", b'"', b":", b"=", b",", b"{", b"}", b"\\", b"-", b"_", b"0", b"1", b"a", b"T", b"\xc3\xa9",
)  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES) | st.binary(max_size=6), max_size=30).map(b"".join)  # fmt: skip


@settings(max_examples=500)
@given(text=TEXTS)
@example(text=b"=1 " * 101 + b"nonce=5")
@example(text=b"nonce=5 " * 100)
@example(text=b"x" * (MAX_BYTES - 4) + b"22:13:20 22:13:20")
@example(text=b'"nonce":"' + b"y" * 300 + b'"')
def test_both_mask_the_same(text: bytes):
    assert masking.masked(text, NOW_US) == slow(text, NOW_US)
    assert masking.masked_result(text) == slow_result(text)


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("other", [b"", b" ", b'"nonce":1', b"22:13:20", b"in 5 s"])
def test_both_mask_the_same_of_each_pair(piece: bytes, other: bytes):
    for text in (piece + other, other + piece, piece + b" " + other + b" " + piece):
        assert masking.masked(text, NOW_US) == slow(text, NOW_US)
        assert masking.masked_result(text) == slow_result(text)
