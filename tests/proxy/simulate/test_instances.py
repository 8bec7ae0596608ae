"""Made values meet the schemas that agents send."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.simulate.instances import instance

ADDRESS = {
    "type": "object",
    "properties": {"zip": {"type": "string", "minLength": 5}},
    "required": ["zip"],
}
SCHEMAS: list[dict[str, Any]] = [
    {"type": "object", "properties": {"q": {"type": "string"}, "n": {"type": "integer"}}, "required": ["q"]},
    {"type": "object", "properties": {"a": {"enum": ["x", "y"]}, "b": {"const": 7}}},
    {"type": "object", "properties": {"a": {"anyOf": [{"type": "null"}, {"type": "number"}]}}},
    {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": ADDRESS}},
    {"type": "object", "properties": {"a": {"allOf": [{"$ref": "#/$defs/A"}]}}, "$defs": {"A": ADDRESS}},
    {"type": "object", "properties": {"a": {"type": "array", "items": ADDRESS, "minItems": 2}}},
    {"type": "object", "properties": {"a": {"type": "integer", "minimum": 10}, "b": {"type": "number", "maximum": 1}}},
    {"type": "object", "properties": {"a": {"type": ["null", "boolean"]}, "b": {"default": "z"}}},
    {"type": "object", "properties": {"a": {"type": "string", "maxLength": 2}}},
    {"type": "object"},
]  # fmt: skip


MADE = [
    {"q": "q"},
    {"a": "x", "b": 7},
    {"a": 3.5},
    {"a": {"zip": "zipxx"}},
    {"a": {"zip": "zipxx"}},
    {"a": [{"zip": "zipxx"}, {"zip": "zipxx"}]},
    {"a": 11, "b": 1},
    {"a": True, "b": "z"},
    {"a": "a"},
    {},
]


@pytest.mark.parametrize(("schema", "made"), [*zip(SCHEMAS, MADE, strict=True)])
def test_a_made_value_meets_its_schema(schema, made):
    assert instance(schema) == made


def test_the_first_string_is_what_is_said():
    said = instance(SCHEMAS[0] | {"required": ["n", "q"]}, "Tea.")
    assert said == {"q": "Tea.", "n": 3}


def test_types_in_capitals_are_understood():
    assert instance({"type": "OBJECT", "properties": {"n": {"type": "NUMBER"}}}) == {
        "n": 3.5
    }


def test_what_is_no_object_is_wrapped():
    assert instance({"type": "string"}, "x") == {"value": "x"}


def test_a_schema_that_contains_itself_ends():
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}}
    assert instance({"$ref": "#/$defs/N", "$defs": {"N": node}})
    assert instance({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}) == {
        "value": "tea"
    }


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["type", "properties", "items", "anyOf", "$ref", "enum", "required", "allOf", "minimum", "a"]),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(
    st.dictionaries(st.text(max_size=5), _JSON)
    | st.builds(lambda p: {"type": "object", "properties": p}, _JSON)
)
def test_no_schema_breaks_the_maker(schema):
    assert isinstance(instance(schema), dict)
