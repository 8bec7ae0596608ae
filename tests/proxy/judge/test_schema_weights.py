"""What a check may cost is known before it begins."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.judge.schema_weights import (
    MAX_DEPTH,
    MAX_VALUES,
    UnknownSchema,
    Weight,
    measured,
    weigh,
    work_of_understanding,
)


def test_a_plain_schema_weighs_its_values():
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert weigh(schema) == Weight(5)


def test_a_definition_weighs_where_it_is_used_each_time():
    used = {"$ref": "#/$defs/a"}
    schema = {"$defs": {"a": {"type": "string", "pattern": "x"}, "b": {"enum": [1] * 99}}, "anyOf": [used, used]}  # fmt: skip
    # One for the schema, one for the list, two references with what they lead to: an object and two words.
    assert weigh(schema) == Weight(1 + 1 + 2 * (1 + 3), 0, 2, 2)


def test_doubling_is_seen():
    names = {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(30)}
    weight = weigh({"$defs": {**names, "d30": {}}, "$ref": "#/$defs/d0"})
    assert weight.values > 1 << 30
    endless = {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 9} for i in range(25)}  # fmt: skip
    weight = weigh({"$defs": {**endless, "d25": {}}, "$ref": "#/$defs/d0"})
    assert weight.values == 1 << 40


def test_a_tree_comes_back_once_for_each_branch():
    tree = {"$defs": {"t": {"properties": {"l": {"$ref": "#/$defs/t"}, "r": {"$ref": "#/$defs/t"}}}}, "$ref": "#/$defs/t"}  # fmt: skip
    assert weigh(tree).returns == 2
    whole = {"properties": {"more": {"items": {"$ref": "#"}}}}
    assert weigh(whole).returns == 1


def test_work_grows_with_values_levels_and_text():
    assert Weight(5).work(3, 7, 100) == 15
    assert Weight(5, 0, 2).work(3, 7, 100) == 215
    assert Weight(5, 1).work(3, 7, 100) == 15
    assert Weight(5, 3).work(3, 2, 100) == 135


def test_telling_grows_with_the_alternatives():
    assert Weight(5).work_of_telling(3, 7) == 1000
    assert Weight(5, 0, 0, 2).work_of_telling(3, 7) == 7000
    assert Weight(5, 2, 0, 2).work_of_telling(3, 2) == 28_000


def test_giving_up_grows_with_patterns_values_and_levels():
    assert Weight(5).work_of_giving_up(3, 7) == 0
    assert Weight(5, 2, 3).work_of_giving_up(4, 1) == 3 * 4 * 2 * 4000


def test_understanding_grows_with_values_and_patterns():
    assert work_of_understanding({"type": "object", "required": ["a"]}, 10**9) == 4 * 150  # fmt: skip
    assert work_of_understanding({"pattern": "a"}, 10**9) == 2 * 150 + 10_000
    assert work_of_understanding({"patternProperties": {"a": {}, "b": {}}}, 10**9) == 4 * 150 + 20_000  # fmt: skip
    assert work_of_understanding({"pattern": {}, "patternProperties": 3}, 10**9) == 3 * 150  # fmt: skip
    assert 1000 < work_of_understanding([[0] * 100] * 10_000, 1000) < 20_000


def test_patterns_of_names_count_too():
    assert weigh({"patternProperties": {"^a": {}, "^b": {}}}).patterns == 2
    assert weigh(
        {"properties": {"pattern": {}, "patternProperties": 3, "anyOf": 1}}
    ) == Weight(5)


CIRCLES: dict[str, dict[str, Any]] = {
    "itself": {"$ref": "#"},
    "through allOf": {"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"},
    "through not": {"not": {"$ref": "#"}},
    "through two": {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"if": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"},
    "through dependent schemas": {"dependentSchemas": {"x": {"$ref": "#"}}},
    "where nobody uses it": {"$defs": {"a": {"$ref": "#/$defs/a"}}},
}  # fmt: skip
LOST: dict[str, dict[str, Any]] = {
    "elsewhere": {"$ref": "https://example.com/x"},
    "a file": {"$ref": "file:///etc/passwd"},
    "an anchor": {"$ref": "#here"},
    "nowhere": {"$ref": "#/$defs/a"},
    "past the end of a list": {"anyOf": [{}], "items": {"$ref": "#/anyOf/1"}},
    "into a word": {"type": "object", "items": {"$ref": "#/type/x"}},
    "by another word": {"items": {"$dynamicRef": "#meta"}},
}


@pytest.mark.parametrize("case", [*CIRCLES, *LOST])
def test_what_cannot_be_weighed_is_not_understood(case: str):
    with pytest.raises(UnknownSchema):
        weigh({**CIRCLES, **LOST}[case])


FOUND: list[dict[str, Any]] = [
    {"anyOf": [{}, {"type": "string"}], "items": {"$ref": "#/anyOf/1"}},
    {"$defs": {"a/b~c d": {}}, "items": {"$ref": "#/$defs/a~1b~0c%20d"}},
    {"properties": {"$ref": {"type": "string"}}, "enum": [{"$ref": 3}]},
    {"default": {"allOf": []}, "const": {"x": {"$defs": 1}}},
]


@pytest.mark.parametrize("schema", FOUND)
def test_references_within_are_followed(schema: dict[str, Any]):
    assert weigh(schema).returns == 0


def test_what_is_too_deep_is_not_understood():
    deep: dict[str, Any] = {}
    for _ in range(MAX_DEPTH + 1):
        deep = {"items": deep}
    with pytest.raises(UnknownSchema):
        weigh(deep)
    far = {f"d{i}": {"$ref": f"#/$defs/d{i + 1}"} for i in range(MAX_DEPTH * 3)}
    schema = {"$defs": {**far, f"d{MAX_DEPTH * 3}": {}}}
    with pytest.raises(UnknownSchema):
        weigh({**schema, "$ref": "#/$defs/d0"})
    with pytest.raises(UnknownSchema):  # and where it is not used
        weigh(schema)


MEASURED: list[tuple[Any, tuple[int, int]]] = [
    (3, (1, 0)),
    ({}, (1, 0)),
    ({"a": [1, 2], "b": {"c": None}}, (6, 2)),
    ([[]], (2, 1)),
]


@pytest.mark.parametrize(("value", "size"), MEASURED)
def test_values_and_levels_are_counted(value: Any, size: tuple[int, int]):
    assert measured(value) == size


def test_counting_ends_where_it_is_too_much():
    many = [[0] * 10] * (MAX_VALUES // 2)
    assert measured(many)[0] > MAX_VALUES
    assert measured([many, [many]])[0] > MAX_VALUES


VALUES = st.recursive(st.none(), lambda inner: st.lists(inner, max_size=4), max_leaves=30)  # fmt: skip


@given(VALUES)
def test_each_value_counts_once(value: Any):
    def count(each: Any) -> int:
        return 1 + sum(map(count, each or ()))

    assert measured(value)[0] == count(value)
