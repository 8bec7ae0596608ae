"""The newest answer of a changed history, and what goes on where nobody knows it."""

import pytest

from tests.proxy.identify.test_ladder import (
    CALL,
    Scene,
    assistant,
    run,
    source,
    tool,
    user,
)

OTHER, OWN, NEXT = "call_z9y8x7w6v5u4", "own_1b2c3d4e5f6a", "own_9z8y7x6w5v4u"
LONG = "A sentence that nobody else is going to say in this way, ever again, anywhere."


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_an_answer_is_known_behind_the_answer_before_it(scene):
    first = scene.tell(user("Time: 12:01, open: a"), text=LONG)
    second = scene.tell(user("Time: 12:02, open: b"), assistant(LONG), user("on"), text=LONG + "!")  # fmt: skip
    third = scene.tell(user("Time: 12:03, open: c"), assistant(LONG), user("on, reminded"), assistant(LONG + "!"), user("x"))  # fmt: skip
    assert run(first) == run(second) == run(third)


def test_of_two_runs_that_were_answered_alike_the_connection_decides(scene):
    for each in (1, 2):
        scene.tell(user(f"{'a' * each} one"), text=LONG, connection=each)
    nobody = scene.tell(user("third"), assistant(LONG), user("on"), connection=3)
    assert source(nobody) == "unmatched"
    known = scene.tell(user("another"), assistant(LONG), user("on"), connection=2)
    assert run(known) == "run-2"


def test_neighbours_lead_on_where_the_newest_answer_is_unknown(scene):
    first = scene.tell(user("a"), assistant("of others"), user(LONG), text=LONG)
    later = scene.tell(user("cut"), user(LONG), assistant(LONG), user("b"), assistant("Never said."), user("c"))  # fmt: skip
    assert run(later) == run(first)
    assert later.decision.evidence == "a part of the conversation"


def test_what_is_short_is_said_by_others_too(scene):
    scene.tell(user("one"), text="Yes.")
    assert source(scene.tell(user("two"), assistant("Yes."), user("on"))) == "unmatched"


def test_a_changed_history_from_which_another_call_went_on_is_no_branch(scene):
    first = scene.tell(user("a"), calls=[(CALL, "f")])
    scene.tell(user("a"), assistant("", (CALL, "f")), tool(CALL), text="summary")
    later = scene.tell(user("summed up"), assistant("", (CALL, "f")), tool(CALL), user("on"))  # fmt: skip
    assert run(later) == run(first)


def test_ids_of_the_framework_lead_on_where_the_newest_answer_is_unknown(scene):
    first = scene.tell(user("a"), assistant("", (OWN, "f")), tool(OWN), calls=[(OTHER, "g")])  # fmt: skip
    later = scene.tell(user("cut"), assistant("", (OWN, "f")), tool(OWN), assistant("", (NEXT, "h")), tool(NEXT))  # fmt: skip
    assert run(later) == run(first)


def test_runs_that_begin_with_the_same_foreign_history_are_two(scene):
    history = [user("a"), assistant("", (OWN, "f")), tool(OWN)]
    assert run(scene.tell(*history)) != run(scene.tell(*history))


def test_an_earlier_part_leads_on_and_what_went_on_from_there_is_a_branch(scene):
    first = scene.tell(user("a"), text=LONG)
    second = scene.tell(user("a"), assistant(LONG), user("b"), text="Known.")
    other = scene.tell(user("a"), assistant(LONG), user("b"), assistant("Never said."), user("c"))  # fmt: skip
    assert run(first) == run(second) != run(other)
    assert other.decision.parent_run_id == run(first)


def test_an_answer_under_other_ids_behind_another_history_stays_free(scene):
    first = scene.tell(user(LONG), calls=[(CALL, "f")])
    renamed = scene.tell(user(LONG), user("now"), assistant("", (OWN, "f")), tool(OWN))
    assert renamed.decision.continues is None
    assert run(renamed) != "" != run(first)
