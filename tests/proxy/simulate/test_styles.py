"""How agents want calls written."""

import pytest

from proxy.simulate.question import ASSISTANT, SYSTEM, USER, Question, Tool, Turn
from proxy.simulate.styles import Style, say_in, style_of, write_call


@pytest.mark.parametrize(
    ("role", "prompt", "style"),
    [
        (SYSTEM, "Write <code> and call final_answer", Style.CODE),
        (SYSTEM, "Write ```py and call final_answer", Style.FENCED),
        (USER, "Action Input: x Final Answer: y", Style.REACT),
        (ASSISTANT, "Action Input: x Final Answer: y", Style.NONE),
        (USER, "Hello", Style.NONE),
    ],
)
def test_the_prompt_says_how(role, prompt, style):
    assert style_of(Question("m", (Turn(role, prompt),))) is style


def test_tools_on_offer_come_first():
    prompt = Turn(USER, "Action Input: x Final Answer: y")
    assert style_of(Question("m", (prompt,), (Tool("a", {}),))) is Style.NATIVE


def test_code_is_code():
    for style in (Style.CODE, Style.FENCED):
        text = write_call(style, "search", {"q": "it's", "n": 3})
        assert 'result = search(q="it\'s", n=3)\nprint(result)' in text
        assert "final_answer('Tea.')" in say_in(style, "Tea.")


def test_words_are_left_as_they_are_where_nothing_is_wanted():
    assert say_in(Style.NONE, "Tea.") == "Tea."
    assert say_in(Style.REACT, "Final Answer: x") == "Final Answer: x"
