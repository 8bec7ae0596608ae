"""What calls add to series, and which of them complete a pattern; C19 at the level of the core."""

from typing import Any

import pytest
from msgspec.structs import replace

from proxy.identify.messages import canonical
from proxy.judge.case import Case
from proxy.judge.circles import circles_of
from proxy.judge.claims import Scope, Tail
from proxy.judge.loops import (  # fmt: skip
    CycleSettings,
    LoopOverride,
    NoProgressSettings,
    RepeatSettings,
    SameErrorSettings,
)
from proxy.judge.masking import masked
from proxy.judge.matching import Site
from proxy.judge.settings import PolicySettings
from proxy.judge.verdict import Reason, Verdict
from proxy.model import Kind
from tests.helpers.judging import (  # fmt: skip
    CASE,
    NOW_US,
    QUIET,
    TERMS,
    Desk,
    desk,
    is_block,
    signature,
)

SITE = Site("acme", "writer", "caller-1", "openai", "gpt-4o", Kind.LLM)
REPEAT = replace(QUIET, repeat=RepeatSettings("enforce", 2, 4))
CYCLE = replace(QUIET, cycle=CycleSettings("enforce", 2, 3, 3))
ERROR = replace(QUIET, same_error=SameErrorSettings("enforce", 2, 3))
PROGRESS = replace(QUIET, no_progress=NoProgressSettings("enforce", 2, 3, 8))
bodies = iter(range(1000, 10**9))


def answered(*calls: str, results: tuple[str, ...] = (), errors: tuple[str, ...] = (), tools: tuple[str, ...] = ()) -> Case:  # fmt: skip
    """Give a request that brings the results of calls; nothing else in it was there before."""
    found = results or tuple(f"{call} {next(bodies)}" for call in calls)
    return replace(
        CASE,
        body=next(bodies),
        calls=tuple(map(signature, calls)),
        tools=tools or tuple("search" for _ in calls),
        results=tuple(map(signature, (*found, *errors))),
        errors=tuple(map(signature, errors)),
    )


def actions(asked: Desk, cases: list[Case]) -> list[str]:
    return [each.action if (each := asked.ask(case)) else "" for case in cases]


def test_no_series_are_kept_where_nobody_looks_at_them():
    assert circles_of(QUIET, SITE, TERMS) is None
    assert circles_of(PolicySettings(), replace(SITE, kind=Kind.MCP), TERMS) is None
    found = circles_of(ERROR, SITE, TERMS)
    assert found is not None
    assert [found.calls, found.steps] == [None, None]
    (tail,) = found.claims(CASE, lambda _: False)
    assert (tail.scope, tail.push, tail.size) == (Scope.RUN, (0,), 12)


def test_the_three_series_of_a_run_are_long_enough_for_their_patterns():
    found = circles_of(PolicySettings(), SITE, TERMS)
    assert found is not None
    tails = [found.calls, found.errors, found.steps]
    assert [each and each.size for each in tails] == [36, 32, 80]
    assert len({each.key for each in tails if each}) == 3


def test_c19_the_same_call_is_refused_at_n_exactly():
    case = answered("read a")
    assert actions(desk(REPEAT), [case] * 5) == ["", "warn", "warn", "block", "block"]


def test_c19_the_same_request_within_a_run_is_refused_at_n_exactly():
    assert actions(desk(REPEAT), [CASE] * 4) == ["", "warn", "warn", "block"]


def test_c19_a_call_in_which_only_the_clock_and_the_request_id_differ_is_the_same():
    asked, refused = desk(REPEAT), []
    for second in range(4):
        now_us = NOW_US + second * 1_000_000
        arguments = {"path": "a.txt", "request_id": f"r{second}", "at": now_us // 1000}
        call = masked(canonical(arguments), now_us).hex()
        refused.append(is_block(asked.ask(replace(answered(call), now_us=now_us))))
    assert refused == [False, False, False, True]


def test_c19_other_arguments_are_another_call():
    asked = desk(REPEAT)
    pages = [answered(masked(canonical({"page": number}), NOW_US).hex()) for number in range(9)]  # fmt: skip
    assert actions(asked, pages) == [""] * 9


def test_c19_distinct_agents_do_not_add_up():
    asked = desk(REPEAT)
    runs = [replace(answered("read a"), run_id=f"run-{number}") for number in range(6)]
    assert [asked.ask(each, root="run-0") for each in runs] == [None] * 6


def test_something_else_in_between_ends_a_repetition():
    read, tests = answered("read a"), answered("run tests")
    assert "block" not in actions(desk(REPEAT), [tests, read] * 5)
    said = [CASE, replace(CASE, body=5), replace(CASE, body=6), replace(CASE, body=7)]
    turns = [case for each in said for case in (each, read)]
    assert actions(desk(REPEAT), turns) == [""] * 8


def test_a_retry_adds_nothing_and_meets_the_same_verdict():
    asked, case = desk(REPEAT), answered("read a")
    again = replace(case, is_retry=True)
    assert actions(asked, [case, again, again, again]) == [""] * 4
    assert actions(asked, [case, case, case, again]) == ["warn", "warn", "block", "block"]  # fmt: skip


def test_tools_that_are_polled_are_in_no_pattern():
    settings = replace(REPEAT, no_progress=PROGRESS.no_progress)
    poll = answered("job 1", results=("pending",), tools=("wait_for_job",))
    assert actions(desk(settings), [poll] * 9) == [""] * 9
    asked = desk(settings)
    both = answered("read a", "job 1", results=("text", "pending"), tools=("read", "wait_for_job"))  # fmt: skip
    assert actions(asked, [both] * 4)[-1] == "block"


def test_a_cycle_is_refused_when_it_has_gone_around_so_often():
    found = actions(desk(CYCLE), [answered("a"), answered("b")] * 3)
    assert found == ["", "", "", "warn", "warn", "block"]


def test_edit_and_test_in_turn_is_no_cycle_as_long_as_edits_differ():
    steps = [case for number in range(9) for case in (answered(f"edit {number}"), answered("test"))]  # fmt: skip
    assert set(actions(desk(CYCLE), steps)) == {""}


def test_the_same_error_is_refused_though_arguments_differ():
    steps = [answered(f"read {number}", errors=("no such file",)) for number in range(3)]  # fmt: skip
    assert actions(desk(ERROR), steps) == ["", "warn", "block"]


def test_a_step_without_an_error_begins_anew():
    failing, fine = answered("a", errors=("down",)), answered("b")
    assert actions(desk(ERROR), [failing, fine] * 4) == [""] * 8


def test_a_few_calls_in_no_order_that_find_what_they_found_make_no_progress():
    calls = {each: answered(each, results=(f"about {each}",)) for each in "abcd"}
    steps = [calls[each] for each in "abcdbadc"]
    assert actions(desk(PROGRESS), steps) == [""] * 5 + ["warn", "block", "block"]


def test_ten_files_that_are_written_are_progress_though_each_says_done():
    steps = [answered(f"write {number}", results=("done",)) for number in range(10)]
    assert actions(desk(PROGRESS), steps) == [""] * 10


def test_results_of_a_step_may_come_in_any_order():
    asked = desk(PROGRESS)
    one = answered("a", "b", results=("x", "y"))
    other = replace(one, calls=one.calls[::-1], results=one.results[::-1])
    assert actions(asked, [one, other, one, other]) == ["", "", "warn", "block"]


def test_a_result_that_is_new_is_progress():
    steps = [answered("poll") for _ in range(9)]
    assert actions(desk(PROGRESS), steps) == [""] * 9


def test_an_unread_request_without_results_adds_nothing():
    found = circles_of(PolicySettings(), SITE, TERMS)
    assert found is not None
    tails = found.claims(replace(CASE, body=0), lambda _: False)
    assert [each.push for each in tails] == [(), (0,), ()]


def test_thresholds_differ_for_those_who_match():
    override = LoopOverride(agent="writer", block=None, warn=3)
    settings = replace(QUIET, repeat=RepeatSettings("enforce", 2, 4, (override,)))
    assert actions(desk(settings), [answered("a")] * 6) == ["", "", *["warn"] * 4]
    only_block = replace(QUIET, repeat=RepeatSettings("observe", None, 3))
    assert actions(desk(only_block), [answered("a")] * 3) == ["", "", "would_block"]


def story(settings: PolicySettings, cases: list[Case]) -> Verdict:
    asked = desk(settings)
    found = [asked.ask(each) for each in cases][-1]
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("settings", "cases", "reason", "saw"),
    [
        (REPEAT, [answered("a")] * 4, Reason.REPEAT, "the same call with the same arguments 4 times in a row"),
        (CYCLE, [answered("a"), answered("b")] * 3, Reason.CYCLE, "the same 2 calls in the same order 3 times around"),
        (ERROR, [answered("a", errors=("e",))] * 3, Reason.SAME_ERROR, "the same error 3 times with no success in between"),
        (PROGRESS, [answered("a", results=("r",))] * 4, Reason.NO_PROGRESS, "nothing new in the results of 3 steps in a row"),
    ],
    ids=["repeat", "cycle", "same_error", "no_progress"],
)  # fmt: skip
def test_a_reason_says_what_it_saw(settings: PolicySettings, cases: list[Case], reason: Reason, saw: str):  # fmt: skip
    said = story(settings, cases)
    assert said.reason is reason
    assert saw in said.message
    assert "tacho allow run-1" in said.message
    assert (said.scope, said.is_final, said.wait_seconds) == ("run", True, 0)


@pytest.mark.parametrize(
    ("notes", "mode", "said"),
    [
        (True, "enforce", "this run goes in circles: the same call with the same arguments 2 times in a row; the run is stopped at 4"),
        (False, "enforce", ""),
        (True, "observe", ""),
    ],
)  # fmt: skip
def test_a_model_may_be_told_that_it_goes_in_circles(notes: bool, mode: Any, said: str):
    settings = replace(QUIET, notes=notes, repeat=RepeatSettings(mode, 2, 4))
    assert story(settings, [answered("a")] * 2).note == said
    assert story(settings, [answered("a")] * 4).note == ""


def test_a_keeper_that_passed_a_series_over_shows_no_pattern():
    found = circles_of(PolicySettings(), SITE, TERMS)
    assert found is not None
    assert found.seen(CASE, ((), (), ())) == []
    assert all(isinstance(each, Tail) for each in found.claims(CASE, bool))
