"""Sums of calls."""

from proxy.model import Kind
from proxy.replay.tallies import Sums, Tally
from tests.helpers.replayed import call


def test_steps_are_of_models_and_retries_are_none():
    sums = Sums()
    for each in (call(), call(attempt=1), call(kind=Kind.TOOL), call(is_step=False)):
        sums.add(each)
    assert sums == Sums(calls=3, steps=1, tokens=4400, pico=4 * 10**12)


def test_what_was_refused_when_it_was_made_came_to_nothing():
    sums = Sums()
    sums.add(call(outcome="blocked"))
    assert sums == Sums()


def test_sums_add():
    sums = Sums(1, 1, 1, 1)
    sums.plus(Sums(1, 2, 3, 4))
    assert sums == Sums(2, 3, 4, 5)


def test_a_run_is_its_first_named_agent_s_and_has_all_their_names():
    tally = Tally("acme", "r1")
    for agent, is_asked in (("", True), ("b", False), ("a", True)):
        tally.see(call(agent=agent), is_asked=is_asked)
    assert (tally.agent, tally.agents, tally.window.calls) == ("b", {"a", "b"}, 2)
