"""Wishes are read strictly."""

import json

import pytest

from proxy.allowance import MAX_BYTES, Wish, denied, read
from proxy.errors import TachoError


def test_a_wish_names_a_run_and_what_else_matters():
    assert read(b'{"run":"r1"}') == Wish("r1")
    said = {"run": "r1", "tenant": "t", "session": True, "id": "w"}
    assert read(json.dumps(said).encode()) == Wish("r1", "t", True, "w")


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (b"", "cannot be read"),
        (b"[]", "cannot be read"),
        (b"run=r1", "cannot be read"),
        (b"\xff", "cannot be read"),
        (b'{"run":"\xff"}', "cannot be read"),
        (b'{"run":1}', "cannot be read"),
        (b'{"run":"r1","steps":5}', "unknown field `steps`"),
        (b'{"run":"r1","session":"yes"}', "cannot be read"),
        (b'{"tenant":"t"}', "missing required field `run`"),
        (b'{"run":""}', "names no run"),
        (b'{"run":"' + b"r" * 201 + b'"}', "no name has more than 200 characters"),
        (b'{"run":"r"}' + b" " * MAX_BYTES, "4096 will do"),
    ],
)
def test_what_is_no_wish_is_refused_with_what_would_be_right(body: bytes, wrong: str):
    with pytest.raises(TachoError) as told:
        read(body)
    assert wrong in str(told.value)
    assert '{"run": "RUN"}' in str(told.value)


def test_a_refusal_is_json():
    assert denied(404, "unknown_run", "no") == (404, {"error": {"code": "unknown_run", "message": "no"}})  # fmt: skip
