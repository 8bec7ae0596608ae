"""What tools a request offers, in each family's own words, and when there may be others."""

import json
from typing import Any

import pytest

from proxy.judge import offers as module
from proxy.judge.offers import Offer, Offers, Takes, definitions, offers
from tests.helpers.asking import FAMILIES

SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}


def read(**request: Any) -> Offers:
    found = definitions(json.dumps(request).encode())
    assert found is not None
    return offers(found)


def test_every_family_offers_its_tools_with_their_schemas():
    for name, family in FAMILIES.items():
        found = definitions(family.body([("f", SCHEMA), ("g", SCHEMA)]))
        assert found is not None
        offered = offers(found)
        assert list(offered.tools) == ["f", "g"], name
        assert offered.is_all, name
        schema = json.loads(offered.tools["f"].schema)
        assert schema["required"] == ["x"], name
        assert schema["properties"]["x"]["type"].lower() == "integer", name


TYPED: dict[str, dict[str, Any]] = {
    "anthropic bash": {"type": "bash_20250124", "name": "bash"},
    "anthropic editor": {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool", "max_characters": 1000},
    "anthropic computer": {"type": "computer_20251124", "name": "computer", "display_width_px": 1024},
    "anthropic memory": {"type": "memory_20250818", "name": "memory"},
    "anthropic search of tools": {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"},
}  # fmt: skip


@pytest.mark.parametrize("case", TYPED)
def test_a_kind_of_the_providers_own_takes_what_only_it_knows(case: str):
    name = TYPED[case]["name"]
    assert read(tools=[TYPED[case]]) == Offers({name: Offer(name, Takes.ANY)}, True)


def test_so_does_a_function_that_is_built_in():
    tool = {"type": "builtin_function", "function": {"name": "$web_search"}}
    assert read(tools=[tool]).tools["$web_search"].takes is Takes.ANY


NAMELESS = [
    {"type": "web_search"},
    {"type": "web_search_preview", "search_context_size": "medium"},
    {"type": "file_search", "vector_store_ids": ["v"]},
    {"type": "code_interpreter", "container": {"type": "auto"}},
    {"type": "image_generation"},
    {"type": "mcp", "server_label": "x", "server_url": "https://x"},
    {"type": "mcp_toolset", "mcp_server_name": "x"},
    {"type": "openrouter:web_search"},
    {"type": "browser_search"},
    {"googleSearch": {}},
    {"google_search": {}, "code_execution": {}},
    {"urlContext": {}},
    {"systemTool": {"name": "nova_grounding"}},
    {"cachePoint": {"type": "default"}},
]


@pytest.mark.parametrize("entry", NAMELESS, ids=json.dumps)
def test_tools_that_the_provider_runs_need_no_name(entry: dict[str, Any]):
    assert read(tools=[entry]) == Offers({}, True)


@pytest.mark.parametrize(
    ("kind", "called"),
    [
        ("local_shell", "local_shell_call"),
        ("shell", "shell_call"),
        ("apply_patch", "apply_patch_call"),
        ("computer_use_preview", "computer_call"),
        ("computer", "computer_call"),
    ],
)
def test_openais_own_tools_are_called_by_their_items(kind: str, called: str):
    assert read(tools=[{"type": kind}]) == Offers({called: Offer(called, Takes.ANY)}, True)  # fmt: skip


OPEN: dict[str, dict[str, Any]] = {
    "an unknown kind": {"tools": [{"type": "telepathy"}]},
    "a search of tools": {"tools": [{"type": "tool_search"}]},
    "gemini's computer": {"tools": [{"computerUse": {"environment": "ENVIRONMENT_BROWSER"}}]},
    "a new kind beside declarations": {"tools": [{"functionDeclarations": [], "mcpServers": []}]},
    "no object": {"tools": ["search"]},
    "an empty object": {"tools": [{}]},
    "a declaration without a name": {"tools": [{"functionDeclarations": [{}, 3]}]},
    "a list that is none": {"tools": 3},
    "a stored prompt": {"prompt": {"id": "pmpt_1"}},
    "bedrock's stored prompt": {"promptVariables": {"x": {"text": "y"}}},
    "cached content": {"cachedContent": "cachedContents/1"},
    "cached content, other spelling": {"cached_content": "cachedContents/1"},
    "an agent": {"agent": "deep-research"},
    "mistral's agent": {"agent_id": "ag_1"},
    "an assistant": {"assistant_id": "asst_1"},
    "an earlier response, no tools": {"previous_response_id": "resp_1", "tools": []},
    "an earlier interaction, no tools": {"previous_interaction_id": "i_1"},
    "a conversation, no tools": {"conversation": "conv_1"},
    "a conversation that goes on": {"inputs": "and now?"},
}  # fmt: skip


@pytest.mark.parametrize("case", OPEN)
def test_where_there_may_be_other_tools_no_name_is_unknown(case: str):
    assert not read(**OPEN[case]).is_all


CLOSED: dict[str, dict[str, Any]] = {
    "nothing": {},
    "nulls": {"tools": None, "agent": None, "previous_response_id": None, "conversation": None, "toolConfig": None, "cachedContent": ""},
    "a prompt that is a text": {"prompt": "Say hi"},
    "an earlier response, and tools": {"previous_response_id": "resp_1", "tools": [{"type": "function", "name": "f"}]},
    "a choice that is forced": {"tools": [{"type": "function", "name": "f"}], "tool_choice": {"type": "function", "name": "f"}},
}  # fmt: skip


@pytest.mark.parametrize("case", CLOSED)
def test_elsewhere_there_are_no_others(case: str):
    assert read(**CLOSED[case]).is_all


def test_a_namespace_offers_its_tools_bare_and_in_full():
    inner = {"type": "function", "name": "find", "parameters": SCHEMA}
    offered = read(tools=[{"type": "namespace", "name": "crm", "tools": [inner, 3]}])
    assert list(offered.tools) == ["find", "crm.find", "crm__find"]
    assert offered.tools["crm.find"].schema
    assert not offered.is_all


def test_a_tool_that_takes_text_has_no_schema():
    chat = {"type": "custom", "custom": {"name": "py", "format": {"type": "grammar"}}}
    responses = {"type": "custom", "name": "sql", "format": {"type": "text"}}
    anthropic = {"type": "custom", "name": "f", "input_schema": SCHEMA}
    offered = read(tools=[chat, responses, anthropic])
    takes = {name: each.takes for name, each in offered.tools.items()}
    assert takes == {"py": Takes.TEXT, "sql": Takes.TEXT, "f": Takes.OBJECT}


def test_a_name_with_two_meanings_takes_anything():
    twice = [{"type": "function", "name": "f", "parameters": SCHEMA}] * 2
    assert read(tools=twice).tools["f"].takes is Takes.OBJECT
    other = {"type": "function", "name": "f"}
    assert read(tools=[*twice, other]).tools["f"] == Offer("f", Takes.ANY)


@pytest.mark.parametrize("schema", [None, "string", [], True])
def test_what_is_no_schema_is_none(schema: Any):
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    assert read(tools=[tool]).tools["f"] == Offer("f")


def test_converse_may_have_its_schema_bare():
    spec = {"toolSpec": {"name": "f", "inputSchema": SCHEMA}}
    offered = read(toolConfig={"tools": [spec], "toolChoice": {"any": {}}})
    assert json.loads(offered.tools["f"].schema) == SCHEMA


def test_the_types_of_coheres_first_version_are_pythons():
    defined = {
        "a": {"type": "str", "required": True},
        "b": {"type": "List[int]"},
        "c": {"type": "Date"},
        "d": {"type": "number"},
        "e": 3,
    }
    offered = read(tools=[{"name": "f", "parameter_definitions": defined}])
    assert json.loads(offered.tools["f"].schema) == {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "array"}, "c": {}, "d": {"type": "number"}, "e": {}},
        "required": ["a"],
    }  # fmt: skip


def test_a_request_with_very_many_tools_may_have_others(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(module, "MAX_TOOLS", 2)
    offered = read(tools=[{"type": "function", "name": name} for name in "abc"])
    assert list(offered.tools) == ["a", "b"]
    assert not offered.is_all


def test_definitions_that_are_very_long_are_not_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_DEFINITION_BYTES", 10)
    assert definitions(b'{"tools": [1, 2, 3, 4]}') is None
    assert definitions(b'{"tools": [1]}') is not None


def test_half_a_surrogate_pair_costs_only_itself():
    found = definitions(
        rb'{"tools": [{"type": "function", "name": "f", "description": "\ud800"}]}'
    )
    assert found is not None
    assert list(offers(found).tools) == ["f"]


def test_definitions_that_are_no_text_may_be_anything():
    found = definitions(b'{"tools": [{"type": "function", "name": "\xff"}]}')
    assert found is None or not offers(found).is_all
