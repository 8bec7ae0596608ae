"""Events pass until the first that asks for a call; what waits is bounded, and no byte is lost."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.holding import Hold
from proxy.meter.cutting import cutter_for
from tests.helpers.asking import EVENTS

TEXT, CALL, END = b"data: text\n\n", b"data: call\n\n", b"data: end\n\n"


class Stream:
    """A hold, and what it met."""

    def __init__(self, limit_bytes: int = 1000, **options: bool) -> None:
        cutter = cutter_for(EVENTS)
        assert cutter is not None
        self.hold = Hold(cutter, limit_bytes, **options)
        self.metered = b""

    def meter(self, data: bytes) -> bytes:
        self.metered += data
        return data

    def feed(self, data: bytes) -> bytes:
        return self.hold.feed(data, self.meter, lambda: b"call" in self.metered)


def test_events_pass_until_the_first_that_asks_for_a_call():
    stream = Stream()
    assert stream.feed(TEXT + TEXT + CALL + END) == TEXT + TEXT
    assert stream.hold.is_holding
    assert stream.hold.waiting == [CALL, END]
    assert stream.hold.passed == []
    assert stream.hold.released(stream.meter) == CALL + END
    assert stream.feed(TEXT) == TEXT
    assert not stream.hold.is_holding


def test_an_event_passes_when_it_is_whole():
    stream = Stream()
    assert stream.feed(TEXT[:5]) == b""
    assert stream.feed(TEXT[5:] + CALL[:3]) == TEXT
    assert stream.metered == TEXT


def test_what_is_dropped_is_metered_all_the_same():
    stream = Stream()
    stream.feed(CALL + END[:4])
    stream.hold.dropped(stream.meter)
    assert stream.feed(END[4:]) == b""
    assert stream.metered == CALL + END
    assert stream.hold.is_dropped


def test_more_than_may_wait_passes():
    stream = Stream(limit_bytes=30)
    assert stream.feed(TEXT + CALL + END + TEXT[:3]) == TEXT
    assert stream.feed(TEXT[3:]) == CALL + END + TEXT
    assert stream.hold.gave_up
    assert stream.feed(CALL) == CALL


def test_an_event_without_an_end_waits_no_longer_than_may_wait():
    stream = Stream(limit_bytes=30)
    assert stream.feed(b"x" * 31) == b"x" * 31
    assert stream.hold.gave_up


def test_the_end_brings_what_never_ended():
    passing, holding = Stream(), Stream()
    passing.feed(TEXT + b"data: [DONE]\n")
    assert passing.hold.ended(passing.meter) == b"data: [DONE]\n"
    assert passing.hold.ended(passing.meter) == b""
    holding.feed(CALL + b"data: [DONE]\n")
    assert holding.hold.ended(holding.meter) == b""
    assert holding.hold.released(holding.meter) == CALL + b"data: [DONE]\n"


def test_where_all_of_an_answer_is_needed_it_is_kept():
    stream = Stream(keeps_passed=True)
    assert stream.feed(TEXT + CALL) == TEXT
    assert (stream.hold.passed, stream.hold.waiting) == ([TEXT], [CALL])


def test_nothing_passes_where_it_is_held_from_the_start():
    stream = Stream(from_start=True)
    assert stream.feed(TEXT) == b""
    assert stream.hold.waiting == [TEXT]


@given(st.lists(st.sampled_from([TEXT, CALL, END]), max_size=6), st.integers(1, 20), st.integers(10, 60))  # fmt: skip
def test_what_is_released_is_what_came(events: list[bytes], size: int, limit: int):
    stream = Stream(limit_bytes=limit)
    said = b"".join(events)
    got = b"".join(stream.feed(said[at : at + size]) for at in range(0, len(said), size))  # fmt: skip
    got += stream.hold.ended(stream.meter)
    got += stream.hold.released(stream.meter)
    assert got == stream.metered == said


def test_where_nothing_may_pass_what_is_too_long_is_dropped():
    stream = Stream(limit_bytes=30, from_start=True, drops=True)
    assert stream.feed(TEXT + CALL + END) == b""
    assert (stream.hold.gave_up, stream.hold.is_dropped, stream.hold.waiting) == (True, True, [])  # fmt: skip
    assert stream.feed(TEXT) == b""
