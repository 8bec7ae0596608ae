import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.identify.prompts import (
    _NAMES_OF_TIME,
    MAX_KNOWN_WORDS,
    VOLATILE,
    PromptHashes,
    Prompts,
)


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
def test_any_text_has_a_hash(system, tools):
    assert prompt_hash(system, tools, 3) == prompt_hash(system, tools, 3)


WORDS = st.sampled_from(
    ["mon", "Monday,", "(Tue)", "may.", "a.m.", "AM", "deadbeef-dead-beef-dead-beefdeadbeef", "x1", "1.", "10:01", "it's",
     "step-by-step", "mon-fri", "caf\u00e9", "\u017fun", "abc_def-ghi-jkl-mno1", "4th", "_may", "may_", "#may", "UTC+1", "\ud800"]
)  # fmt: skip
BLANKS = st.sampled_from([" ", "\n", "\t\t", "\u00a0", "\x1c", ""])


@given(st.lists(st.tuples(WORDS | st.text(max_size=4), BLANKS), max_size=30))
def test_words_are_masked_one_by_one_as_in_the_whole_text(pieces):
    text = "".join(word + blank for word, blank in pieces)
    hashes = PromptHashes(3)
    masked = " ".join(VOLATILE.sub("#", text).split())
    assert " ".join(map(hashes._masked.__getitem__, text.split())) == masked
    assert hashes.hash(text, ("f",)) == hashes.hash(text, ("f",)) == prompt_hash(text, ["f"], 3)  # fmt: skip
    assert hashes.hash(masked, ()) == prompt_hash(masked, [], 3)


def test_names_of_time_are_all_words_of_letters_that_vary():
    days = [day + more for day in ("mon", "tue", "tues", "wed", "wednes", "thu", "thurs", "fri", "sat", "satur", "sun") for more in ("", "day")]  # fmt: skip
    days = [day for day in days if VOLATILE.fullmatch(day)]
    assert set(days) <= _NAMES_OF_TIME
    assert all(VOLATILE.fullmatch(name) for name in _NAMES_OF_TIME)


def test_known_words_are_bounded():
    hashes = PromptHashes(3)
    hashes.hash(" ".join(f"a{n:x}b" for n in range(MAX_KNOWN_WORDS + 9)), ())
    hashes.hash("x" * 100, ())
    assert len(hashes._masked) == 9


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


@pytest.mark.parametrize("piece", ["a-", "ab_", "0-", "1", "\u4f60", "a1_-"])
def test_a_long_word_costs_no_more_than_its_length(piece):
    """Else this test would take minutes."""
    assert prompt_hash(piece * (300_000 // len(piece)), [], 3) is not None
