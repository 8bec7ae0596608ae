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
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache, lru_cache

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
_OURS = re.compile(rb"(?i:" + _NAMES + rb")")
_LONGEST_NAME = 32
_WORD = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
_PLAIN_VALUE = rb"[\w.:+-]{1,128}"
_MEMBER = re.compile(rb"\"(?P<name>[\w-]{3,32})\"\s?:\s?")
_VALUE = re.compile(rb"\"(?:[^\"\\]|\\.){0,256}\"|" + _PLAIN_VALUE)
_SET = re.compile(rb"=" + _PLAIN_VALUE)
_MAX_SET = 100
"""A text with more is a program or a table, and looking at each takes time."""
_HTTP_DATE = re.compile(
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),?\s[0-9]{1,2}\s[A-Z][a-z]{2}\s[0-9]{4}\s[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\s(?:GMT|UTC))?"
)
# A search skips to what a pattern can begin with; a boundary in front of that would make it stop at every sign, ten times as slow. So each
# pattern begins with the sign itself and looks behind it.
_ISO = (
    rb"[0-9](?<!\w.)[0-9]{3}-[01][0-9]-[0-3][0-9][T ]"
    rb"(?P<clock>[0-2][0-9]:[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?)(?P<zone>[Zz]\b|[+-][0-9]{2}:?[0-9]{2}\b)?"
)
_EPOCH = rb"[12](?<!\w.)[0-9]{9}(?:[0-9]{3}){0,3}\b(?:\.[0-9]{1,9}\b)?"
_CLOCK = rb"[0-2](?<!\w.)[0-9]:[0-5][0-9]:[0-6][0-9](?:[.,][0-9]{1,9})?\b"
_ADDRESS = rb"0(?<!\w.)x[0-9a-f]{8,16}\b"
_TOOK = rb"[0-9](?:(?<=\bin\s.)|(?<=\btook\s.)|(?<=\bafter\s.))[0-9]{0,9}(?:\.[0-9]{1,9})?\s?(?:ns|us|ms|s|sec|seconds)\b"
_SORTS = (_ISO, _EPOCH, _CLOCK, _ADDRESS, _TOOK)
_OUTLINE = bytes.maketrans(b"123456789\t\n\r\f\v", b"000000000     ")
"""Any digit for all, any blank for all: so each sort is looked for as plain bytes, since hardly a text has any."""
_HINTS = (
    (0, b"0000-00-00"),
    (1, b"0000000000"),
    (2, b"00:00:00"),
    (3, b"0x"),
    (4, b"in 0"),
    (4, b"took 0"),
    (4, b"after 0"),
)
"""What the outline of one of `_SORTS` contains: its place there, and one of the texts that it may have."""
_HINTS_OF_TIMES = _HINTS[:3]
"""What else there is counts in what is asked."""
_UUID = re.compile(
    rb"[0-9A-Fa-f](?<!\w.)[0-9A-Fa-f]{7}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}\b"
)
_INSIDE_OF_A_UUID = re.compile(rb"-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-")
"""Begins with a sign that is rare."""
_ISSUED = re.compile(
    rb"(?<!\w)(?:call_|toolu_|tooluse_|req_|resp_|msg_|chatcmpl-)(?=[\w-]{0,128}[0-9])[\w-]{8,128}"
)
_END_OF_A_PREFIX = re.compile(rb"_(?<=all_|olu_|use_|req_|esp_|msg_)")
_REMEMBERED = 4096
_DIGITS_OF_SECONDS = 10
_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)


def masked(text: bytes, now_us: int) -> bytes:
    """Mask arguments in their canonical form, or what a request says. Never raises."""
    head, outline = text[:MAX_BYTES], text[:MAX_BYTES].translate(_OUTLINE)
    head = _without_members(head, outline)
    sorts = _sorts(outline, _HINTS_OF_TIMES)
    if sorts:
        head = _pattern(sorts).sub(lambda found: _asked(found, now_us), head)
    return head + text[MAX_BYTES:]


def masked_result(text: bytes) -> bytes:
    """Mask a result or an error. Never raises."""
    head, outline = text[:MAX_BYTES], text[:MAX_BYTES].translate(_OUTLINE)
    head = _without_members(head, outline)
    if _INSIDE_OF_A_UUID.search(head):
        head = _UUID.sub(MASK, head)
    if _END_OF_A_PREFIX.search(head) or b"chatcmpl-" in head:
        head = _ISSUED.sub(MASK, head)
    sorts = _sorts(outline, _HINTS)
    if sorts:
        head = _pattern(sorts).sub(MASK, head)
    return head + text[MAX_BYTES:]


def _sorts(outline: bytes, hints: tuple[tuple[int, bytes], ...]) -> tuple[int, ...]:
    """Say of which sorts a text may have something; a mask only ever takes something away from it."""
    found = [at for at, hint in hints if hint in outline]
    return tuple(sorted(set(found))) if found else ()


@cache  # 32 at most
def _pattern(sorts: tuple[int, ...]) -> re.Pattern[bytes]:
    """Give the pattern of these sorts; one that is not there would be tried at each digit."""
    return re.compile(b"|".join(_SORTS[each] for each in sorts))


def _without_members(text: bytes, outline: bytes) -> bytes:
    if b'" :' in outline or _has_ours(_names_of_members(text)):
        text = b"".join(_members_masked(text))
    if 0 < text.count(b"=") <= _MAX_SET and _has_ours(_names_set(text)):
        text = _SET.sub(_set, text)
    return _HTTP_DATE.sub(MASK, text) if b"00:00:00" in outline else text


def _names_of_members(text: bytes) -> set[bytes]:
    """Give what stands between quotes before colons: to look these up takes less than to try all names at each quote."""
    return {each[each.rfind(b'"') + 1 :] for each in text.split(b'":')[:-1]}


def _names_set(text: bytes) -> set[bytes]:
    return {_name_at_end(each) for each in text.split(b"=")[:-1]}


def _name_at_end(text: bytes) -> bytes:
    return text[len(text.rstrip(_WORD)) :]


def _has_ours(names: set[bytes]) -> bool:
    return any(len(each) <= _LONGEST_NAME and _is_ours(each) for each in names)


def _members_masked(text: bytes) -> Iterator[bytes]:
    done = 0
    for found in _MEMBER.finditer(text):
        start = found.end()
        if found.start() < done or not _is_ours(found["name"]):
            continue
        value = _VALUE.match(text, start)
        if value:
            yield text[done:start]
            yield MASK
            done = value.end()
    yield text[done:]


def _set(found: re.Match[bytes]) -> bytes:
    start = found.start()
    before = found.string[max(0, start - _LONGEST_NAME - 1) : start]
    return b"=" + MASK if _has_ours({_name_at_end(before)}) else found[0]


@lru_cache(_REMEMBERED)
def _is_ours(name: bytes) -> bool:
    return _OURS.fullmatch(name) is not None


def _asked(found: re.Match[bytes], now_us: int) -> bytes:
    text = found[0]
    if text[4:5] == b"-":
        return MASK if _is_iso_now(found, now_us) else text
    if text[2:3] != b":":
        return MASK if _is_epoch_now(text, now_us) else text
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


def _is_epoch_now(text: bytes, now_us: int) -> bool:
    """Compare in the unit that so many digits mean."""
    digits = text.partition(b".")[0]
    in_unit: int = 10 ** (len(digits) - _DIGITS_OF_SECONDS)
    return abs(int(digits) * 1_000_000 // in_unit - now_us) <= NEAR_US
