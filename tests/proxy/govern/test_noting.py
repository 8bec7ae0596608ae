"""A model is told of each warning once, and again where it may not have heard it."""

from msgspec.structs import replace

from proxy.govern.noting import Noting
from proxy.judge.verdict import Action, Reason, Verdict
from tests.helpers.spooled import make_open

STEPS = Verdict(Action.WARN, "caps", Reason.STEPS, "story", "run", "16", "16", note="a")
TURN = replace(STEPS, scope="turn", note="b")
SILENT = replace(STEPS, policy="budgets:team", note="")
BOTH = replace(STEPS, others=(SILENT, TURN))
FIRST, SECOND = make_open("a1"), make_open("a2")


def told(noting: Noting, verdict: Verdict = STEPS, opened=FIRST, allowance: int | None = None) -> str:  # fmt: skip
    found = noting.note(verdict, opened, allowance)
    noting.noted(verdict, opened, allowance)
    return found


def test_a_warning_is_told_once_and_a_retry_of_its_step_hears_it_again():
    noting = Noting()
    assert told(noting) == "[tachograph: a]"
    assert told(noting, opened=replace(FIRST, attempt=1)) == "[tachograph: a]"
    assert told(noting, opened=SECOND) == ""
    assert told(noting, opened=make_open("a3", run_id="another")) == "[tachograph: a]"
    assert told(noting, replace(STEPS, threshold="18"), SECOND) == "[tachograph: a]"


def test_what_was_not_told_is_still_to_be_told():
    noting = Noting()
    assert [noting.note(STEPS, each, None) for each in (FIRST, SECOND)] == ["[tachograph: a]"] * 2  # fmt: skip


def test_a_run_that_is_allowed_on_and_a_new_turn_hear_it_anew():
    noting = Noting()
    assert [told(noting), told(noting, STEPS, SECOND, 7)] == ["[tachograph: a]"] * 2
    turns = [replace(SECOND, step_id=f"s{turn}", turn_seq=turn) for turn in (1, 2)]
    assert [told(noting, TURN, each) for each in turns] == ["[tachograph: b]"] * 2
    assert told(noting, STEPS, turns[1]) == ""


def test_several_warnings_are_one_line_and_those_that_it_knows_are_left_out():
    noting = Noting()
    assert told(noting, BOTH) == "[tachograph: a; b]"
    assert told(noting, BOTH, SECOND) == ""
    assert told(Noting(), SILENT) == ""
    noting = Noting()
    told(noting)
    assert told(noting, BOTH, SECOND) == "[tachograph: b]"


def test_it_remembers_within_bounds():
    noting = Noting(capacity=2)
    opens = [make_open(name, run_id=name) for name in "abc"]
    assert [bool(told(noting, opened=each)) for each in (*opens, make_open("d", run_id="a"))] == [True] * 4  # fmt: skip
    assert len(noting._told) == 2
