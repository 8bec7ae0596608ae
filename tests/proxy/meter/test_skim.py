"""Chunks that are set aside unread: what is read of a stream must not depend on it, nor be late where it matters."""

import itertools
import json
import random
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.meter.skim import (
    MAX_PIECES,
    SHORT_BYTES,
    Skimmer,
    as_they_are,
    before,
    matching,
)
from proxy.meter.tee import Tee
from proxy.model import Reading
from tests.helpers.meter import CHAT, EVENTS, MESSAGES, RESPONSES, tee_for

WORDS = st.sampled_from(
    [
        " the",
        "",
        "\n\n",
        'say "hi"',
        "\\",
        "\u00e9",
        "\u6f22",
        "\U0001f600",
        "\x7f",
        'content":"',
        '"}}\n\n',
        "data: [DONE]\n\n",
        "message_stop",
    ]
)
RAW = st.sampled_from([b"\\ud83d", b"\\ude00", b'x"', b"\\", b"\n", b"\\q", b"\xff"])


def text_of(found) -> bytes:
    return found if isinstance(found, bytes) else json.dumps(found)[1:-1].encode()


def chat(text, *, noise: str = "", index: int = 0) -> bytes:
    obfuscation = b',"obfuscation":"%b"' % noise.encode() if noise else b""
    return (
        b'data: {"id":"c","model":"m","choices":[{"index":%d,"delta":{"content":"%b"},"finish_reason":null}]%b}\n\n'
        % (index, text_of(text), obfuscation)
    )


def responses(text, number: int = 0) -> bytes:
    return (
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":%d,"delta":"%b","logprobs":[]}\n\n'
        % (number, text_of(text))
    )


def messages(text, blanks: int = 0) -> bytes:
    return (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%b"}%b}\n\n'
        % (text_of(text), b" " * blanks)
    )


CHAT_OTHERS = [
    b"data: [DONE]\n\n",
    b'data: {"error":{"message":"no"}}\n\n',
    b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n',
    b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"x","refusal":"y"},"finish_reason":null}]}\n\n',
    b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"t","function":{"name":"f","arguments":""}}]}}]}\n\n',
    b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"a\\""}}]}}]}\n\n',
    b": comment\n\n",
    b"event: error\n",
    b"\r\n",
]
RESPONSES_OTHERS = [
    b'event: response.completed\ndata: {"type":"response.completed","response":{"id":"r","status":"completed","usage":{"input_tokens":1,"output_tokens":2}}}\n\n',
    b'data: {"type":"error","message":"no"}\n\n',
    b'event: response.output_item.added\ndata: {"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","call_id":"t","name":"f"}}\n\n',
]
MESSAGES_OTHERS = [
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    b'event: ping\ndata: {"type": "ping"}\n\n',
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}\n\n',
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}\n\n',
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{"}}\n\n',
]
TEXTS = WORDS | RAW
STREAMS = st.one_of(
    st.tuples(
        st.just(CHAT),
        st.lists(
            st.builds(chat, TEXTS)
            | st.builds(partial(chat, noise="aZ09"), TEXTS)
            | st.builds(chat, TEXTS, index=st.integers(0, 1))
            | st.sampled_from(CHAT_OTHERS),
            max_size=12,
        ),
    ),
    st.tuples(
        st.just(RESPONSES),
        st.lists(
            st.builds(responses, TEXTS, st.integers(0, 200))
            | st.sampled_from(RESPONSES_OTHERS),
            max_size=12,
        ),
    ),
    st.tuples(
        st.just(MESSAGES),
        st.lists(
            st.builds(messages, TEXTS, st.integers(0, 3))
            | st.sampled_from(MESSAGES_OTHERS),
            max_size=12,
        ),
    ),
)


def fed(path: str, chunks) -> Tee:
    tee = tee_for(path, content_type=EVENTS)
    for chunk in chunks:
        tee.feed(chunk)
    assert tee.failures == 0
    return tee


def bytewise(path: str, body: bytes) -> Tee:
    return fed(path, [body[at : at + 1] for at in range(len(body))])


def same(one: Tee, other: Tee) -> None:
    assert one.reading() == other.reading()
    assert (one.terminal, one.output_started) == (other.terminal, other.output_started)


@given(stream=STREAMS, seed=st.integers(0, 1000))
@example(stream=(CHAT, [chat("a"), chat("b"), CHAT_OTHERS[0], chat("c")]), seed=0)
def test_a_stream_reads_alike_in_whole_events_in_groups_and_byte_by_byte(stream, seed):
    path, events = stream
    expected, dice = bytewise(path, b"".join(events)), random.Random(seed)
    same(fed(path, events), expected)
    grouped, rest = [], list(events)
    while rest:
        size = dice.randint(1, 4)
        grouped.append(b"".join(rest[:size]))
        rest = rest[size:]
    same(fed(path, grouped), expected)


@pytest.mark.parametrize(
    ("path", "delta", "ends"),
    [
        (CHAT, chat, CHAT_OTHERS[:2]),
        (CHAT, partial(chat, noise="aZ"), CHAT_OTHERS[:2]),
        (RESPONSES, responses, RESPONSES_OTHERS[:2]),
        (MESSAGES, messages, MESSAGES_OTHERS[:1]),
    ],
)
@pytest.mark.parametrize("together", [1, 2, 3, 40])
def test_the_end_is_known_with_the_chunk_that_completes_it(path, delta, ends, together):
    for end in ends:
        events = [*map(delta, "abcdefghijklmnopqrstuvwxyz"), end]
        first, last = events[:-together], events[-together:]
        tee = fed(path, first)
        before_the_end = tee.terminal
        tee.feed(b"".join(last))
        assert (before_the_end, tee.terminal) == (False, True)
        assert tee.reading() == bytewise(path, b"".join(events)).reading()


@pytest.mark.parametrize(
    ("path", "delta"),
    [
        (CHAT, chat),
        (CHAT, partial(chat, noise="aZ")),
        (RESPONSES, responses),
        (MESSAGES, partial(messages, blanks=2)),
    ],
)
@pytest.mark.parametrize("together", [1, 3, 100])
def test_what_is_set_aside_is_bounded_and_nothing_of_it_is_lost(path, delta, together):
    events = [delta(" word")] * 3000
    tee, pieces = fed(path, events[:2]), 0
    reader: Any = tee._reader
    skimmer = reader._skimmer
    for at in range(2, len(events), together):
        tee.feed(b"".join(events[at : at + together]))
        pieces = max(pieces, len(skimmer.pieces))
        assert len(skimmer.pieces) < MAX_PIECES
        assert sum(map(len, skimmer.pieces)) <= MAX_PIECES * SHORT_BYTES
    assert pieces > 0 or together == 100
    reading = tee.reading()
    assert reading.output_chars == 5 * len(events)
    assert reading.output_deltas == len(events)
    assert tee.reading() == reading


def test_reading_in_between_changes_nothing():
    events = [chat(word) for word in ("a", "b", "c", "d")]
    tee = tee_for(CHAT, content_type=EVENTS)
    for count, event in enumerate(events, 1):
        tee.feed(event)
        assert tee.reading().output_text == "abcd"[:count]


@pytest.mark.parametrize(
    "odd",
    [
        chat("x").replace(b"null}]", b'null}],"usage":{"prompt_tokens":1,"completion_tokens":2}'),
        chat("x", noise="a").replace(b'"a"', b'"a","usage":{"prompt_tokens":1,"completion_tokens":2,"x":"y"}'),
        chat('x","refusal":"no'),
    ],
)  # fmt: skip
def test_facts_behind_a_text_are_found_later_at_least(odd: bytes):
    noise = "a" if b"obfus" in odd else ""
    events = [chat("a", noise=noise), chat("b", noise=noise), odd, chat("c")]
    same(fed(CHAT, events), bytewise(CHAT, b"".join(events)))


def test_a_lookalike_between_two_deltas_is_read_as_what_it_is():
    usage = (
        b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n'
    )
    events = [chat("a"), chat("b"), chat("c") + usage + chat("d"), chat("e")]
    tee = fed(CHAT, events)
    assert tee.reading() == bytewise(CHAT, b"".join(events)).reading()
    assert tee.reading().usage is not None


def skimmer(texts=as_they_are) -> tuple[Skimmer, list[bytes]]:
    made, into = Skimmer(), list[bytes]()
    made.learn(b'head with a long key {"', b'"}\n\n', texts, into)
    made.arm(ready=True)
    return made, into


def test_nothing_is_set_aside_before_anything_is_learned_or_while_something_is_open():
    made = Skimmer()
    made.arm(ready=True)
    assert made.head == b""
    made, _ = skimmer()
    assert made.head != b""
    made.arm(ready=False)
    assert made.head == b""


def test_texts_go_where_the_parsed_one_went_or_come_back_as_events():
    made, into = skimmer()
    made.pieces += [b"a", b"b"]
    assert made.settle() == []
    assert (into, made.pieces) == ([b"a", b"b"], [])
    assert made.handed_bytes > 2
    made.pieces += [b'a"b', b"c"]
    assert made.settle() == [
        b'head with a long key {"a"b"}\n\n',
        b'head with a long key {"c"}\n\n',
    ]
    assert made.handed_bytes == 0


def test_several_events_are_taken_apart_at_their_common_text():
    made, into = skimmer()
    glue = b'"}\n\nhead with a long key {"'
    assert made.take(b"a" + glue + b"b" + glue + b"c")
    made.pieces.append(b"d")
    assert made.settle() == []
    assert into == [b"a", b"b", b"c", b"d"]
    assert not made.take(b"a\n\nother")
    assert not made.take(b"a" + glue + b"b\n")
    assert made.take(b'a"}\n\nanother: {}\n\nhead with a long key {"b')
    assert len(made.settle()) == 1
    assert made.take(b'a"}\n\nanother: {"}\n\nhead with a long key {"b')
    assert len(made.settle()) == 1


def test_texts_before_one_random_value_are_told_from_others():
    known = partial(before, b'","o":')
    assert known([b'a","o":"x1', b'","o":"Y']) == [b"a", b""]
    assert known([b'a","o":"x1', b"b"]) is None
    assert known([b'a","o":"x","p":"y']) is None


def test_a_pattern_must_find_one_text_in_each_piece():
    found = partial(matching, lambda block: block.split())
    assert found([b"a", b"b"]) == [b"a", b"b"]
    assert found([b"a", b"b c"]) is None


def test_chunks_cut_anywhere_read_as_the_whole():
    events = [chat(f" {n}", noise="aZ9") for n in range(300)] + [CHAT_OTHERS[0]]
    body, dice = b"".join(events), random.Random(1)
    whole: Reading = fed(CHAT, [body]).reading()
    for _ in range(20):
        cuts = sorted(dice.sample(range(len(body)), 30))
        chunks = [body[a:b] for a, b in itertools.pairwise([0, *cuts, len(body)])]
        assert fed(CHAT, chunks).reading() == whole
