"""What comes next in a conversation."""

import json

import pytest

from proxy.simulate.director import direct, locate
from proxy.simulate.question import (
    ASSISTANT,
    NO_TOOL,
    SYSTEM,
    TOOL,
    USER,
    Finish,
    Question,
    Tool,
    Turn,
    UnacceptableError,
)

SEARCH = Tool("search", {"type": "object", "properties": {"q": {"type": "string"}}})
FINAL = Tool(
    "final_answer", {"type": "object", "properties": {"answer": {"type": "string"}}}
)
PLAN = "<<plan: call search {} | say $n: $last>>"
DONE = Turn(ASSISTANT, "", ("search",))


def asked(*turns, **more):
    return Question("m", turns, **{"tools": (SEARCH,), **more})


def user(text=PLAN):
    return Turn(USER, text)


def test_the_newest_plan_decides_and_steps_are_counted_behind_it():
    old = user("<<plan: say old>>")
    assert locate(asked(old, DONE, user(), DONE, Turn(TOOL, "x")))[1] == 1
    said = direct(asked(old, DONE, user(), DONE, Turn(TOOL, "42")))
    assert said.answer.text == "2: 42"
    assert said.number == 1


def test_a_plan_in_the_system_prompt_counts_all_turns():
    system = Turn(SYSTEM, PLAN)
    assert locate(asked(system, user("hi"), DONE, user("go on"), DONE))[1] == 2


def test_an_assistant_that_quotes_a_plan_is_not_followed():
    quoted = Turn(ASSISTANT, "<<plan: say quoted>>")
    assert direct(asked(user("<<plan: say a | say b>>"), quoted)).answer.text == "b"


def test_observations_in_the_same_message_are_steps():
    text = (
        PLAN
        + "\nAction: search\nObservation: 1\nThought: Observation: no\nObservation: 2\n"
    )
    assert locate(asked(user(text)))[1] == 2


def test_a_plan_that_cannot_be_read_is_refused():
    with pytest.raises(UnacceptableError, match="cannot be read"):
        direct(asked(user("<<plan: dance>>")))


def test_behind_the_plan_there_is_nothing_left_to_do():
    said = direct(asked(user("<<plan: say a>>"), DONE))
    assert "nothing left" in said.answer.text
    assert said.faults == ()


def test_a_tool_that_is_not_on_offer_gives_the_usual_behaviour():
    said = direct(asked(user("<<plan: call ghost>>")))
    assert [call.tool for call in said.answer.calls] == ["search"]
    said = direct(asked(user("<<plan: call ghost>>"), tools=()))
    assert "simulated answer" in said.answer.text


def test_without_a_plan_tools_are_called_once_and_final_ones_never():
    first = direct(asked(user("Tea?"), tools=(FINAL, SEARCH))).answer
    assert [call.tool for call in first.calls] == ["search"]
    again = direct(asked(user("Tea?"), DONE, Turn(TOOL, "x"), tools=(FINAL, SEARCH)))
    assert again.answer.calls == ()
    assert direct(asked(user("A"), DONE, user("B"))).answer.calls


def test_where_a_tool_must_be_called_the_final_one_takes_what_is_said():
    said = direct(asked(user("<<plan: say Tea.>>"), tools=(FINAL, SEARCH), forced="*"))
    [call] = said.answer.calls
    assert (call.tool, json.loads(call.arguments)) == (
        "final_answer",
        {"answer": "Tea."},
    )
    assert said.answer.finish is Finish.CALLS


def test_where_no_tool_may_be_called_none_is():
    said = direct(asked(user("<<plan: call search>>"), forced=NO_TOOL)).answer
    assert (said.calls, said.text) == ((), "…")


def test_a_model_that_must_write_json_says_nothing_else():
    schema = SEARCH.schema
    said = direct(
        asked(user("<<plan: say Wait. & call search>>"), schema=schema)
    ).answer
    assert (said.text, len(said.calls)) == ("", 1)
    said = direct(asked(user('<<plan: json {"q": 1}>>'), schema=schema)).answer
    assert json.loads(said.text) == {"q": 1}


def test_results_go_into_arguments():
    plan = user('<<plan: say a | call search {"q": ["$last", {"n": "$n"}], "k": 1}>>')
    said = direct(asked(plan, Turn(ASSISTANT, "a"), Turn(TOOL, "tea"))).answer
    assert json.loads(said.calls[0].arguments) == {"q": ["tea", {"n": "2"}], "k": 1}


def test_reasoning_counts_against_the_limit_and_needs_a_model_that_can():
    plan = user("<<plan: think 10 & pad 10>>")
    said = direct(asked(plan, max_tokens=12)).answer
    assert (len(said.reasoning), len(said.text), said.finish) == (40, 8, Finish.LENGTH)
    assert direct(asked(plan, can_reason=False)).answer.reasoning == ""


def test_a_call_that_does_not_fit_is_not_made():
    said = direct(asked(user(), max_tokens=1)).answer
    assert (said.calls, said.finish) == ((), Finish.LENGTH)


def test_text_tools_are_called_in_text():
    prompt = Turn(SYSTEM, "Use Action Input: and Final Answer: please")
    said = direct(asked(prompt, user('<<plan: call search {"q": "tea"}>>'), tools=()))
    assert 'Action: search\nAction Input: {"q": "tea"}' in said.answer.text
    observed = Turn(USER, "Observation: 42")
    said = direct(asked(prompt, user(), DONE, observed, tools=()))
    assert said.answer.text.endswith("Final Answer: 2: 42")
    said = direct(asked(user("<<plan: act search>>")))
    assert "Action: search" in said.answer.text
