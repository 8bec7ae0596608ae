"""The field goes in by a splice of bytes, and its refusal is recognised."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.meter.inject import refused, splice

ASKED = b'"stream_options":{"include_usage":true}'


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (b'{"stream":true}', b'{"stream":true,' + ASKED + b"}"),
        (
            b'{"stream": true, "model": "m"}',
            b'{"stream": true, "model": "m",' + ASKED + b"}",
        ),
        (
            b' {\n "b":1,\n "stream" : true\n}\n',
            b' {\n "b":1,\n "stream" : true,' + ASKED + b"\n}\n",
        ),
        (b'\xef\xbb\xbf{"stream":true}', b'\xef\xbb\xbf{"stream":true,' + ASKED + b"}"),
        (b'{"str\\u0065am":true}', b'{"str\\u0065am":true,' + ASKED + b"}"),
        (
            b'{"stream":false,"stream":true}',
            b'{"stream":false,"stream":true,' + ASKED + b"}",
        ),
        (
            b'{"stream":true,"stream_options":null,"z":"\xc3\xa9"}',
            b'{"stream":true,' + ASKED + b',"z":"\xc3\xa9"}',
        ),
        (b'{"stream_options":{},"stream":true}', b"{" + ASKED + b',"stream":true}'),
        (
            b'{"stream_options": { "include_obfuscation": false }, "stream": true}',
            b'{"stream_options": { "include_obfuscation": false,"include_usage":true }, "stream": true}',
        ),
        (
            b'{"stream":true,"stream_options":{"include_usage": false}}',
            b'{"stream":true,"stream_options":{"include_usage": true}}',
        ),
        (
            b'{"stream":true,"stream_options":{"a":"}","include_usage":null}}',
            b'{"stream":true,"stream_options":{"a":"}","include_usage":true}}',
        ),
        (
            b'{"stream":true,"stream_\\u006fptions":{"includ\\u0065_usage":false}}',
            b'{"stream":true,"stream_\\u006fptions":{"includ\\u0065_usage":true}}',
        ),
        (
            b'{"messages":[{"stream_options":null,"stream":false}],"stream_options":null,"stream":true}',
            b'{"messages":[{"stream_options":null,"stream":false}],'
            + ASKED
            + b',"stream":true}',
        ),
    ],
)
def test_only_the_field_is_added(body, sent):
    made = splice(body)
    assert made is not None
    assert made.body == sent
    assert made.body[made.offset :].startswith(made.inserted)
    assert (
        made.body[: made.offset]
        + made.removed
        + made.body[made.offset + len(made.inserted) :]
        == body
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[true]",
        b'{"stream":true',
        b'{"stream":"true"}',
        b'{"stream":1}',
        b'{"model":"m"}',
        b'{"stream":true,"stream":false}',
        b'{"messages":[{"stream":true}]}',
        b'{"messages":"\\"stream\\":true"}',
        b'{"stream":true,"stream_options":{"include_usage":true}}',
        b'{"stream":true,"stream_options":[]}',
        b'{"stream":true,"stream_options":"yes"}',
        b'{"stream":true,"stream_options":{"include_usage":"no"}}',
        b'{"stream":true,"stream_options":{"include_usage":false,"include_usage":null}}',
        b'{"stream":true,"stream_options":{"continuous_usage_stats":true}}',
        b'{"stream":true,"stream_options":null,"stream_options":{}}',
        b'{"stream":true,"stream_options":{},"stream_options":{}}',
        b'{"stream":true,"a":1,"a":2,"stream_options":{}}',
        b'{"stream":true,"a":' + b"[" * 100_000,
    ],
)
def test_a_body_that_needs_nothing_or_is_doubtful_is_left_alone(body):
    assert splice(body) is None


def test_a_splice_that_cannot_be_read_back_is_not_made(monkeypatch):
    monkeypatch.setattr("proxy.meter.inject._OBJECT", b"{")
    assert splice(b'{"stream":true}') is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
options = st.dictionaries(
    st.sampled_from(["a", "include_obfuscation"]), st.booleans(), max_size=2
)


@given(
    st.dictionaries(
        st.text(max_size=6) | st.sampled_from(["model", "messages"]),
        json_values,
        max_size=5,
    ),
    st.sampled_from(["absent", "null", "without", "false"]),
    options,
    st.randoms(use_true_random=False),
    st.sampled_from([None, 2, "\t"]),
    st.booleans(),
)
def test_the_request_reads_as_before_but_for_the_field(
    body, how, some_options, random, indent, ascii_only
):
    body["stream"] = True
    body.pop("stream_options", None)
    if how != "absent":
        with_false = some_options | {"include_usage": False}
        body["stream_options"] = {
            "null": None,
            "without": some_options,
            "false": with_false,
        }[how]
    names = list(body)
    random.shuffle(names)
    body = {name: body[name] for name in names}
    text = json.dumps(body, indent=indent, ensure_ascii=ascii_only).encode(
        "utf-8", "surrogatepass"
    )
    made = splice(text)
    assert made is not None
    wanted = body | {
        "stream_options": (body.get("stream_options") or {}) | {"include_usage": True}
    }
    assert json.loads(made.body) == wanted
    assert list(json.loads(made.body)) == list(wanted)
    assert made.body[: made.offset] == text[: made.offset]


@pytest.mark.parametrize(
    ("status", "body", "answer"),
    [
        (
            400,
            b'{"error":{"message":"Unknown parameter: \'stream_options\'.","param":"stream_options"}}',
            True,
        ),
        (
            422,
            b'{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"]}]}',
            True,
        ),
        (400, b"Unrecognized request argument supplied: stream_options", True),
        (400, b'{"message":"includeUsage is not allowed"}', True),
        (400, b'{"error":{"message":"Unknown parameter.","param":null}}', True),
        (400, b'{"error":{"message":"Unknown parameter.","param":"tools"}}', False),
        (400, b'{"error":{"message":"Unknown parameter: \'foo\'."}}', False),
        (400, b'{"error":{"message":"context length exceeded"}}', False),
        (401, b"stream_options", False),
        (500, b"stream_options", False),
        (200, b"stream_options", False),
        (400, b"", False),
    ],
)
def test_a_refusal_of_the_field_is_recognised(status, body, answer):
    assert refused(status, body) is answer
