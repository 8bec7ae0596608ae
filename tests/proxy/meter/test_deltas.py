import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.meter import lenient
from proxy.meter.deltas import MAX_ENDINGS, PlainDeltas

KEY = b'"text":"'


def line(text: str, ending: str = "}", start: str = "0") -> bytes:
    return b'data: {"n":%b,"d":{"text":%b%b}' % (
        start.encode(),
        json.dumps(text).encode(),
        ending.encode(),
    )


def learned(*lines: bytes) -> tuple[PlainDeltas, list[bytes]]:
    deltas, into = PlainDeltas(), list[bytes]()
    for each in lines:
        deltas.learn(each, KEY, "known", into)
    return deltas, into


def test_nothing_is_taken_before_anything_is_learned():
    assert not PlainDeltas().take(line("a"))
    assert not PlainDeltas().take(b"")


def test_lines_that_differ_in_their_text_are_taken():
    deltas, into = learned(line("known"))
    assert deltas.take(line("a"))
    assert deltas.take(line("\u00e9\\n"))
    assert lenient.unescape(into) == "a\u00e9\\n"


@pytest.mark.parametrize(
    "other",
    [
        line("a", start="1"),
        line("a", ',"more":1}'),
        line('quote"d'),
        line("a", "} "),
        line("a")[:-1],
        line("a")[:-4],
        b"data: [DONE]",
        line('"}}'),
        line('","usage":{"text":"'),
    ],
)
def test_lines_that_differ_elsewhere_are_not(other: bytes):
    deltas, into = learned(line("known"))
    assert not deltas.take(other)
    assert into == []


def test_known_endings_are_remembered_until_the_start_changes():
    deltas, into = learned(line("known"), line("known", " }"))
    assert deltas.take(line("a"))
    assert deltas.take(line("b", " }"))
    deltas.learn(line("known", start="7"), KEY, "known", into)
    assert not deltas.take(line("c"))
    assert not deltas.take(line("c", " }", start="7"))
    assert deltas.take(line("d", start="7"))
    assert into == [b"a", b"b", b"d"]


def test_the_random_obfuscation_at_the_end_may_change():
    deltas, into = learned(line("known", '},"obfuscation":"abc"'))
    assert deltas.take(line("a", '},"obfuscation":"x"'))
    assert deltas.take(line("b", '},"obfuscation":""'))
    assert not deltas.take(line("c", '},"obfuscation":"x","usage":{}'))
    assert not deltas.take(line("d"))
    assert not deltas.take(line("e", '},"obfuscation":"x}'))
    assert into == [b"a", b"b"]


def test_text_goes_where_the_learned_one_went():
    deltas, first = learned(line("known"))
    second: list[bytes] = []
    deltas.learn(line("known"), KEY, "known", second)
    assert deltas.take(line("a"))
    assert (first, second) == ([], [b"a"])


@pytest.mark.parametrize(
    "odd",
    [
        b'data: {"other":"known"}',
        b'data: {"text":"known',
        line('kno"wn'),
        b'data: {"text":"else","d":{"text":"known"}}',
    ],
)
def test_a_line_whose_text_is_not_found_is_not_learned(odd: bytes):
    deltas, _ = learned(odd)
    assert not deltas.take(odd)


def test_the_number_of_endings_is_bounded():
    deltas, _ = learned(
        *(line("known", " " * spaces + "}") for spaces in range(MAX_ENDINGS + 5))
    )
    assert deltas.take(line("a", " " * (MAX_ENDINGS - 1) + "}"))
    assert not deltas.take(line("a", " " * MAX_ENDINGS + "}"))


@given(
    st.text(),
    st.sampled_from(["}", '},"usage":{"x":1}', '},"obfuscation":"q"', ',"text":"b"}']),
    st.booleans(),
)
def test_whatever_is_taken_is_the_text_that_a_parser_finds(
    text: str, ending: str, hidden: bool
):
    start = line("known", '},"obfuscation":"abc"' if hidden else "}")
    deltas, into = learned(start)
    candidate = line(text, ending)
    if deltas.take(candidate):
        parsed = json.loads(candidate[6:])
        assert lenient.unescape(into) == parsed["d"]["text"] == text
        assert set(parsed["d"]) | set(parsed) <= {"n", "d", "text", "obfuscation"}
