"""Two words on one run, and the owners of its accounts."""

from proxy.identify.changes import Change, Lead, Push, Shelf
from proxy.identify.facts import Asked, Link, Run
from proxy.state.joining import joined, numbered, owners_of


def test_owners_are_the_tenant_s_and_who_is_not_there_owns_nothing():
    assert owners_of("t", "r", "q", "") == ("", "t\0r", "t\0q", "")


def test_what_is_known_of_a_run_stays_and_what_is_new_is_added():
    known = Run("t", "r", "r", agent="a", turn_seq=3)
    run = joined(known, Run("t", "r", "x", agent="b", session_id="s", turn_seq=2))
    assert (run.root_run_id, run.agent, run.session_id, run.turn_seq) == ("r", "a", "s", 3)  # fmt: skip


def test_a_step_s_number_is_written_into_its_own_call_alone():
    own, counted = Asked("r", "s1", 0, 1, 5, 0), Asked("r", "s0", 4, 1, 5, 0)
    other = Lead(3, Shelf.LINK, Link("r"))
    changes: list[Change] = [
        Push(1, Shelf.CHAIN, own),
        Push(2, Shelf.CHAIN, counted),
        other,
    ]
    found = [numbered(each, "r", 5) for each in changes]
    assert [each.asked.step_seq for each in found if isinstance(each, Push)] == [5, 4]
    assert found[2] is other
