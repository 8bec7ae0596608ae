"""Members are found where they stand, or not at all."""

import pytest

from proxy.meter.members import MEMBERS_CAP, find_member, read_members


def place(text, wanted):
    members = read_members(text)
    assert members is not None
    return find_member(text, members, wanted)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (b'{"a":1,"b":null,"c":2}', b'{"a":1,"c":2}'),
        (b'{"a": 1, "b": null, "c": 2}', b'{"a": 1, "c": 2}'),
        (b'{"b":null,"c":2}', b'{"c":2}'),
        (b'{"b": null, "c": 2}', b'{"c": 2}'),
        (b'{ "b" : null }', b"{  }"),
        (b'{"a":"\\"b\\":null","b":null}', b'{"a":"\\"b\\":null"}'),
        (b'{"a":{"b":null},"b":null}', b'{"a":{"b":null}}'),
        (b'{"a":1,"\\u0062":null}', b'{"a":1}'),
        (b'\xef\xbb\xbf{"a":1,"b":null}', b'\xef\xbb\xbf{"a":1}'),
        (b'{\n  "a": [1, 2],\n  "b": null\n}', b'{\n  "a": [1, 2]\n}'),
    ],
)
def test_a_member_is_cut_with_exactly_one_comma(text, left):
    found = place(text, "b")
    assert found is not None
    assert text.startswith(b"null", found.value)
    assert text[: found.cut.start] + text[found.cut.stop :] == left


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":[12,"x"],"a":[1],"b":null}',
        b'{"a":12,"a":1,"b":null}',
        b'{"b":[1,2],"b":null}',
        b"{"
        + b"".join(b'"k%d":0,' % number for number in range(MEMBERS_CAP))
        + b'"b":null}',
    ],
    ids=["other value", "prefix", "itself twice", "too many members"],
)
def test_a_doubtful_place_is_not_given(text):
    assert place(text, "b") is None


@pytest.mark.parametrize("text", [b'{"a":1}', b"{}"])
def test_a_member_that_does_not_stand_there_is_not_found(text):
    assert find_member(text, read_members(b'{"a":1,"b":2}') or {}, "b") is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[1]",
        b"null",
        b'{"a":}',
        b'{"a":1',
        b'{"a":1}}',
        b'{"\xff":1}',
        b'{"a":' * 50_000,
        b"\xff\xfe{\0}\0",
    ],
    ids=[
        "empty",
        "array",
        "null",
        "no value",
        "cut",
        "too much",
        "not utf-8",
        "deep",
        "utf-16",
    ],
)
def test_what_is_not_an_object_has_no_members(text):
    assert read_members(text) is None
