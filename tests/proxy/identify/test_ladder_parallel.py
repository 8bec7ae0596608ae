"""Many runs that begin alike: retries take one of them each, and where nothing tells them apart none is taken for another.

What lives here: equals, and what stands in the requests of all. What does not: the other rungs (`test_ladder.py`).
"""

import json
from typing import Any

import pytest

from proxy.identify.facts import MAX_RECENT
from tests.helpers.runs.tracking import Tracker

SECOND = 1_000_000
BODY = json.dumps({"messages": [{"role": "user", "content": "a"}]}).encode()


def test_each_of_equal_calls_that_failed_is_tried_again_once():
    tracker, count = Tracker(), 4
    first = [
        tracker.begin(BODY, SECOND + n, signature=1, connection=n) for n in range(count)
    ]
    for begun in first:
        tracker.end(begun, 2 * SECOND, "failed")
    again = [
        tracker.begin(BODY, 3 * SECOND + n, signature=1, connection=n, is_retry=True)
        for n in range(count)
    ]
    assert {each.decision.retry_layer for each in again} == {"sdk"}
    assert len({each.call.asked.step_id for each in again}) == count
    runs = [each.run.run_id for each in first if each.run]
    assert sorted(each.decision.run_id for each in again) == sorted(runs)


def said(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": text}


def body(*messages: Any) -> bytes:
    return json.dumps({"messages": messages}).encode()


EXAMPLE = (
    said("user", "For example: where is my parcel with the number 12345, please?"),
    said("assistant", "It is in Hamburg and will be with you tomorrow before noon."),
)


def test_an_example_in_every_request_does_not_make_one_run_of_all_users():
    tracker, runs = Tracker(), []
    for user, issued in enumerate(("call_Zx81kAbQ9pLm", "call_Qw92jHtR7sNv", "call_Pl73mGyU5dKc")):  # fmt: skip
        asked = (*EXAMPLE, said("user", f"user {user}"))
        first = tracker.begin(body(*asked), SECOND + user * SECOND)
        tracker.end(first, SECOND + user * SECOND, calls=[(issued, "find", {})])
        call = {"role": "assistant", "tool_calls": [{"id": issued, "function": {"name": "find", "arguments": "{}"}}]}  # fmt: skip
        result = {"role": "tool", "tool_call_id": issued, "content": f"of {user}"}
        second = tracker.begin(body(*asked, call, result), SECOND + user * SECOND)
        assert first.run
        assert second.run
        assert first.run.run_id == second.run.run_id
        runs.append(first.run.run_id)
    assert len(set(runs)) == len(runs)


GREETING = "Welcome! This is the assistant of the tea house, at your service. "


@pytest.mark.parametrize("is_read", [True, False])
def test_of_more_equal_beginnings_than_are_kept_nobody_goes_on_with_a_strangers(
    is_read,
):
    """All greet, all are greeted in nearly the same words, or in words that could not be read; one call failed."""
    tracker, count = Tracker(), MAX_RECENT + 6
    first = [tracker.begin(BODY, SECOND + n, signature=1) for n in range(count)]
    for n, begun in enumerate(first):
        state = "failed" if n == count - 1 else "done"
        answer = f"{GREETING}Ticket {n}." if is_read and state == "done" else ""
        tracker.end(begun, 2 * SECOND + n, state, answer)
    for n, begun in enumerate(first[:-1]):
        asked = (said("user", "a"), said("assistant", f"{GREETING}Ticket {n}."), said("user", "b"))  # fmt: skip
        on = tracker.begin(body(*asked), 3 * SECOND + n, signature=1)
        assert on.run
        assert begun.run
        others = {each.run.run_id for each in first if each.run} - {begun.run.run_id}
        assert not {on.run.run_id, on.run.parent_run_id} & others


def test_where_no_answer_was_read_connections_tell_equal_runs_apart_or_nothing_does():
    tracker = Tracker()
    first = [tracker.begin(BODY, SECOND + n, signature=1, connection=n) for n in (1, 2)]
    for begun in first:
        tracker.end(begun, 2 * SECOND)
    asked = body(said("user", "a"), said("assistant", "unread"), said("user", "b"))
    mine = tracker.begin(asked, 3 * SECOND, signature=1, connection=1)
    assert mine.run
    assert first[0].run
    assert mine.run.run_id == first[0].run.run_id
    tracker, lost = Tracker(), []
    for n in (1, 2):
        tracker.end(tracker.begin(BODY, SECOND + n, signature=1), 2 * SECOND)
    lost = [tracker.begin(asked, 3 * SECOND, signature=1, connection=n) for n in (1, 2)]
    assert [each.decision.source.value for each in lost] == ["unmatched"] * 2


def test_users_who_begin_alike_are_not_one_run_when_the_provider_fails():
    tracker, runs = Tracker(), []
    for user, state in enumerate(["done", "done", *["failed"] * 4]):
        asked = json.dumps({"messages": [said("user", "a")], "user": f"{user}"}).encode()  # fmt: skip
        begun = tracker.begin(asked, SECOND + user, signature=1)
        tracker.end(begun, SECOND + user, state, "b" if state == "done" else "")
        assert begun.run
        runs.append(begun.run.run_id)
    assert len(set(runs)) == len(runs)


def test_answers_that_requests_begin_do_not_make_one_run_of_equal_requests():
    tracker, runs = Tracker(), []
    for user in range(3):
        asked = body(said("user", "Give it as JSON."), said("assistant", "{"))
        begun = tracker.begin(asked, SECOND + user * SECOND, signature=1)
        tracker.end(begun, SECOND + user * SECOND + 1, text=f'"n": {user}}}')
        assert begun.run
        runs.append((begun.run.run_id, begun.run.parent_run_id))
    assert len(set(runs)) == len(runs)
    assert {parent for _, parent in runs} == {""}


def test_an_answer_that_was_cut_goes_on_where_the_request_begins_with_it():
    tracker = Tracker()
    first = tracker.begin(body(said("user", "a")), SECOND)
    tracker.end(first, SECOND + 1, text="One, two,")
    asked = body(said("user", "a"), said("assistant", "One, two,"))
    on = tracker.begin(asked, 2 * SECOND)
    assert on.run
    assert first.run
    assert on.run.run_id == first.run.run_id
