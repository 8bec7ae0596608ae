"""Calls that cannot work are found in every family, and no others."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.judge import call_checks
from proxy.judge.argument_schemas import Schema
from proxy.judge.call_checks import Checked, Checker, Problem
from proxy.model import Reading, ToolCall
from tests.helpers.asking import FAMILIES, Family
from tests.helpers.metering import dialect_of, read_recording
from tests.helpers.recordings import ALL_TRAFFIC, NAMES, SUBSET, recordings

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}
TOOLS = [("weather", SCHEMA), ("search", SCHEMA)]
FINE = ('{"city": "Bonn"}', '{"city": "Bonn", "days": 3}', '{"days": 0, "city": "\\ud83d\\ude00"}')  # fmt: skip
NO_JSON = ('{"city": "Bo', '{"city": Bonn}', "{'city': 'Bonn'}", '{"city": "Bonn"}}', "Bonn")  # fmt: skip
UNFIT = ("{}", '{"city": 3}', '{"city": null}', '{"city": "Bonn", "days": "3"}', '{"days": 2}')  # fmt: skip
MADE_UP = ("wether", "Weather", "functions.weather", "weather ", "")

PLANTS = st.one_of(
    st.tuples(st.sampled_from([name for name, _ in TOOLS]), st.sampled_from(FINE), st.just("")),
    st.tuples(st.sampled_from(MADE_UP[:-1]), st.sampled_from(FINE + UNFIT), st.just("unknown_tool")),
    st.tuples(st.just("search"), st.sampled_from(UNFIT), st.just("bad_arguments")),
    st.tuples(st.just("weather"), st.sampled_from(NO_JSON), st.just("bad_json")),
)  # fmt: skip


def found(family: Family, body: bytes, calls: list[tuple[str, str]]) -> list[Checked]:
    return list(Checker(1).check(body, family.read(body, family.answer(calls))))


def words(checked: list[Checked]) -> list[str]:
    return [each.problem.value for each in checked]


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=60, deadline=None)
@given(planted=st.lists(PLANTS, min_size=1, max_size=8))
def test_each_planted_call_is_found_and_no_other(
    name: str, planted: list[tuple[str, str, str]]
):
    family = FAMILIES[name]
    if not family.is_text:
        planted = [each for each in planted if each[2] != "bad_json"]
    if name.endswith("functions"):
        planted = planted[:1]
    if not planted:
        return
    calls = [(tool, arguments) for tool, arguments, _ in planted]
    checked = found(family, family.body(TOOLS), calls)
    assert words(checked) == [problem for _, _, problem in planted]
    assert not any(each.is_unchecked for each in checked)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_request_that_offers_nothing_knows_no_tool(name: str):
    family = FAMILIES[name]
    body = family.body([])
    assert words(found(family, body, [("weather", "{}")])) == ["unknown_tool"]


def alarms(folder: Any) -> tuple[int, list[tuple[str, str, str, str]], int]:
    """Count calls, list what is said of them, and count what could not be checked."""
    checker, calls, unchecked = Checker(1), 0, 0
    told: list[tuple[str, str, str, str]] = []
    for name in NAMES:
        for recording in recordings(folder, name):
            reading = read_recording(recording, [recording.body])
            checked = checker.check(recording.request_body, reading)
            calls += len(checked)
            unchecked += sum(each.is_unchecked for each in checked)
            told += [
                (dialect_of(recording)[0].name, call.name, each.problem, each.where)
                for call, each in zip(reading.tool_calls, checked, strict=True)
                if each.problem
            ]
    return calls, sorted(told), unchecked


TRUE_ONES = [
    # "grades": 3.8, which the schema has as an integer, asked for in both ways that there are
    ("openai_chat", "extract_student_info", "bad_arguments", "properties/grades/type"),
    ("openai_chat", "extract_student_info", "bad_arguments", "properties/grades/type"),
]
MADE_UP_ONE = ("gemini_generate", "exec_python", "unknown_tool", "")
"""The agent has told the model to run Python, and gave it no tool for that."""


def test_no_false_alarm_on_the_recordings():
    calls, told, unchecked = alarms(SUBSET)
    assert calls >= 80
    assert not Counter(told) - Counter([*TRUE_ONES, MADE_UP_ONE])
    assert unchecked == 0


@pytest.mark.skipif(not ALL_TRAFFIC.is_dir(), reason="the whole traffic is not here")
def test_no_false_alarm_on_all_recorded_traffic():
    calls, told, unchecked = alarms(ALL_TRAFFIC)
    assert calls == 292
    assert told == sorted([*TRUE_ONES, MADE_UP_ONE])
    assert unchecked == 0


CHAT = FAMILIES["openai_chat"]


def check(body: bytes | None, *calls: tuple[str, str], **facts: Any) -> list[Checked]:
    asked = tuple(ToolCall("", name, said.encode()) for name, said in calls)
    return list(Checker(1).check(body, Reading(tool_calls=asked, **facts)))


def test_an_answer_without_calls_is_not_looked_at():
    assert Checker(1).check(b"not even JSON", Reading()) == ()


@pytest.mark.parametrize("body", [None, b"", b"{", b"[1]", b"no JSON"])
def test_of_a_request_that_cannot_be_read_nothing_is_said(body: bytes | None):
    assert words(check(body, ("weather", "{"), ("x", ""))) == ["", ""]
    assert Checker(1).offers(body) is None


def test_the_tools_of_a_request_can_be_asked_for():
    offered = Checker(1).offers(CHAT.body(TOOLS))
    assert offered is not None
    assert list(offered.tools) == ["weather", "search"]


@pytest.mark.parametrize("cut", [{"expects_terminal": True}, {"malformed": True}])
def test_of_an_answer_that_was_cut_only_names_are_judged(cut: dict[str, bool]):
    calls = ("weather", '{"city": "Bo'), ("wether", "")
    assert words(check(CHAT.body(TOOLS), *calls, **cut)) == ["", "unknown_tool"]


def test_a_stream_that_came_whole_is_judged():
    whole = {"expects_terminal": True, "terminal": True}
    assert words(check(CHAT.body(TOOLS), ("weather", "{"), **whole)) == ["bad_json"]


@pytest.mark.parametrize("arguments", ["", "  ", "null", "{}", " {}\n"])
def test_nothing_is_how_models_say_that_there_are_no_arguments(arguments: str):
    body = CHAT.body([("now", {"type": "object", "properties": {}})])
    assert words(check(body, ("now", arguments))) == [""]
    assert words(check(CHAT.body(TOOLS), ("weather", arguments))) == ["bad_arguments"]


@pytest.mark.parametrize("arguments", ["[]", "3", '"{}"', "true"])
def test_arguments_that_are_no_object_fit_no_tool(arguments: str):
    for schema in (SCHEMA, {}):
        checked = check(CHAT.body([("f", schema)]), ("f", arguments))
        assert checked == [Checked(Problem.BAD_ARGUMENTS, "type")]


def test_half_a_surrogate_pair_is_json():
    assert words(check(CHAT.body(TOOLS), ("weather", r'{"city": "\ud800"}'))) == [""]


def test_a_tool_without_a_schema_takes_any_object():
    body = json.dumps({"tools": [{"type": "function", "function": {"name": "f"}}]}).encode()  # fmt: skip
    assert words(check(body, ("f", '{"x": 1}'), ("f", "{"))) == ["", "bad_json"]


def test_a_tool_that_takes_text_is_given_any():
    body = json.dumps({"tools": [{"type": "custom", "custom": {"name": "py", "format": {"type": "text"}}}]}).encode()  # fmt: skip
    assert words(check(body, ("py", "print(1)"), ("py", ""))) == ["", ""]


def test_where_a_schema_fails_is_told_without_anything_of_the_arguments():
    (told,) = check(CHAT.body(TOOLS), ("weather", '{"city": {"secret": "s3cr3t"}}'))
    assert told.where == "properties/city/type"
    (told,) = check(CHAT.body([("f", {"additionalProperties": False})]), ("f", '{"secret": 1}'))  # fmt: skip
    assert told.where == "additionalProperties"


UNCHECKED: dict[str, tuple[dict[str, Any], str]] = {
    "a schema that is not understood": ({"$ref": "https://example.com/s.json"}, "{}"),
    "arguments that are very long": (SCHEMA, json.dumps({"city": "x" * (300 << 10)})),
    "arguments with very many values": (SCHEMA, json.dumps({"city": "", "x": [0] * 30_000})),
    "arguments that are very deep": (SCHEMA, '{"city": "", "x": ' + "[" * 3000 + "]" * 3000 + "}"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNCHECKED)
def test_what_cannot_be_checked_is_no_problem_but_told(case: str):
    schema, arguments = UNCHECKED[case]
    body = CHAT.body([("f", schema)])
    assert check(body, ("f", arguments)) == [Checked(is_unchecked=True)]


def doubling(levels: int) -> dict[str, Any]:
    """Make a small schema that takes very many checks."""
    names = {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(levels)}  # fmt: skip
    return {"$defs": {**names, f"d{levels}": {"type": "string"}}, "properties": {"x": {"$ref": "#/$defs/d0"}}}  # fmt: skip


def test_a_schema_made_to_be_slow_is_not_checked():
    body = CHAT.body([("f", doubling(30))])
    assert check(body, ("f", '{"x": 1}')) == [Checked(is_unchecked=True)]


def test_the_calls_of_an_answer_share_what_they_may_cost():
    body = CHAT.body([("f", doubling(6))])
    checked = check(body, *[("f", '{"x": 1}')] * 4000)
    assert checked[0] == Checked(Problem.BAD_ARGUMENTS, "$defs/d0/anyOf")
    # First there is no room for telling where, then for checking.
    assert checked[100] == Checked(Problem.BAD_ARGUMENTS)
    assert checked[-1] == Checked(is_unchecked=True)


def test_where_a_pattern_may_have_given_up_a_problem_has_to_be_told_to_be_one():
    alike = [{"pattern": "^(?!x)a"}, {"type": "null"}] * 60
    body = CHAT.body([("f", {"properties": {"x": {"anyOf": alike}}})])
    checked = check(body, *[("f", '{"x": "xa"}')] * 20)
    assert checked[0].problem is Problem.BAD_ARGUMENTS
    assert checked[-1] == Checked(is_unchecked=True)


def test_a_schema_that_there_was_no_room_to_understand_is_understood_later():
    wide = {"properties": {f"p{i}": {"type": "string"} for i in range(3000)}}
    tools = [(f"f{i}", wide) for i in range(20)]
    body, checker = CHAT.body(tools), Checker(1)

    def ask(*names: str) -> tuple[Checked, ...]:
        asked = tuple(ToolCall("", name, b'{"p1": 1}') for name in names)
        return checker.check(body, Reading(tool_calls=asked))

    checked = ask(*(name for name, _ in tools))
    assert checked[0].problem is Problem.BAD_ARGUMENTS
    assert checked[-1] == Checked(is_unchecked=True)
    assert ask("f19")[0].problem is Problem.BAD_ARGUMENTS


def test_one_that_is_too_large_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch):
    body, checker = CHAT.body([("f", {"enum": [1] * 20_000})]), Checker(1)
    answer = Reading(tool_calls=(ToolCall("", "f", b"{}"),))
    assert checker.check(body, answer) == (Checked(is_unchecked=True),)
    monkeypatch.setattr(call_checks, "understand", None)
    assert checker.check(body, answer) == (Checked(is_unchecked=True),)


class PanicException(BaseException):  # the name is the binding's
    """As PyO3 raises it."""


@pytest.mark.parametrize("raised", [PanicException, ValueError, RecursionError])
def test_a_validator_that_fails_costs_only_its_check(
    raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: Any) -> None:
        raise raised("index out of bounds")

    monkeypatch.setattr(Schema, "fits", fail)
    checked = check(CHAT.body(TOOLS), ("weather", "{}"))
    assert checked == [Checked(is_unchecked=True)]


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit])
def test_what_is_no_failure_of_the_validator_passes(
    raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
):
    def stop(*_: Any) -> None:
        raise raised

    monkeypatch.setattr(Schema, "fits", stop)
    with pytest.raises(raised):
        check(CHAT.body(TOOLS), ("weather", "{}"))


def test_definitions_are_read_once_while_they_stay_the_same(
    monkeypatch: pytest.MonkeyPatch,
):
    checker, answer = Checker(1), Reading(tool_calls=(ToolCall("", "weather", b"{}"),))
    for said in range(3):
        body = CHAT.body(TOOLS, messages=[{"role": "user", "content": str(said)}])
        assert words(list(checker.check(body, answer))) == ["bad_arguments"]
        monkeypatch.setattr(call_checks, "offers", None)
        monkeypatch.setattr(call_checks, "understand", None)
    with pytest.raises(TypeError):
        checker.check(CHAT.body(TOOLS[:1]), answer)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(call_checks, "MAX_KNOWN", 3)
    checker = Checker(1)
    for i in range(10):
        checker.offers(CHAT.body([(f"f{i}", SCHEMA)]))
    assert len(checker._known) == 3
    monkeypatch.setattr(call_checks, "MAX_KNOWN_BYTES", 400)
    checker.offers(CHAT.body([("g", SCHEMA)]))
    assert 1 <= len(checker._known) < 3
    assert checker._known_bytes == sum(each.size for each in checker._known.values())


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
    | st.sampled_from(["#", "#/$defs/a", "#/properties/a", "object", "STRING", "^(a+)+$", r"^(?=a)\1", "string", "array"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["type", "properties", "items", "anyOf", "allOf", "oneOf", "not", "if", "then", "$ref", "$defs", "a", "required", "enum", "const",
             "pattern", "patternProperties", "additionalProperties", "nullable", "minItems", "$id", "$schema", "prefixItems", "uniqueItems",
             "$dynamicRef", "$anchor", "multipleOf", "dependentSchemas", "contains", "format", "parameters", "name", "function", "tools"]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=25,
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(schema=ANYTHING, arguments=ANYTHING)
def test_no_schema_and_no_arguments_make_it_raise(schema: Any, arguments: Any):
    body = json.dumps({"tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]}).encode()  # fmt: skip
    (checked,) = check(body, ("f", json.dumps(arguments)))
    assert checked.problem in (Problem.NONE, Problem.BAD_ARGUMENTS)


@settings(max_examples=300, deadline=None)
@given(tools=ANYTHING, name=st.sampled_from(["a", "f", ""]), said=st.binary(max_size=30))  # fmt: skip
def test_no_definition_and_no_bytes_make_it_raise(tools: Any, name: str, said: bytes):
    body = json.dumps({"tools": tools, "toolConfig": tools}).encode()
    answer = Reading(tool_calls=(ToolCall("", name, said),))
    assert len(Checker(1).check(body, answer)) == 1
