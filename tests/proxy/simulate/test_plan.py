"""Which step comes when, and plans as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.simulate.parser import parse
from proxy.simulate.plan import Call, Fault, Loop, Plan, Say, Step, gather

A, B, C = (Step((Say(name),)) for name in "abc")
FAILS = Step((), (Fault("fail", 500),))


def said(plan: Plan, count: int) -> str:
    steps = [plan.step(number) for number in range(count)]
    return "".join(
        action.text
        for step in steps
        if step
        for action in step.actions
        if isinstance(action, Say)
    )


def test_steps_come_in_their_order_and_end():
    assert said(Plan((A, B)), 5) == "ab"


def test_loops_repeat_all_of_their_body():
    assert said(Plan((Loop(2, (A, Loop(2, (B,)))), C)), 9) == "abbabbc"


def test_a_loop_without_end_never_lets_go():
    plan = Plan((Loop(0, (A, B)), C))
    assert said(plan, 7) == "abababa"
    assert plan.step(1_000_001) == B


def test_faults_alone_belong_to_the_step_behind_them():
    other = Step((), (Fault("hang"),))
    assert gather([FAILS, other, A]) == (
        Step(A.actions, (*FAILS.faults, *other.faults)),
    )
    assert gather([A, FAILS]) == (A, FAILS)


def test_faults_before_a_loop_belong_to_its_first_step_once():
    first = Step(A.actions, FAILS.faults)
    assert gather([FAILS, Loop(1, (A,))]) == (first,)
    assert gather([FAILS, Loop(3, (A,))]) == (first, Loop(2, (A,)))
    assert gather([FAILS, Loop(0, (A,))]) == (first, Loop(0, (A,)))
    inner = Loop(2, (A,))
    assert gather([FAILS, Loop(2, (inner,))]) == (first, Loop(1, (A,)), Loop(1, (inner,)))  # fmt: skip
    ends_so = Loop(2, (A, FAILS))
    assert gather([FAILS, ends_so]) == (FAILS, ends_so)


@pytest.mark.parametrize(
    "text",
    [
        '<<plan: call search {"q": "tea"} | say "Hi." >>',
        "<<plan: loop forever ( call a | think 3 & call! b {} ) >>",
        '<<plan: fail 429 quota retry-after 1.5 always & act a {"b": [1]} >>',
        '<<plan: cut after 3 times 2 & json {"a": 1} & pad 7 & call a raw "{" >>',
        '<<plan: hang times 1 & error in stream after 0 times 1 & slow 0.5 always & act a & say "" >>',
    ],
)
def test_a_written_plan_is_the_same_plan(text):
    plan = parse(text)
    assert parse(str(plan)) == plan


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.integers(0, 300),
)
def test_nested_loops_are_as_long_as_their_product(counts, number):
    node: Step | Loop = Step((Call("a"),))
    length = 1
    for count in counts:
        node, length = Loop(count, (node,)), length * count
    assert (Plan((node,)).step(number) is not None) == (number < length)
