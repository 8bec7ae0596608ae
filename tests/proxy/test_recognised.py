"""A call's place among the others, in its record."""

from proxy.identify.facts import Asked, Run
from proxy.model import Kind, RunSource
from proxy.recognised import BY_RUN, Recognised, named
from tests.helpers.spooled import make_open

RUN = Run("acme", "r1", "r0", "r0", agent="writer")


def test_a_call_has_the_place_that_was_found_and_the_agent_of_its_run():
    asked = Asked("r1", "s1", 4, 1, 5, attempt=2)
    found = Recognised(RunSource.NEW, RUN, asked, "session", 3, "sdk")
    opened = found.placed(make_open("a1", agent="", run_id=""))
    assert (opened.run_id, opened.root_run_id, opened.parent_run_id) == ("r1", "r0", "r0")  # fmt: skip
    assert (opened.agent, opened.agent_source) == ("writer", BY_RUN)
    assert (opened.step_id, opened.step_seq, opened.attempt, opened.retry_layer) == ("s1", 4, 2, "sdk")  # fmt: skip
    assert (opened.turn_seq, opened.session_id, opened.run_source) == (3, "session", RunSource.NEW)  # fmt: skip


def test_a_call_of_no_run_keeps_what_it_says_of_itself():
    opened = Recognised(RunSource.NONE).placed(make_open("a1", run_id=""))
    assert (opened.agent, opened.run_id, opened.step_id) == ("bot", "", "step-a1")


def test_a_name_that_was_given_says_which_run_it_is():
    assert named("acme", "r1", Kind.TOOL).run == Run("acme", "r1", "r1")
    assert named("acme", "", Kind.LLM).source is RunSource.UNMATCHED
    assert named("acme", "", Kind.TOOL).source is RunSource.NONE
