"""What calls are expected to cost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.judge.claims import MOST
from proxy.judge.expected import (  # fmt: skip
    COLD_OUTPUT_TOKENS,
    ENOUGH,
    KEPT,
    Expected,
    Guess,
    Kin,
    Price,
)

KIN = Kin("caller", "writer", "gpt-4o", "chat")
PRICE = Price(prompt_nano=1_000_000, output_pico=10_000_000)
"""A thousandth of a dollar, and ten dollars for a million tokens."""
MANY = 128_000


def taught(values: list[tuple[int, int]], kin: Kin = KIN) -> Expected:
    known = Expected()
    for nano, tokens in values:
        known.learn(kin, nano, tokens)
    return known


def test_a_call_of_which_nothing_is_known_writes_some_thousand_tokens():
    assert Expected().guess(KIN, PRICE, None, MANY) == Guess(
        1_000_000 + COLD_OUTPUT_TOKENS * 10_000,
        1_000_000 + MANY * 10_000,
        COLD_OUTPUT_TOKENS,
    )


def test_a_call_that_may_write_little_is_expected_to_write_no_more():
    assert Expected().guess(KIN, PRICE, 100, MANY) == Guess(2_000_000, 2_000_000, 100)
    known = taught([(9_000_000, 900)] * ENOUGH)
    assert known.guess(KIN, PRICE, 100, MANY) == Guess(2_000_000, 2_000_000, 100)


def test_what_was_learned_counts_as_soon_as_there_is_enough_of_it():
    assert taught([(5, 5)] * (ENOUGH - 1)).guess(KIN, PRICE, None, MANY).output_tokens == COLD_OUTPUT_TOKENS  # fmt: skip
    found = taught([(3_000_000, 50)] * ENOUGH).guess(KIN, PRICE, None, MANY)
    assert (found.expected_nano, found.output_tokens) == (3_000_000, 50)


def test_another_agent_of_the_caller_tells_more_than_nothing():
    known = taught([(3_000_000, 50)] * ENOUGH)
    other = Kin("caller", "reader", "gpt-4o", "chat")
    assert known.guess(other, PRICE, None, MANY).expected_nano == 3_000_000
    assert known.guess(Kin("caller", "", "gpt-4o", "chat"), PRICE, None, MANY).output_tokens == 50  # fmt: skip
    for stranger in (Kin("x", "writer", "gpt-4o", "chat"), Kin("caller", "writer", "o3", "chat"), Kin("caller", "writer", "gpt-4o", "responses")):  # fmt: skip
        assert known.guess(stranger, PRICE, None, MANY).output_tokens == COLD_OUTPUT_TOKENS  # fmt: skip


def test_a_call_without_a_price_costs_what_its_like_cost():
    known = taught([(700, 50)] * ENOUGH)
    assert known.guess(KIN, Price(), None, MANY) == Guess(700, 700, 50)


def test_a_price_below_a_nano_dollar_a_token_is_rounded_up():
    assert Expected().guess(KIN, Price(0, 37), 1000, MANY).expected_nano == 37
    assert Expected().guess(KIN, Price(0, 1), 1, MANY).expected_nano == 1


@given(st.lists(st.integers(0, 10**9), min_size=ENOUGH, max_size=3 * KEPT))
def test_nine_of_ten_of_the_newest_answers_cost_no_more(costs: list[int]):
    known = taught([(each, each) for each in costs])
    newest = costs[-KEPT:]
    upper = known.guess(KIN, Price(), None, 10**9).expected_nano
    assert upper in newest
    assert sum(each <= upper for each in newest) * 10 >= 9 * len(newest)
    assert sum(each >= upper for each in newest) * 10 >= len(newest)


def test_a_change_of_habits_is_followed():
    known = taught([(10**9, 5000)] * 100 + [(1000, 10)] * KEPT)
    assert known.guess(KIN, Price(), None, MANY) == Guess(1000, 1000, 10)


def test_amounts_stay_within_what_keepers_can_count():
    known = taught([(10**30, 10**30)] * ENOUGH)
    assert known.guess(KIN, Price(), None, MANY).expected_nano == MOST
    assert Expected().guess(KIN, Price(MOST, 10**12), None, MANY).worst_nano == MOST


def test_the_kinds_that_were_not_asked_for_the_longest_are_forgotten():
    known = Expected(capacity=2)
    kinds = [Kin("caller", "", f"model-{number}", "chat") for number in range(3)]
    for kin in kinds[:2]:
        for _ in range(ENOUGH):
            known.learn(kin, 5, 5)
    assert known.guess(kinds[0], Price(), None, MANY).expected_nano == 5
    known.learn(kinds[2], 5, 5)
    assert len(known.snapshot()) == 2
    assert known.guess(kinds[0], Price(), None, MANY).expected_nano == 5
    assert known.guess(kinds[1], Price(), None, MANY).expected_nano == 0


@pytest.mark.parametrize("capacity", [100, 2])
def test_a_successor_knows_the_same(capacity: int):
    known = taught([(number, number) for number in range(50)])
    successor = Expected(capacity)
    successor.restore(known.snapshot())
    assert successor.snapshot() == known.snapshot()
    assert successor.guess(KIN, PRICE, None, MANY) == known.guess(KIN, PRICE, None, MANY)  # fmt: skip


def test_a_successor_with_less_room_keeps_what_was_asked_for_last():
    known = taught([(1, 1)])
    known.learn(Kin("caller", "", "newer", "chat"), 2, 2)
    successor = Expected(capacity=1)
    successor.restore(known.snapshot())
    assert [each.key for each in successor.snapshot()] == [("caller", "", "newer", "chat")]  # fmt: skip
