"""What the field put in comes out again, and nothing else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.meter.strip import Stripper

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)


def sse(*data, end=b"\n\n"):
    return b"".join(b"data: " + item + end for item in data)


def strip(stream, size=1 << 20, cap_bytes=1 << 20):
    stripper = Stripper(cap_bytes)
    out = b"".join(
        stripper.feed(stream[at : at + size]) for at in range(0, len(stream), size)
    )
    return out + stripper.flush()


DELTA = b'{"id":"x","choices":[{"delta":{"content":"hi"}}]}'
DELTA_NULL = b'{"id":"x","choices":[{"delta":{"content":"hi"}}],"usage":null}'
COUNTS = b'{"id":"x","choices":[],"usage":{"prompt_tokens":1}}'
AZURE = b'{"choices":[],"prompt_filter_results":[{"index":0}]}'


@pytest.mark.parametrize("size", [1, 2, 3, 10, 1 << 20])
@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
def test_the_usage_event_and_the_null_members_go(end, size):
    sent = sse(AZURE, DELTA_NULL, DELTA_NULL, COUNTS, b"[DONE]", end=end)
    assert strip(sent, size) == sse(AZURE, DELTA, DELTA, b"[DONE]", end=end)


@pytest.mark.parametrize(
    ("event", "left"),
    [
        (b'data: {"usage": null, "choices": []}\n\n', b'data: {"choices": []}\n\n'),
        (b'data: {"choices": [ ], "usage": {}}\n\n', b""),
        (
            b'data:{"a":1,"usage":null,"obfuscation":"k"}\n\n',
            b'data:{"a":1,"obfuscation":"k"}\n\n',
        ),
        (b'data: {"a":"usage","usage":null}\n\n', b'data: {"a":"usage"}\n\n'),
        (b'data: {"a":"\\u00e9","usage":null}\n\n', b'data: {"a":"\\u00e9"}\n\n'),
        (b'event: e\nid: 7\nretry: 9\ndata: {"choices":[],"usage":{}}\n\n', b""),
        (b'event: e\ndata: {"a":1,"usage":null}\n\n', b'event: e\ndata: {"a":1}\n\n'),
        (b': wait\ndata: {"choices":[],"usage":{}}\n: go\n\n', b": wait\n: go\n"),
        (
            b'event: e\n: wait\ndata: {"a":1,"usage":null}\n\n',
            b'event: e\n: wait\ndata: {"a":1}\n\n',
        ),
        (b'data: {"a":1,"usage":null}', b'data: {"a":1}'),
        (b'data: {"choices":[],"usage":{}}\n', b""),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_what_the_field_caused_is_taken(event, left, size):
    assert strip(event, size) == left


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"choices":[{"index":0}],"usage":{"prompt_tokens":1}}\n\n',
        b'data: {"usage":{"prompt_tokens":1}}\n\n',
        b'data: {"choices":[],"usage":7}\n\n',
        b'data: {"choices":[],"x_groq":{"usage":{"prompt_tokens":1}}}\n\n',
        b'data: {"choices":[{"delta":{"content":"\\"usage\\":null, \\"choices\\":[]"}}]}\n\n',
        b'data: {"a":{"usage":null}}\n\n',
        b'data: {"usage":null,"usage":7}\n\n',
        b'data: {"usage":7,"usage":null}\n\n',
        b'data: {"usage":null,oops}\n\n',
        b'data: {"a":1,\ndata: "usage":null}\n\n',
        b"data: [DONE]\n\n",
        b"data: not json usage\n\n",
        b"data:\n\ndata: \n\n",
        b"data\n\n",
        b": usage comment\n\n",
        b"\n\n\n",
        b"\r\n\r\n",
        b"event: error\ndata: {}\n\n",
        b'{"error": {"usage":null}}',
        b'{\n "usage":null,\n\n "a":1\n}\n',
        b'data: {"a":1,"usage":null}\r\rdata: {"a":1,"usage":null}\r\r',
        b'event: x\rdata: {"a":1}\r\r',
        b'data: {"a":1}\r: {"usage":null}\n\n',
        b"",
        b"da",
        b"\xff\xfe\x00usage",
        b"x\r\n\r\n",
    ],
)
@pytest.mark.parametrize("size", [1, 2, 5, 1 << 20])
def test_everything_else_passes_byte_for_byte(event, size):
    assert strip(event, size) == event


def test_nulls_stay_where_the_server_sends_them_unasked():
    stripper = Stripper(takes_nulls=False)
    sent = sse(DELTA_NULL, COUNTS, b"[DONE]")
    assert stripper.feed(sent) + stripper.flush() == sse(DELTA_NULL, b"[DONE]")


def test_a_chunk_of_whole_events_without_usage_passes_by_reference():
    stripper = Stripper()
    chunk = sse(DELTA, DELTA)
    assert stripper.feed(chunk) is chunk


@pytest.mark.parametrize(
    "part",
    [
        b": ping",
        b": ping\n",
        b"data: [DON",
        b"data: [DONE]\n",
        b'{"error":',
        b"data: plain\ndata: {",
        b"event: x\n\nhello",
    ],
)
def test_what_cannot_be_taken_is_not_held(part):
    assert Stripper().feed(part) == part


def test_at_most_one_unfinished_event_is_held():
    stripper = Stripper()
    assert stripper.feed(sse(DELTA_NULL) + b'data: {"id":"x"') == sse(DELTA)
    assert stripper.feed(b',"usage":null}\n') == b""
    assert stripper.feed(b"\n") == b'data: {"id":"x"}\n\n'


@pytest.mark.parametrize("size", [1, 9, 1 << 20])
def test_an_event_over_the_cap_goes_on_unjudged_and_is_flagged(size):
    stripper = Stripper(cap_bytes=100)
    long = b'event: e\ndata: {"a":"' + b"x" * 200 + b'","usage":null}\n\n'
    stream = long + sse(DELTA_NULL)
    out = b"".join(
        stripper.feed(stream[at : at + size]) for at in range(0, len(stream), size)
    )
    assert out == long + sse(DELTA)
    assert stripper.overflowed


def test_a_stripper_can_be_flushed_twice():
    stripper = Stripper()
    stripper.feed(b"data: {")
    assert (stripper.flush(), stripper.flush()) == (b"data: {", b"")


event_ends = st.sampled_from([b"\n\n", b"\r\n\r\n"])
chunks = st.fixed_dictionaries(
    {"choices": st.lists(json_values, min_size=1, max_size=2)},
    optional={"id": json_values, "model": json_values},
)
other_events = st.sampled_from(
    [
        b": ping",
        b"event: x\ndata: hello",
        b"data: [DONE]",
        b"data: [1]",
        b'data: {"a":{"usage":null}}',
    ]
)


@st.composite
def streams(draw):
    """A stream as it is without the field, and as it is with it."""
    end, compact = draw(event_ends), draw(st.booleans())
    comma, colon = (b",", b":") if compact else (b", ", b": ")
    separators = (comma.decode(), colon.decode())
    plain, injected = b"", b""
    for event in draw(st.lists(chunks | other_events, max_size=6)):
        if isinstance(event, bytes):
            text = event.replace(b"\n", end[: len(end) // 2]) + end
            plain, injected = plain + text, injected + text
            continue
        members = [
            json.dumps(
                {name: value}, separators=separators, ensure_ascii=draw(st.booleans())
            ).encode()[1:-1]
            for name, value in event.items()
        ]
        plain += b"data: {" + comma.join(members) + b"}" + end
        members.insert(draw(st.integers(0, len(members))), b'"usage"' + colon + b"null")
        injected += b"data: {" + comma.join(members) + b"}" + end
    last = (
        b'data: {"choices"'
        + colon
        + b"[]"
        + comma
        + b'"usage"'
        + colon
        + b'{"total_tokens":3}}'
        + end
    )
    return plain + b"data: [DONE]" + end, injected + last + b"data: [DONE]" + end


@given(streams(), st.lists(st.integers(1, 50), max_size=60))
def test_any_stream_in_any_slices_is_what_it_would_have_been(stream, sizes):
    plain, injected = stream
    stripper, out, at = Stripper(), b"", 0
    for size in sizes:
        out += stripper.feed(injected[at : at + size])
        at += size
    assert out + stripper.feed(injected[at:]) + stripper.flush() == plain


@given(streams(), st.integers(1, 40))
def test_a_stream_without_the_field_is_untouched(stream, size):
    assert strip(stream[0], size) == stream[0]


@given(st.binary(max_size=200), st.integers(1, 20))
def test_random_bytes_pass(data, size):
    assert strip(data, size) == data
