"""Records survive their bytes, and a reader copes with what an older, a newer or a broken writer wrote."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import RecordError
from proxy.model import (
    Cost,
    CostSource,
    ErrorType,
    Kind,
    Outcome,
    RateLimits,
    RunSource,
    Usage,
    UsageSource,
)
from proxy.record.codec import (
    KNOWN_TAGS,
    AskedCall,
    Close,
    End,
    Event,
    Memo,
    Open,
    PartUsage,
    Price,
    Record,
    decode,
    encode,
)

FULL: dict[str, Record] = {
    "open": Open(
        "a1", "s1", 1, "here", "acme", "prod", "bot", "header", "v2", 2**64 - 1, "c", "se",
        "root", "parent", "run", RunSource.EXPLICIT, 2, 3, "name", "header", 1, "sdk", False,
        Kind.LLM, "openai", "openai", "chat", "openai_chat", "gpt-5", True, {"k": "ü"}, 7, "t", "sp", "pp",
    ),
    "close": Close(
        "a1", 2, Outcome.COMPLETED, ErrorType.NONE, 200, 3, 4, 5, 6, 7, 8, 9, 10, 11, "stop", "gpt-5",
        "rq", "rs", RateLimits(1, 2, 3, 4), "p", "warn", "r", "open", Usage(*range(9)), UsageSource.PROVIDER,
        '{"x":1}', Cost(CostSource.COMPUTED, 1, 2, 3, 4, 5, 6, 7, "v"),
        (PartUsage("m", Usage(input=1), Cost(CostSource.UNPRICED)),), 128_000, ("usage_injected",),
        (AskedCall("call_1", "search", 2**64 - 1, "bad_json"),),
    ),
    "end": End("a1", 3, Outcome.CLIENT_ABORT, ErrorType.WRITE_STALL, 5, 6, 7, 8),
    "event": Event("e1", 4, "gap", "t", "a", "r", "s", "p", "ac", "re", "so", "1.5", "2", "ro", "m", "d"),
    "price": Price("v1", "openai", "gpt-5", 5, "{}"),
    "memo": Memo(b"\x00\xff", "accounts"),
}  # fmt: skip
SMALL: dict[str, Record] = {
    "open": Open("a1", "s1", 1, "here", "acme"),
    "close": Close("a1", 2, Outcome.BLOCKED),
    "end": End("a1", 3, Outcome.BLOCKED),
    "event": Event("e1", 4, "gap"),
    "price": Price("v1", "openai", "gpt-5", 5, "{}"),
    "memo": Memo(b""),
}


def raw(value: object) -> bytes:
    return msgspec.msgpack.encode(value)


@pytest.mark.parametrize("record", FULL.values(), ids=FULL.keys())
def test_a_record_with_every_field_set_survives_its_bytes(record):
    defaults = {field.name: field.default for field in msgspec.structs.fields(record)}
    said = msgspec.structs.asdict(record)
    assert {name for name, value in said.items() if value == defaults[name]} <= {
        "error_type"
    }
    assert decode(encode(record)) == record


@pytest.mark.parametrize("record", SMALL.values(), ids=SMALL.keys())
def test_only_what_differs_from_the_defaults_is_written(record):
    written = msgspec.msgpack.decode(encode(record))
    required = {
        field.name
        for field in msgspec.structs.fields(record)
        if field.required and field.name != "t"
    }
    assert written.keys() == required | {"t"}
    assert written["t"] in KNOWN_TAGS
    assert decode(encode(record)) == record


@given(
    st.builds(
        End,
        attempt_id=st.text(),
        ended_us=st.integers(0, 2**62),
        outcome=st.sampled_from(Outcome),
        error_type=st.sampled_from(ErrorType),
        response_bytes=st.integers(0, 2**62),
        max_gap_us=st.none() | st.integers(0, 2**62),
    )
)
def test_any_end_survives_its_bytes(ended: End):
    assert decode(encode(ended)) == ended


def test_a_field_that_a_newer_writer_added_is_passed_over():
    newer = {**msgspec.msgpack.decode(encode(SMALL["end"])), "surprise": [1, {"x": 2}]}
    assert decode(raw(newer)) == SMALL["end"]


@pytest.mark.parametrize("tag", ["x", "open", ""])
def test_a_tag_that_a_newer_writer_added_is_no_record_and_no_error(tag: str):
    assert decode(raw({"t": tag, "attempt_id": "a1"})) is None


BROKEN = {
    "empty": b"",
    "cut": encode(FULL["open"])[:-3],
    "not MessagePack": b"\xc1",
    "no map": raw([1, 2]),
    "no tag": raw({"attempt_id": "a1"}),
    "tag of another type": raw({"t": 5}),
    "missing field": raw({"t": "e", "attempt_id": "a1"}),
    "unknown outcome": raw({"t": "e", "attempt_id": "a1", "ended_us": 1, "outcome": "fine"}),
    "negative tokens": raw({"t": "c", "attempt_id": "a", "closed_us": 1, "outcome": "completed", "usage": {"input": -1}}),
}  # fmt: skip


@pytest.mark.parametrize("payload", BROKEN.values(), ids=BROKEN.keys())
def test_bytes_that_are_no_record_are_refused_as_such(payload: bytes):
    with pytest.raises(RecordError, match="cannot be read"):
        decode(payload)


@given(st.binary(max_size=64))
def test_garbage_never_raises_anything_else(payload: bytes):
    try:
        decode(payload)
    except RecordError:
        return
