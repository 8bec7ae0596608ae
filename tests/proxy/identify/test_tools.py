import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.identify.tools import MAX_TOOLS, NAME_CHARS, tool_names

NONE = msgspec.Raw()


def names(tools: Any) -> tuple[str, ...]:
    return tool_names(msgspec.Raw(json.dumps(tools).encode()), NONE, NONE)


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        ({"type": "function", "function": {"name": "a"}}, ("a",)),
        ({"name": "a", "input_schema": {}}, ("a",)),
        ({"functionDeclarations": [{"name": "a"}, {}, {"name": "b"}]}, ("a", "b")),
        ({"function_declarations": [{"name": "a"}]}, ("a",)),
        ({"functionDeclarations": 3, "name": "a"}, ("a",)),
        ({"toolSpec": {"name": "a"}}, ("a",)),
        ({"type": "web_search"}, ()),
        (3, ()),
    ],
)  # fmt: skip
def test_a_definition_has_its_name_in_each_familys_place(tool, expected):
    assert names([tool]) == expected


def test_older_functions_and_converses_tools_come_behind():
    functions = msgspec.Raw(b'[{"name": "b"}]')
    config = msgspec.Raw(b'{"tools": [{"toolSpec": {"name": "c"}}]}')
    assert tool_names(msgspec.Raw(b'[{"name": "a"}]'), functions, config) == ("a", "b", "c")  # fmt: skip
    assert tool_names(NONE, NONE, msgspec.Raw(b"3")) == ()
    assert tool_names(NONE, NONE, NONE) == ()


def test_names_are_bounded_in_number_and_length():
    assert len(names([{"name": "a"}] * 600)) == MAX_TOOLS
    assert names([{"name": "a" * 1000}]) == ("a" * NAME_CHARS,)


@given(st.recursive(st.none() | st.text(max_size=3) | st.integers(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "function", "toolSpec", "functionDeclarations", "tools"]), inner, max_size=3), max_leaves=8))  # fmt: skip
def test_nothing_that_json_can_say_raises(tools):
    raw = msgspec.Raw(json.dumps(tools).encode())
    tool_names(raw, raw, raw)
