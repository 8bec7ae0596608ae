"""Tokens of a stored response are counted with the row that first shows them, and with no other."""

import pytest

from proxy.meter.billed import BilledResponses
from proxy.model import Ask, Kind, Reading, Usage


def ask(operation: str, dialect: str = "openai_responses") -> Ask:
    return Ask(dialect, operation, Kind.LLM, is_step=True)


COUNTED = Usage(input=3)


def answer(response_id: str = "resp_1", usage: Usage | None = COUNTED) -> Reading:
    return Reading(response_id=response_id, usage=usage)


@pytest.mark.parametrize("again", ["responses_get", "responses_cancel"])
def test_a_response_that_is_asked_for_again_was_counted_before(again: str):
    billed = BilledResponses(10)
    assert not billed.seen(ask("responses"), answer())
    assert billed.seen(ask(again), answer())


def test_a_background_response_is_counted_with_the_first_answer_that_has_its_tokens():
    billed = BilledResponses(10)
    assert not billed.seen(ask("responses"), answer(usage=None))
    assert not billed.seen(ask("responses_get"), answer(usage=None))
    assert not billed.seen(ask("responses_get"), answer())
    assert billed.seen(ask("responses_get"), answer())


@pytest.mark.parametrize("again", ["interactions_get", "interactions_cancel"])
def test_an_interaction_that_is_asked_for_again_was_counted_before(again: str):
    billed = BilledResponses(10)
    assert not billed.seen(ask("interactions", "gemini_interactions"), answer())
    assert billed.seen(ask(again, "gemini_interactions"), answer())


def test_a_run_of_an_assistant_is_counted_once_however_often_it_is_polled():
    billed = BilledResponses(10)
    poll = ask("thread_run_get", "openai_assistants")
    assert not billed.seen(poll, answer("run_1", None))
    assert not billed.seen(poll, answer("run_1"))
    assert billed.seen(poll, answer("run_1"))
    # What `submit_tool_outputs` streams to its end has the run's id, too.
    assert not billed.seen(ask("thread_run", "openai_assistants"), answer("run_2"))
    assert billed.seen(poll, answer("run_2"))


def test_what_a_request_created_is_new_whatever_its_id():
    billed = BilledResponses(10)
    for _ in range(2):
        assert not billed.seen(ask("responses"), answer())


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (ask("chat", "openai_chat"), answer()),
        (ask("responses_get"), answer("")),
        (ask("responses_get"), answer(usage=None)),
    ],
    ids=["another family", "no id", "no tokens"],
)
def test_what_cannot_be_counted_twice_is_not_remembered(asked: Ask, said: Reading):
    billed = BilledResponses(10)
    assert not billed.seen(asked, said)
    assert not billed.seen(asked, said)
    assert billed.ids() == []


def test_the_oldest_ids_are_forgotten_first():
    billed = BilledResponses(2)
    for response_id in "abc":
        billed.add(response_id)
    assert billed.ids() == ["b", "c"]
    assert not billed.seen(ask("responses_get"), answer("a"))
    assert billed.ids() == ["c", "a"]


def test_an_id_that_is_added_again_takes_no_second_place():
    billed = BilledResponses(2)
    for response_id in ("a", "a", "b"):
        billed.add(response_id)
    assert billed.ids() == ["a", "b"]
