from proxy.identify.facts import (
    MAX_RECENT,
    MAX_WAITING,
    WINDOW_US,
    Asked,
    Calls,
    Link,
    Session,
    Waiting,
    Waits,
    with_asked,
    with_link,
    with_session,
    with_waits,
)


def asked(step: str, attempt: int = 0, state: str = "open") -> Asked:
    return Asked("r", step, 1, 1, 5, attempt, state)


def test_a_later_word_on_a_step_replaces_the_earlier_but_not_a_later_attempts():
    calls = with_asked(with_asked(None, asked("a")), asked("b"))
    calls = with_asked(calls, asked("a", state="done"))
    assert [(each.step_id, each.state) for each in calls.asked] == [("b", "open"), ("a", "done")]  # fmt: skip
    again = with_asked(calls, asked("a", 1))
    assert with_asked(again, asked("a", 0, "failed")) == again


def test_of_very_many_alike_the_newest_stay():
    calls = Calls()
    for number in range(MAX_RECENT + 5):
        calls = with_asked(calls, asked(str(number)))
    assert len(calls.asked) == MAX_RECENT
    assert calls.asked[0].step_id == "5"


def test_what_leads_to_two_runs_leads_nowhere():
    assert with_link(None, Link("a", 2)) == Link("a", 2)
    assert with_link(Link("a"), Link("a", 3)) == Link("a", 3)
    both = with_link(Link("a"), Link("b"))
    assert both.is_ambiguous
    assert with_link(both, Link("a")).is_ambiguous


def test_a_list_of_waiting_runs_forgets_old_ones_and_knows_when_it_was_crowded():
    first = with_waits(None, Waits("a", 1, 0, ("f",)))
    assert with_waits(first, Waits("a", 1, 5, ())) == Waiting()
    later = with_waits(first, Waits("b", 1, WINDOW_US + 1, ("f",)))
    assert [each.run_id for each in later.runs] == ["b"]
    crowd = Waiting()
    for number in range(MAX_WAITING + 1):
        crowd = with_waits(crowd, Waits(str(number), 1, 7, ("f",)))
    assert (len(crowd.runs), crowd.crowded_us) == (MAX_WAITING, 7)


def test_the_session_that_was_seen_last_stays():
    old, new = Session("a", 1), Session("b", 2)
    assert with_session(with_session(None, old), new) == new
    assert with_session(new, old) == new
