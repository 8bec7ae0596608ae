"""Four characters are a token."""

from proxy.simulate.question import Answer, Question, Tool, ToolCall, Turn
from proxy.simulate.tokens import bill, count, output_tokens, prompt_tokens, segments


def test_a_beginning_of_a_token_counts():
    assert [count("x" * length) for length in (0, 1, 4, 5)] == [0, 1, 1, 2]


def test_a_prompt_is_its_tools_and_messages():
    question = Question(
        "m", (Turn("user", "hello"), Turn("assistant", "", ("a",))), (Tool("t", {}),)
    )
    parts = [*segments(question)]
    assert [part.text for part in parts] == [
        "t  {}\n",
        "user\nhello\n",
        "assistant a\n\n",
    ]
    assert prompt_tokens(parts) == 8


def test_output_is_text_and_calls_and_never_nothing():
    assert output_tokens(Answer(text="12345678", calls=(ToolCall("abcd", "{}"),))) == 4
    assert output_tokens(Answer()) == 1


def test_a_bill_is_disjoint():
    said = bill(100, 20, (10, 5), Answer(reasoning="x" * 8, text="abcd"))
    assert (said.input, said.all_input) == (65, 100)
    assert (said.output, said.reasoning, said.all_output) == (1, 2, 3)
