"""The normaliser: what of arguments, requests, results and errors does not count when two are compared.

What lives here: masking one text. What does not: the canonical form of arguments before it (`identify.messages.canonical`: order of members
and blanks do not count), hashing it afterwards, what is done about two that are the same (`loops.py`, `spend_rate.py`).

Whatever is masked too much makes two different calls one, and a diligent agent a loop: an agent that looks up ten orders by their UUIDs, or
reads a log hour by hour, repeats nothing. So of arguments and requests this is masked, and nothing else:

1. The value of a member (of JSON, or `name=value`) whose name says that it differs each time: request, correlation, invocation and
   tool-call ids, idempotency keys, nonces, random seeds, timestamps, counters of attempts and iterations, durations.
2. A point in time that is now: ISO 8601 with date and time of day, or an epoch in seconds, milli-, micro- or nanoseconds, no further from the
   clock than `NEAR_US` (a local time without its zone: `NEAR_LOCAL_US`). One of another time is what is asked for.
3. A time of day with seconds, and HTTP dates: nobody asks for these, agents and frameworks write them into prompts.

Of results and errors, where an id is news of the server's rather than a question, further: UUIDs, ids with the prefixes that
providers give them (`call_`, `req_` ...), addresses in memory, points in time whenever they are, how long something took.

Other numbers count, since page 2 is not page 1, and so do hexadecimal hashes, which name a commit or a file. An agent's prompt is masked
further than all that (`identify/prompts.py`), since nothing in it is an argument.
"""

import re
from datetime import UTC, datetime

MAX_BYTES = 8 << 10
"""Of a longer text the beginning is masked and the rest taken as it is: what varies stands in heads and envelopes, and time is bounded: some 0.3 ms."""
NEAR_US = 15 * 60 * 1_000_000
NEAR_LOCAL_US = 15 * 3600 * 1_000_000
MASK = b"\xff"
"""Stands in no UTF-8 text."""

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


def masked(text: bytes, now_us: int) -> bytes:
    """Mask arguments in their canonical form, or what a request says. Never raises."""
    head = _without_members(text[:MAX_BYTES])
    return _ASKED.sub(lambda found: _asked(found, now_us), head) + text[MAX_BYTES:]


def masked_result(text: bytes) -> bytes:
    """Mask a result or an error. Never raises."""
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
