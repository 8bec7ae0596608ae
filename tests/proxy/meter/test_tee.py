import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.meter.tee import Tee
from proxy.model import Reading
from tests.helpers.meter import CHAT, MESSAGES, RESPONSES, data, tee_for

PATHS = (
    CHAT,
    RESPONSES,
    MESSAGES,
    "/v1/completions",
    "/v1/embeddings",
    "/v1/complete",
    "/v1/images/generations",
)


class Reader:
    """A reader that keeps what it gets, or fails on order."""

    terminal = False
    output_started = False
    calls_started = False
    truncated = False

    def __init__(self, broken: bool = False, keeps: bool = True) -> None:
        self.chunks: list[bytes] = []
        self._broken = broken
        self._keeps = keeps

    @property
    def held_bytes(self) -> int:
        return sum(map(len, self.chunks)) if self._keeps else 0

    def feed(self, chunk: bytes) -> None:
        self.chunks.append(chunk)
        self.terminal = self.output_started = True
        if self._broken:
            raise IndexError

    def reading(self) -> Reading:
        if self._broken:
            raise KeyError
        return Reading(model="m")


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
def test_plain_bytes_reach_the_reader_as_they_are(encoding: str):
    reader = Reader()
    tee = Tee(reader, encoding, 100)
    tee.feed(b"ab")
    assert (reader.chunks, tee.terminal, tee.output_started, tee.truncated) == (
        [b"ab"],
        True,
        True,
        False,
    )
    assert tee.reading() == Reading(model="m")


def test_compressed_bytes_reach_the_reader_inflated_and_empty_pieces_do_not():
    reader, packer = Reader(), zlib.compressobj(wbits=31)
    packed = packer.compress(b"hello") + packer.flush()
    tee = Tee(reader, "gzip", 100)
    for at in range(len(packed)):
        tee.feed(packed[at : at + 1])
    assert b"".join(reader.chunks) == b"hello"
    assert all(reader.chunks)
    assert not tee.truncated


def test_a_bomb_is_given_up_at_the_limit():
    reader, packer = Reader(), zlib.compressobj(wbits=31)
    tee = Tee(reader, "gzip", 1000)
    tee.feed(packer.compress(b"x" * 10_000_000) + packer.flush())
    tee.feed(b"more")
    assert tee.truncated
    assert reader.held_bytes <= 1000


@pytest.mark.parametrize("encoding", ["compress", "gzip"])
def test_an_unknown_coding_and_a_broken_one_are_told(encoding: str):
    tee = Tee(Reader(), encoding, 1000)
    tee.feed(b"this is no gzip at all")
    assert tee.truncated
    assert tee.failures == 0


def test_an_answer_that_must_be_held_whole_stops_at_the_limit():
    reader = Reader()
    tee = Tee(reader, "", 10)
    for _ in range(10):
        tee.feed(b"xxxx")
    assert reader.held_bytes == 12
    assert tee.truncated


def test_an_answer_that_is_read_as_it_comes_may_be_longer_than_the_limit():
    reader = Reader(keeps=False)
    tee = Tee(reader, "", 10)
    for _ in range(10):
        tee.feed(b"xxxx")
    assert len(reader.chunks) == 10
    assert not tee.truncated


def test_a_reader_that_raises_is_counted_and_nothing_gets_out():
    tee = Tee(Reader(broken=True), "", 100)
    tee.feed(b"a")
    tee.feed(b"b")
    assert tee.reading() == Reading(malformed=True)
    assert tee.failures == 3


@pytest.mark.parametrize("path", PATHS)
@given(body=st.binary(max_size=300), cut=st.integers(0, 300))
def test_garbage_never_raises(path: str, body: bytes, cut: int):
    for start in (b"", b"{", b"data: ", b'data: {"'):
        tee = tee_for(path)
        tee.feed(start + body[:cut])
        tee.feed(body[cut:])
        tee.reading()
        assert tee.failures == 0


NAMES = st.sampled_from(
    [
        "id",
        "model",
        "choices",
        "index",
        "delta",
        "content",
        "text",
        "type",
        "usage",
        "error",
        "code",
        "message",
        "response",
        "item",
        "output",
        "status",
        "tool_calls",
        "function",
        "arguments",
        "input",
        "call_id",
        "name",
        "output_index",
        "content_block",
        "partial_json",
        "stop_reason",
        "prompt_tokens",
        "completion_tokens",
        "prompt_tokens_details",
        "iterations",
        "cache_creation",
        "server_tool_use",
        "x_groq",
        "details",
        "object",
    ]
)
WORDS = st.sampled_from(
    [
        "message_start",
        "message_delta",
        "content_block_start",
        "content_block_delta",
        "text_delta",
        "input_json_delta",
        "tool_use",
        "error",
        "response.completed",
        "response.created",
        "response.output_item.added",
        "response.output_text.delta",
        "function_call",
        "message",
        "thread.run",
        "response.output_item.done",
        "queued",
        "failed",
        "completed",
        "response.function_call_arguments.delta",
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 1 << 70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5)
    ),
    max_leaves=20,
)


@pytest.mark.parametrize("path", [*PATHS, "/v1/threads/t/runs"])
@given(values=st.lists(st.dictionaries(NAMES, VALUES, max_size=6), max_size=4))
def test_json_of_the_wrong_shape_never_raises(path: str, values: list[object]):
    tee = tee_for(path)
    tee.feed(data(*values).replace(b'"\\u', b'"u') if values else b"")
    tee.reading()
    assert tee.failures == 0
    for value in values:
        tee = tee_for(path)
        tee.feed(data(value)[6:])
        tee.reading()
        assert tee.failures == 0


def test_a_line_of_50_mb_costs_bounded_memory_and_is_told():
    tee = tee_for(CHAT)
    tee.feed(b"data: ")
    for _ in range(50):
        tee.feed(b"x" * (1 << 20))
    tee.feed(b"\n\ndata: [DONE]\n\n")
    assert tee.truncated
    assert tee.terminal
    assert tee.reading().malformed
