import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.meter.framing import EAGER_TRIES, EventStream

STREAM = (
    b"\xef\xbb\xbf: a comment\n"
    b"event: first\nid: 7\nretry: 10\n"
    b'data: {"a":"b\xc3\xa4"}\n\n'
    b'data:{"no":"space"}\n\n'
    b"data: [DONE]\n\n"
    b"event: pretty\n"
    b'data: {\ndata:   "x": 1\ndata: }\n\n'
    b"data: not json\n\n"
    b"nonsense\n\nevent: empty\n\n"
    b"data\n\n"
)
EXPECTED = [
    (b"first", b'{"a":"b\xc3\xa4"}'),
    (b"", b'{"no":"space"}'),
    (b"", b"[DONE]"),
    (b"pretty", b'{\n  "x": 1\n}'),
    (b"", b"not json"),
    (b"", b""),
]


class Listener:
    """Keeps events; accepts early only what ends where JSON may end."""

    def __init__(self, cap: int = 1000, plain: bytes = b"?") -> None:
        self.events: list[tuple[bytes, bytes]] = []
        self.tries = 0
        self.plain_lines: list[bytes] = []
        self._plain = plain
        self.stream = EventStream(self.take_plain, self.take, cap)

    def take_plain(self, line: bytes) -> bool:
        if line.startswith(self._plain):
            self.plain_lines.append(line)
            return True
        return False

    def take(self, name: bytes, data: bytes, last: bool) -> bool:
        self.tries += 1
        if not last and data.count(b"{") > data.count(b"}"):
            return False
        self.events.append((name, data))
        return True

    def feed(self, *chunks: bytes) -> "Listener":
        for chunk in chunks:
            self.stream.feed(chunk)
        return self


def line_ends(name: str) -> bytes:
    return {"lf": b"\n", "crlf": b"\r\n", "cr": b"\r"}[name]


@pytest.mark.parametrize("ends", ["lf", "crlf", "cr"])
def test_events_are_the_same_whole_and_byte_by_byte_with_every_line_end(ends: str):
    stream = STREAM.replace(b"\n", line_ends(ends))
    assert Listener().feed(stream).events == EXPECTED
    assert (
        Listener().feed(*(stream[i : i + 1] for i in range(len(stream)))).events
        == EXPECTED
    )


@pytest.mark.parametrize("ends", ["lf", "crlf", "cr"])
def test_a_cut_at_any_place_changes_nothing(ends: str):
    stream = STREAM.replace(b"\n", line_ends(ends))
    for at in range(len(stream) + 1):
        assert Listener().feed(stream[:at], b"", stream[at:]).events == EXPECTED


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8))
def test_garbage_gives_the_same_events_however_it_is_cut(body: bytes, cuts: list[int]):
    whole, sliced, last = Listener(40).feed(body), Listener(40), 0
    for cut in [*sorted(cuts), len(body)]:
        sliced.feed(body[last:cut])
        last = max(last, cut)
    assert sliced.events == whole.events
    assert sliced.stream.truncated == whole.stream.truncated


@given(
    st.lists(
        st.sampled_from(
            [
                b"data: {",
                b"data: }",
                b"data:",
                b"a",
                b"\r",
                b"\n",
                b"\n\n",
                b":",
                b"event: e",
            ]
        )
    ),
    st.randoms(),
)
def test_pieces_of_events_give_the_same_however_they_are_cut(
    pieces: list[bytes], dice: random.Random
):
    body = b"".join(pieces)
    cut = dice.randrange(len(body) + 1)
    assert (
        Listener(30).feed(body).events
        == Listener(30).feed(body[:cut], body[cut:]).events
    )


def test_an_event_is_known_with_the_line_that_completes_it():
    listener = Listener().feed(b"event: stop\ndata: {}")
    assert listener.events == []
    assert listener.feed(b"\n").events == [(b"stop", b"{}")]


def test_a_carriage_return_completes_a_line_and_the_newline_after_it_is_no_line():
    listener = Listener().feed(b"data: a\ndata: [1]\r")
    assert listener.events == [(b"", b"a\n[1]")]
    assert listener.feed(b"\n", b"data: {}\r", b"\ndata: [2]\r").events[1:] == [
        (b"", b"{}"),
        (b"", b"[2]"),
    ]


def test_data_of_several_lines_that_is_complete_early_is_given_once():
    assert Listener().feed(b'data: {"a": {"b": 1}\ndata: }\n\n').events == [
        (b"", b'{"a": {"b": 1}\n}')
    ]


def test_an_event_of_very_many_lines_is_tried_a_few_times_only():
    listener = Listener(cap=10_000).feed(
        b"data: {\n", b"data: {}\n" * 500, b"data: }\n\n"
    )
    assert len(listener.events) == 1
    assert listener.tries == EAGER_TRIES


def test_plain_lines_are_not_taken_apart():
    listener = Listener(plain=b"data: x").feed(b"data: x1\n\ndata: y\n\ndata: x2\n\n")
    assert listener.plain_lines == [b"data: x1", b"data: x2"]
    assert listener.events == [(b"", b"y")]


def test_a_line_inside_of_an_unfinished_event_is_never_plain():
    listener = Listener(plain=b"data: x").feed(b"data: {\ndata: x\ndata: }\n\n")
    assert listener.events == [(b"", b"{\nx\n}")]


@pytest.mark.parametrize("pieces", [1, 7, 100_000])
def test_a_line_beyond_the_cap_is_skipped_and_flagged_and_the_next_event_is_read(
    pieces: int,
):
    body = b"event: long\ndata: " + b"x" * 5000 + b"\ndata: {}\n\ndata: [1]\n\n"
    listener = Listener().feed(
        *(body[i : i + pieces] for i in range(0, len(body), pieces))
    )
    assert listener.events == [(b"", b"[1]")]
    assert listener.stream.truncated


def test_data_of_many_lines_beyond_the_cap_is_skipped_and_flagged():
    listener = Listener().feed(b"data: 123456789\n" * 200, b"\ndata: [1]\n\n")
    assert listener.events == [(b"", b"[1]")]
    assert listener.stream.truncated


def test_a_line_without_end_is_not_held_beyond_the_cap():
    listener = Listener()
    for _ in range(1000):
        listener.feed(b"x" * 100)
    assert listener.stream.truncated
    assert sum(map(len, listener.stream._waiting)) <= 1000 + 100
    assert listener.feed(b"\n\ndata: {}\n\n").events == [(b"", b"{}")]


def test_nothing_is_flagged_in_an_ordinary_stream():
    assert not Listener().feed(STREAM).stream.truncated
