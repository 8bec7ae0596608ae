"""Calls from lines: parts together, bytes cut anywhere, numbers as any server writes them."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.replay.rows import Call, Lines, call_of, pico
from tests.helpers.replayed import row


def written(*rows: object) -> bytes:
    encoder = msgspec.json.Encoder(decimal_format="number")
    return b"".join(encoder.encode(each) + b"\n" for each in rows)


HISTORY = [
    row("r1", 0),
    row("r1", 0, part=1, usd=Decimal("0.25"), input_tokens=10, output_tokens=1),
    row("r2", 1, call_tool=("look",), call_args_hash=(2**64 - 1,), ctx_window=5),
]


def read(*chunks: bytes) -> list[Call]:
    found: list[Call] = []
    lines = Lines(found.append)
    for chunk in chunks:
        lines.write(chunk)
        lines.flush()
    lines.flush_call()
    return found


@given(st.integers(0, len(written(*HISTORY))), st.integers(0, len(written(*HISTORY))))
def test_bytes_may_be_cut_anywhere(one: int, other: int):
    text = written(*HISTORY)
    first, second = sorted((one, other))
    found = read(text[:first], text[first:second], text[second:])
    assert found == [call_of(HISTORY[:2]), call_of(HISTORY[2:])]


def test_a_call_has_what_all_its_parts_came_to():
    (first, _) = read(written(*HISTORY))
    assert (first.row, first.pico, first.tokens) == (HISTORY[0], 1_250_000_000_000, 1111)  # fmt: skip


def test_nothing_is_no_call():
    assert read() == read(b"") == []


def test_numbers_may_be_text():
    text = written(HISTORY[2]).replace(b"18446744073709551615", b'"18446744073709551615"')  # fmt: skip
    assert read(text) == [call_of(HISTORY[2:])]


def test_what_is_no_line_is_said():
    with pytest.raises(msgspec.MsgspecError):
        read(b'{"a": 1}\n')


def test_dollars_are_exact():
    assert pico(Decimal("0.000000000001")) == 1
    assert pico(Decimal("123456.000000000001")) == 123_456_000_000_000_001
