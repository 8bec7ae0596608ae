import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.identify.prompts import (
    _NAMES_OF_TIME,
    _VOLATILE,
    MAX_KNOWN_WORDS,
    AgentNames,
    PromptHashes,
    Prompts,
    readable_name,
)


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


def prompt_hash(system: str, tools: list[str], seed: int) -> int | None:
    return PromptHashes(seed).hash(system, tuple(tools))


CLOCKS = [
    ("It is 2026-11-22T10:01:02Z.", "It is 2026-11-23T11:59:00Z."),
    ("Today is Monday, 3rd March 2025, 9:05 am", "Today is Friday, 21st November 2026, 11:30 pm"),
    ("Session 0f8fad5b-d9cb-469f-a165-70867728950e", "Session 7c9e6679-7425-40de-944b-e07fc1f90ae7"),
    ("Step 5 of 7", "Step 6 of 7"),
    ("id msg_01AbCdEfGh2345678", "id msg_99ZzYyXxWw8765432"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "two"), CLOCKS)
def test_clocks_ids_and_counters_do_not_change_the_hash(one, two):
    assert prompt_hash(one, ["f"], 3) == prompt_hash(two, ["f"], 3)


def test_words_and_tools_do_and_the_order_of_tools_does_not():
    assert prompt_hash("Be brief", [], 3) != prompt_hash("Be long", [], 3)
    assert prompt_hash("", ["a", "b"], 3) == prompt_hash("", ["b", "a"], 3) != prompt_hash("", ["a"], 3)  # fmt: skip
    assert prompt_hash(" ", [], 3) is None


@given(st.text(), st.lists(st.text(), max_size=3))
def test_any_text_gets_a_short_name(system, tools):
    assert len(readable_name(system, tools)) <= 64
    prompt_hash(system, tools, 3)


WORDS = st.sampled_from(
    ["mon", "Monday,", "(Tue)", "may.", "a.m.", "AM", "deadbeef-dead-beef-dead-beefdeadbeef", "x1", "1.", "10:01", "it's",
     "step-by-step", "mon-fri", "caf\u00e9", "\u017fun", "abc_def-ghi-jkl-mno1", "4th", "_may", "may_", "#may", "UTC+1", "\ud800"]
)  # fmt: skip
BLANKS = st.sampled_from([" ", "\n", "\t\t", "\u00a0", "\x1c", ""])


@given(st.lists(st.tuples(WORDS | st.text(max_size=4), BLANKS), max_size=30))
def test_words_are_masked_one_by_one_as_in_the_whole_text(pieces):
    text = "".join(word + blank for word, blank in pieces)
    hashes = PromptHashes(3)
    masked = " ".join(_VOLATILE.sub("#", text).split())
    assert " ".join(map(hashes._masked.__getitem__, text.split())) == masked
    assert hashes.hash(text, ("f",)) == hashes.hash(text, ("f",)) == prompt_hash(text, ["f"], 3)  # fmt: skip
    assert hashes.hash(masked, ()) == prompt_hash(masked, [], 3)


def test_names_of_time_are_all_words_of_letters_that_vary():
    days = [day + more for day in ("mon", "tue", "tues", "wed", "wednes", "thu", "thurs", "fri", "sat", "satur", "sun") for more in ("", "day")]  # fmt: skip
    days = [day for day in days if _VOLATILE.fullmatch(day)]
    assert set(days) <= _NAMES_OF_TIME
    assert all(_VOLATILE.fullmatch(name) for name in _NAMES_OF_TIME)


def test_known_words_are_bounded():
    hashes = PromptHashes(3)
    hashes.hash(" ".join(f"a{n:x}b" for n in range(MAX_KNOWN_WORDS + 9)), ())
    hashes.hash("x" * 100, ())
    assert len(hashes._masked) == 9


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


def test_a_prompt_that_an_agent_did_not_have_before_is_a_change():
    prompts = Prompts(max_agents=2, max_prompts=2)
    assert prompts.changed("t", "a", 1) is None
    assert prompts.changed("t", "a", 1) is None
    assert prompts.changed("t", "a", 2) == 1
    assert prompts.changed("t", "a", 1) is None
    assert prompts.changed("t", "a", 3) == 1
    assert prompts.changed("t", "a", 2) == 3
    assert prompts.changed("t", "b", 1) is None
    assert prompts.changed("u", "b", 2) is None
    assert prompts.changed("t", "a", 9) is None  # forgotten


def test_what_another_life_knew_is_no_news():
    first, second = Prompts(), Prompts()
    for digest in (1, 2):
        first.changed("t", "bot", digest)
    for _ in range(2):
        second.restore(first.snapshot())
    assert second.snapshot() == (("t", "bot", (1, 2)),)
    assert [second.changed("t", "bot", digest) for digest in (1, 2, 3)] == [None, None, 2]  # fmt: skip
