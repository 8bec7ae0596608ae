"""Tokens of a stored response are counted with the row that first shows them, and with no other."""

import pytest

from proxy.meter.billed import BilledResponses
from proxy.model import Ask, Kind, Reading, Usage


def ask(operation: str, dialect: str = "openai_responses") -> Ask:
    return Ask(dialect, operation, Kind.LLM, is_step=True)


COUNTED = Usage(input=3)


def answer(response_id: str = "resp_1", usage: Usage | None = COUNTED) -> Reading:
    return Reading(response_id=response_id, usage=usage)


AGAIN = [
    ("openai_responses", "responses_get"),
    ("openai_responses", "responses_cancel"),
    ("gemini_interactions", "interactions_get"),
    ("gemini_interactions", "interactions_cancel"),
    ("openai_assistants", "thread_run_get"),
    ("deferred_chat", "deferred_chat_get"),
]


@pytest.mark.parametrize(("dialect", "operation"), AGAIN)
def test_what_was_booked_is_not_counted_when_it_is_asked_for_again(
    dialect: str, operation: str
):
    billed = BilledResponses(10)
    again = ask(operation, dialect)
    assert not billed.seen(again, answer())
    billed.book(dialect, "resp_1", COUNTED)
    for _ in range(2):
        assert billed.seen(again, answer())
    assert not billed.seen(again, answer("resp_2"))


def test_what_a_request_created_is_new_whatever_its_id():
    billed = BilledResponses(10)
    billed.book("openai_responses", "resp_1", COUNTED)
    assert not billed.seen(ask("responses"), answer())


@pytest.mark.parametrize(
    ("dialect", "response_id", "usage"),
    [
        ("openai_chat", "resp_1", COUNTED),
        ("openai_responses", "", COUNTED),
        ("openai_responses", "resp_1", Usage()),
    ],
    ids=["another family", "no id", "no tokens"],
)
def test_what_cannot_be_counted_twice_is_not_remembered(
    dialect: str, response_id: str, usage: Usage
):
    billed = BilledResponses(10)
    billed.book(dialect, response_id, usage)
    assert billed.ids() == []
    assert not billed.seen(ask("responses_get"), answer("", None))


def test_the_oldest_ids_are_forgotten_first():
    billed = BilledResponses(2)
    for response_id in "abc":
        billed.add(response_id)
    assert billed.ids() == ["b", "c"]
    assert not billed.seen(ask("responses_get"), answer("a"))


def test_an_id_that_is_added_again_takes_no_second_place():
    billed = BilledResponses(2)
    for response_id in ("a", "a", "b"):
        billed.add(response_id)
    assert billed.ids() == ["a", "b"]
