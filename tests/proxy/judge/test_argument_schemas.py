"""Arguments are held against whatever schema their tool has, and nothing is fetched for it."""

import json
import socket
from typing import Any

import pytest

from proxy.judge.argument_schemas import Schema, understand
from proxy.judge.call_checks import WORK


def schema(said: Any) -> Schema:
    made, work = understand(json.dumps(said).encode(), WORK)
    assert made is not None
    assert work > 0
    return made


NODE = {"properties": {"value": {"type": "integer"}, "next": {"$ref": "#/$defs/node"}}, "required": ["value"]}  # fmt: skip
DRAFTS: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "newest": ({"properties": {"a": {"type": "array", "prefixItems": [{"type": "string"}]}}}, {"a": ["x"]}, {"a": [1]}),
    "2019-09": (
        {"$schema": "https://json-schema.org/draft/2019-09/schema", "properties": {"a": {"items": [{"type": "string"}]}}},
        {"a": ["x", 1]},
        {"a": [1]},
    ),
    "seventh, said": (
        {"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"a": {"items": [{"type": "string"}]}}},
        {"a": ["x", 1]},
        {"a": [1]},
    ),
    "seventh, not said": ({"properties": {"a": {"items": [{"type": "string"}]}}}, {"a": ["x", 1]}, {"a": [1]}),
    "fourth": ({"properties": {"a": {"minimum": 1, "exclusiveMinimum": True}}}, {"a": 2}, {"a": 1}),
    "definitions": ({"definitions": {"c": {"enum": ["a"]}}, "properties": {"x": {"$ref": "#/definitions/c"}}}, {"x": "a"}, {"x": "b"}),
    "an address": ({"$id": "https://example.com/s", "$defs": {"c": {"enum": [1]}}, "properties": {"x": {"$ref": "#/$defs/c"}}}, {"x": 1}, {"x": 2}),
    "a tree": ({"$defs": {"node": NODE}, "$ref": "#/$defs/node"}, {"value": 1, "next": {"value": 2}}, {"value": 1, "next": {"value": "2"}}),
    "strict": (
        {"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "required": ["a"], "additionalProperties": False},
        {"a": None},
        {"a": None, "b": 1},
    ),
    "google's": ({"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}}, {"a": None}, {"a": 1}),
    "a pattern": ({"properties": {"a": {"pattern": "^[a-z]+$"}}}, {"a": "abc"}, {"a": "ABC"}),
    "a pattern that looks ahead": ({"properties": {"a": {"anyOf": [{"type": "number"}, {"pattern": "^(?!x)[a-z]+$"}]}}}, {"a": "abc"}, {"a": "xbc"}),
    "an unknown draft": ({"$schema": "https://example.com/mine", "required": ["a"]}, {"a": 1}, {}),
}  # fmt: skip


@pytest.mark.parametrize("case", DRAFTS)
def test_arguments_are_held_against_it(case: str):
    said, fits, fits_not = DRAFTS[case]
    assert schema(said).fits(fits)
    assert not schema(said).fits(fits_not)
    assert schema(said).where(fits_not)


@pytest.mark.parametrize(
    ("said", "arguments"),
    [
        ({"properties": {"a": {"type": "string", "format": "date"}}}, {"a": "tomorrow"}),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"a": {"format": "email"}}}, {"a": "me"}),
        ({"properties": {"a": {"type": "integer"}}}, {"a": 1.0}),
        ({"properties": {"a": {"type": "number"}}}, {"a": 10**40}),
        ({"properties": {"a": {"x-mine": 3, "propertyOrdering": ["b"]}}}, {"a": 1}),
        ({"properties": {"a": {"multipleOf": 0.01}}}, {"a": 19.99}),
        ({}, {"anything": [None]}),
    ],
    ids=["a hint", "a hint of an older draft", "a whole number", "a large number", "unknown words", "cents", "nothing"],
)  # fmt: skip
def test_what_is_no_assertion_refuses_nothing(said: Any, arguments: Any):
    assert schema(said).fits(arguments)


def test_where_it_fails_is_a_path_in_the_schema():
    said = {"properties": {"a": {"items": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}}  # fmt: skip
    assert schema(said).where({"a": ["x", 1]}) == "properties/a/items/anyOf"
    assert schema({"required": ["a"]}).where({"secret": 1}) == "required"


NOT_UNDERSTOOD: dict[str, bytes] = {
    "no JSON": b"{",
    "no object": b"true",
    "words in the wrong place": b'{"properties": []}',
    "a type that is no word": b'{"type": 99}',
    "a pattern that is none": b'{"pattern": "(["}',
    "a pattern that is very large": b'{"pattern": "(a{1000}){1000}"}',
    "a reference elsewhere": b'{"$ref": "http://127.0.0.1:1/x"}',
    "what refuses more by asserting less": b'{"not": {"type": "any"}}',
    "too much": json.dumps({"enum": [1] * 20_000}).encode(),
    "too many patterns": json.dumps(
        {"items": [{"pattern": f"a{i}"} for i in range(300)]}
    ).encode(),
    "too deep": b'{"items": ' * 1500 + b"{}" + b"}" * 1500,
}


@pytest.mark.parametrize("case", NOT_UNDERSTOOD)
def test_what_is_not_understood_checks_nothing(case: str):
    assert understand(NOT_UNDERSTOOD[case], WORK)[0] is None


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        said = {"properties": {"a": {"$ref": f"http://127.0.0.1:{port}/s.json"}}}
        assert understand(json.dumps(said).encode(), WORK)[0] is None
        other = {"$schema": f"http://127.0.0.1:{port}/meta.json", "required": ["a"]}
        assert schema(other).where({}) == "required"
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("pattern", ["^(a+)+$", "(x+x+)+y", r"^(a|a)*$"])
def test_a_pattern_that_takes_for_ever_elsewhere_does_not_here(pattern: str):
    made = schema({"properties": {"a": {"pattern": pattern}}})
    assert made.is_sure
    assert not made.fits({"a": "a" * 50_000 + "!"})


@pytest.mark.parametrize("nested", [False, True])
def test_a_pattern_that_gives_up_says_nothing(nested: bool):
    slow: dict[str, Any] = {"pattern": r"^(?!x)(a|a|aa)+\1$"}
    both = {"anyOf": [{"type": "null"}, {"allOf": [slow, {"minLength": 99}]}, slow]}
    made = schema({"properties": {"a": both if nested else slow}})
    assert not made.is_sure
    assert made.where({"a": "a" * 40 + "!"}) is None
    assert made.where({"a": "xyz"}) is not None


def test_a_pattern_that_may_give_up_costs_more():
    plain = schema({"properties": {"a": {"pattern": "^x"}}})
    ahead = schema({"properties": {"a": {"pattern": "^(?!x)"}}})
    assert ahead.work(2, 1, 10) == plain.work(2, 1, 10) + 8000


def test_where_it_fits_there_is_no_place():
    assert schema({}).where({}) is None
