"""Other dialects of schemas say the same in the words of the newest draft."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.judge.schema_dialects import repaired
from proxy.judge.schema_weights import MAX_DEPTH, UnknownSchema

SAME = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "required": {"type": ["integer", "null"], "minimum": 1},
        "nullable": {"enum": ["STRING", {"type": "STRING"}]},
        "id": {"type": "string", "default": {"type": "STRING", "id": "x"}},
        "items": {"type": "array", "items": {"$ref": "#/$defs/x"}, "minItems": 1},
    },
    "required": ["type"],
    "oneOf": [{"not": {"const": {"nullable": True}}}, True],
    "if": {"type": "object"},
    "additionalProperties": False,
    "$defs": {"x": {"type": "number"}},
    "dependencies": {"a": ["b"], "c": {"type": "object"}},
}


def test_a_schema_of_the_newest_draft_stays_as_it_is():
    assert repaired(SAME) == SAME


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "upper case": (
        {"type": "OBJECT", "properties": {"a": {"type": "ARRAY", "items": {"type": "STRING"}}}},
        {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}},
    ),
    "upper case in a list": ({"type": ["STRING", "NULL"]}, {"type": ["string", "null"]}),
    "google's numbers of types": (
        {"type": 6, "properties": {"a": {"type": 1}, "b": {"type": 99}}},
        {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": 99}}},
    ),
    "nullable": (
        {"type": "string", "nullable": True, "enum": ["a"]},
        {"type": ["string", "null"], "nullable": True, "enum": ["a", None]},
    ),
    "nullable without enum": ({"type": "STRING", "nullable": True}, {"type": ["string", "null"], "nullable": True}),
    "nullable without a type": (
        {"$ref": "#/$defs/x", "nullable": True},
        {"anyOf": [{"$ref": "#/$defs/x", "nullable": True}, {"type": "null"}]},
    ),
    "not nullable": ({"type": "string", "nullable": False}, {"type": "string", "nullable": False}),
    "counts as texts": ({"minItems": "1", "maxLength": "x"}, {"minItems": 1, "maxLength": "x"}),
    "required of the third draft": ({"properties": {"a": {"required": True}}}, {"properties": {"a": {}}}),
    "a type of another language": ({"properties": {"a": {"type": "any"}}}, {"properties": {"a": {}}}),
    "addresses": ({"$id": "https://x/y", "$schema": "z", "id": "w", "type": "object"}, {"type": "object"}),
    "schemas in lists": ({"anyOf": [{"type": "STRING"}], "items": [{"type": "STRING"}]}, {"anyOf": [{"type": "string"}], "items": [{"type": "string"}]}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_it_is_written_anew(case: str):
    said, meant = CASES[case]
    assert repaired(said) == meant


@pytest.mark.parametrize("keyword", ["not", "oneOf", "if"])
def test_what_would_refuse_more_by_asserting_less_is_not_understood(keyword: str):
    said = {"properties": {"a": {keyword: [{"type": "any"}], "items": {"type": "any"}}}}
    with pytest.raises(UnknownSchema):
        repaired(said)


def test_what_has_no_other_way_may_assert_less():
    assert repaired({"anyOf": [{"type": "any"}, 3]}) == {"anyOf": [{}, 3]}


def test_what_is_too_deep_is_not_understood():
    said: dict[str, Any] = {}
    for _ in range(MAX_DEPTH + 1):
        said = {"items": said}
    with pytest.raises(UnknownSchema):
        repaired(said)


@given(st.sampled_from(["STRING", "Integer", "object"]), st.booleans())
def test_writing_it_again_changes_nothing(kind: str, nullable: bool):
    once = repaired({"properties": {"a": {"type": kind, "nullable": nullable}}})
    twice = repaired(once)
    if not nullable:
        assert twice == once
    assert repaired(SAME) == SAME
