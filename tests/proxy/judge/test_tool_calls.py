"""What is said of an answer that asks for calls which cannot work; never what the model wrote."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.judge.call_checks import Checked, Checker, Problem
from proxy.judge.refusals import Asker, refuse, tell, verdict_header
from proxy.judge.shapes import Family, Manner
from proxy.judge.stream_errors import Begun, last_words
from proxy.judge.tool_call_settings import ToolCallSettings
from proxy.judge.tool_calls import verdict
from proxy.judge.verdict import Action, Reason, Verdict
from proxy.judge.wording import TRAPS
from proxy.model import Reading, ToolCall
from tests.helpers.asking import FAMILIES

FINE = Checked()
MADE_UP = Checked(Problem.UNKNOWN_TOOL)
NO_JSON = Checked(Problem.BAD_JSON)
UNFIT = Checked(Problem.BAD_ARGUMENTS, "properties/city/type")
OBSERVE, ENFORCE = ToolCallSettings(), ToolCallSettings(mode="enforce")


def told(
    *checked: Checked, settings: ToolCallSettings = ENFORCE, offered: tuple[str, ...] = ("weather",)
) -> Verdict | None:  # fmt: skip
    return verdict(settings, ["weather"] * len(checked), checked, offered)


@pytest.mark.parametrize("mode", ["off", "observe", "enforce"])
def test_an_answer_whose_calls_can_work_passes(mode: str):
    settings = ToolCallSettings(mode=mode)  # type: ignore[arg-type]
    assert told(FINE, FINE, Checked(is_unchecked=True), settings=settings) is None


STORIES = {
    "made up": (
        MADE_UP,
        Reason.UNKNOWN_TOOL,
        "the answer calls a tool that the request does not offer (it offers weather)",
    ),
    "no JSON": (NO_JSON, Reason.BAD_JSON, "the answer calls weather with arguments that are no JSON"),
    "unfit": (
        UNFIT,
        Reason.BAD_ARGUMENTS,
        "the answer calls weather with arguments that do not fit its schema (at properties/city/type)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", STORIES)
def test_the_first_bad_call_is_told(case: str):
    found, reason, story = STORIES[case]
    said = told(FINE, found, MADE_UP)
    assert said is not None
    assert (said.action, said.policy, said.reason) == (Action.BLOCK, "tool_calls", reason)  # fmt: skip
    assert said.message == f"{story}; ask again, or change policies.tool_calls"
    assert (said.scope, said.value, said.threshold) == ("request", "2", "0")
    assert said.is_final


def test_observing_says_what_enforcing_would_have_done():
    said = told(UNFIT, settings=OBSERVE)
    assert said is not None
    assert said.action is Action.WOULD_BLOCK
    assert told(UNFIT, settings=ToolCallSettings(mode="off")) is None


def test_only_the_problems_that_the_settings_name_are_a_reason():
    settings = ToolCallSettings(mode="enforce", problems=("bad_json",))
    assert told(MADE_UP, UNFIT, settings=settings) is None
    said = told(MADE_UP, NO_JSON, settings=settings)
    assert said is not None
    assert (said.reason, said.value) == (Reason.BAD_JSON, "1")


def test_what_is_offered_is_listed_up_to_a_bound():
    many = tuple(f"tool_{i:02}" for i in range(11))
    said = told(MADE_UP, offered=many)
    assert said is not None
    assert "(it offers tool_00, tool_01, tool_02, tool_03, tool_04, tool_05, tool_06, tool_07 and 3 more)" in said.message  # fmt: skip
    said = told(MADE_UP, offered=())
    assert said is not None
    assert "(it offers none)" in said.message


NAMES = st.text(max_size=80) | st.sampled_from(["rate_limit", "get_context", "429", "a\nb", "quota"])  # fmt: skip


@given(NAMES, NAMES)
def test_no_name_makes_a_message_that_clients_take_for_something_else(
    tool: str, where: str
):
    for found in (MADE_UP, NO_JSON, Checked(Problem.BAD_ARGUMENTS, where)):
        said = verdict(ENFORCE, [tool], [found], [tool])
        assert said is not None
        assert not TRAPS.search(said.message)
        assert said.message.isprintable()
        assert len(said.message) < 400


SECRETS = ("s3cr3t-value", "s3cr3t_member", "s3cr3t_tool")


@pytest.mark.parametrize("name", FAMILIES)
def test_nothing_that_the_model_wrote_is_in_what_is_said(name: str):
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"], "additionalProperties": False}  # fmt: skip
    body = FAMILIES[name].body([("f", schema)])
    calls = (
        ("f", '{"x": "s3cr3t-value", "s3cr3t_member": {"s3cr3t_member": "s3cr3t-value"}}'),
        ("f", '{"x": 1, "s3cr3t_member": "s3cr3t-value"}'),
        ("f", '{"s3cr3t_member": "s3cr3t-value"'),
        ("s3cr3t_tool(s3cr3t-value)", '{"x": "s3cr3t-value"}'),
    )  # fmt: skip
    checker = Checker(1)
    offered = checker.offers(body)
    assert offered is not None
    for tool, arguments in calls:
        asked = (ToolCall("", tool, arguments.encode()),)
        checked = checker.check(body, Reading(tool_calls=asked))
        said = verdict(ENFORCE, [tool], checked, offered.tools)
        if said is None:
            continue  # two of the families know no `additionalProperties`
        answer = refuse(said, Asker("openai_chat", "openai"))
        events = last_words(Begun(Family.OPENAI, "openai_chat"), tell(said, Manner.FINAL))  # fmt: skip
        written = b"".join((answer.body, events or b"", verdict_header(said), said.message.encode()))  # fmt: skip
        assert not any(secret.encode() in written for secret in SECRETS)


def test_the_refusal_is_final_and_in_the_familys_shape():
    said = told(UNFIT)
    assert said is not None
    answer = refuse(said, Asker("openai_chat", "openai"))
    assert answer.status == 400
    assert (b"x-should-retry", b"false") in answer.headers
    assert json.loads(answer.body)["error"]["message"].startswith("tachograph: the answer calls weather")  # fmt: skip
    assert verdict_header(said) == b"block;policy=tool_calls;reason=bad_arguments"
