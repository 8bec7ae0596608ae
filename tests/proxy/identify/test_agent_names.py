import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.identify.agent_names import AgentNames, readable_name


@pytest.mark.parametrize(
    ("system", "tools", "name"),
    [
        ("You are a helpful assistant.", (), "assistant"),
        ("You are a helpful assistant.", ("get_weather",), "assistant-get-weather"),
        ("You are Senior Research Scientist. You're seasoned", (), "senior-research-scientist"),
        ("You are a world class technical writer, famous.", (), "technical-writer"),
        ('You are an agent. Your internal name is "weather_agent".', ("f",), "weather-agent"),
        ("Your name is Max Mustermind.", (), "max-mustermind"),
        ("Act as a math tutor for children.", (), "math-tutor"),
        ("You are talking to John Smith.", (), "talking"),
        ("You are helping", ("f",), "helping"),
        ("Please address the user as Jane Doe. Be brief.", (), "address-as-brief"),
        ("Answer mail to jane@example.com and Dr. Who", (), "answer-mail"),
        ("You are a helpful assistant that can describe images to Jane.", ("f",), "assistant-describe-images"),
        ("You are an expert assistant who can solve any task using code blobs.", (), "assistant-code-blobs"),
        ("You are an assistant that helps with any tasks. You are a bot for maps.", ("f",), "assistant-maps"),
        ("You are an assistant that helps with any tasks.", ("f",), "assistant-f"),
        ("You are designed to help with a variety of tasks, from answering", (), "designed-to-help-with-variety"),
        ('You are an agent. Your internal name is "_905ee93c". The description about you is "Agent that adds numbers"', (), "agent-adds-numbers"),
        ("You are a recipe editor powered by AI.", (), "recipe-editor"),
        ("You're super friendly", ("get_joke",), "get-joke"),
        ("", ("b", "a"), "a-b"),
        ("", (), ""),
        ("x " * 300, (), "x"),
        ("Run job0123 now", (), "run-job-now"),
    ],
)  # fmt: skip
def test_names_say_what_an_agent_is_and_not_who_its_user_is(system, tools, name):
    assert readable_name(system, tools) == name


@given(st.text(), st.lists(st.text(), max_size=3))
def test_any_text_gets_a_short_name(system, tools):
    assert len(readable_name(system, tools)) <= 64


def test_agents_are_capped_and_can_be_renamed():
    names = AgentNames({"math-tutor": "maths"}, max_agents=2)
    assert names.name(1, "You are a math tutor.", ()) == "maths"
    assert names.name(1, "anything", ()) == "maths"
    assert names.name(2, "You are a writer.", ()) == "writer"
    assert names.name(3, "You are a reader.", ()) == "other"
    assert names.overflowed == 1
    for digest in range(4, 200):
        assert names.name(digest, "You are a writer.", ()) == "writer"
    assert len(names._names) == 100


def test_what_names_persons_is_left_out_of_a_long_word_too():
    long = "\u4f60" * 3000
    assert readable_name(f"{long} a@b.de You are a tea buyer.", ()) == "tea-buyer"
    assert "secret" not in readable_name(f"({long}secret@x.de) Buy tea.", ())
