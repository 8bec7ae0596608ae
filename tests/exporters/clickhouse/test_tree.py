"""The walk over a tree, on trees made by hand: what the parser of a newer engine might say is refused."""

from typing import Any

import pytest

from exporters.clickhouse.allowed import Functions
from exporters.clickhouse.tree import Refused, Scope, check_tree

SCOPE = Scope(
    Functions(frozenset({"plus"}), frozenset({"sum"})), "tacho", {"t": "steps"}
)


def select(part: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "SelectWithUnionQuery",
        "list_of_selects": {"type": "ExpressionList", "children": [part]},
    }


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"type": "SomethingNew"}, "SomethingNew is not allowed"),
        ({"type": "Function", "name": "newest"}, "function newest"),
        ({"type": "Function", "name": "newestIf"}, "function newestIf"),
        (
            {"type": "Subquery", "children": [{"type": "Function", "name": "newest"}]},
            "newest",
        ),
        ({"type": "ColumnsApplyTransformer", "func_name": "newest"}, "APPLY"),
        (
            {
                "type": "TableExpression",
                "table_function": {"type": "Function", "name": "plus"},
            },
            "table function plus",
        ),
        ({"type": "TableIdentifier", "name_parts": ["a", "b", "c"]}, "a.b.c"),
        ({"type": "TableIdentifier", "name_parts": ["System", "one"]}, "System.one"),
        ({"type": "SetQuery", "query_parameters": [1]}, "SETTINGS"),
        (
            {
                "type": "SetQuery",
                "changes": [{"name": "final", "value": {"value": [1]}}],
            },
            "final",
        ),
        (
            {"type": "Identifier", "name": "", "children": [{"name": "missing"}]},
            "missing",
        ),
        ({"type": "Identifier", "name": "x", "children": [{"name": "t"}]}, "no name"),
        ({"type": "SelectQuery", "out_file": {}}, "OUTFILE"),
    ],
)
def test_what_is_not_known_to_be_harmless_is_refused(
    part: dict[str, Any], says: str
) -> None:
    with pytest.raises(Refused, match=says):
        check_tree(select(part), SCOPE, may_write=True)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "Function", "name": "sumIf"},
        {"type": "Function", "name": "sumOrNullMerge"},
        {"type": "Literal", "value": {"type": "SomethingNew"}},
        {"type": "TableIdentifier", "name": "", "children": [{"name": "t"}]},
        {"type": "Identifier", "name_parts": ["s", "run_id"]},
    ],
)
def test_what_is_known_to_be_harmless_passes(part: dict[str, Any]) -> None:
    assert check_tree(select(part), SCOPE, may_write=False) == {}


def test_settings_of_a_statement_are_handed_back() -> None:
    changes = [
        {"name": "final", "value": {"value": True}},
        {"name": "max_threads", "value": {"value": 2}},
    ]
    found = check_tree(
        select({"type": "SetQuery", "changes": changes}), SCOPE, may_write=False
    )
    assert found == {"final": "1", "max_threads": "2"}
