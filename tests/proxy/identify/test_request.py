import json

import msgspec
import pytest

from proxy.identify import request
from proxy.meter import lenient


def raw(text: bytes) -> msgspec.Raw:
    return msgspec.Raw(text)


def said(body: bytes) -> list[list[bytes]]:
    return [[bytes(each) for each in request.messages(held)] for held in request.load(body).lists()]  # fmt: skip


BODIES = {
    "a list": b'{"messages": [1, {"a": [2]}], "x": 3}',
    "plain text": b'{"input": "Hi"}',
    "one message": b'{"contents": {"parts": []}}',
    "several": b'{"message": "c", "chat_history": ["a", "b"]}',
    "said twice": b'{"messages": [1], "messages": "b"}',
    "said twice, as lists": b'{"messages": [1], "messages": [2]}',
    "half a pair": b'{"messages": ["\\ud800"]}',
    "nothing": b"{}",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_small_and_large_bodies_are_taken_apart_alike(body, monkeypatch):
    small = said(body)
    monkeypatch.setattr(request, "QUICK_BYTES", 0)
    assert said(body) == small


def test_what_is_no_object_is_told():
    for body in (b"[1]", b"{", b'{"a": \xff'):
        with pytest.raises(lenient.UNREADABLE):
            request.load(body)


def test_a_list_that_is_too_long_is_not_split():
    assert request.messages(raw(b"[" + b"{}," * 300_000 + b"{}]")) == []
    assert request.messages(raw(b"[" + b"1," * 300_000 + b"1]")) == []


def test_commas_in_texts_do_not_make_a_list_long():
    texts = [{"content": "1,2,3," * 100_000}] * 2
    assert len(request.messages(raw(json.dumps(texts).encode()))) == 2


@pytest.mark.parametrize(
    ("text", "is_dense"),
    [
        (b"[" + b"1," * 100 + b"1]", False),
        (b"[" + b"1," * 200_000 + b"1]", True),
        (b'"' + b"some words, " * 40_000 + b'"', False),
        (b'"' + b"0.123456, " * 40_000 + b'"', False),
        (b'"' + b"0.123456, " * 200_000 + b'"', True),
    ],
    ids=["small", "large", "text", "table", "very large table"],
)
def test_what_consists_of_very_many_values_is_dense(text, is_dense):
    assert request.is_dense(raw(text)) is is_dense
    assert (request.value(raw(text)) is None) is is_dense


def test_what_is_absent_or_broken_has_no_value():
    assert request.value(raw(b"")) is None
    assert request.value(raw(b"{")) is None
    assert request.value(raw(b'"a"')) == "a"
