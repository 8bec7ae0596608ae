"""Plans are read strictly, wherever they stand."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.simulate.parser import MAX_DEPTH, find, parse
from proxy.simulate.plan import (
    ALWAYS,
    Act,
    Call,
    Fault,
    Json,
    Loop,
    Pad,
    Plan,
    Say,
    Step,
    Think,
    gather,
)
from proxy.simulate.scanner import PlanError


def one(text: str) -> Step:
    [step] = parse(f"<<plan: {text} >>").nodes
    assert isinstance(step, Step)
    return step


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("call search", Call("search")),
        ('call mcp__a.b-c {"q": "|&>>)"}', Call("mcp__a.b-c", {"q": "|&>>)"})),
        ("call! ghost {}", Call("ghost", {}, False)),
        ('call a raw "{b"', Call("a", None, True, "{b")),
        ("say The answer is 42.", Say("The answer is 42.")),
        ("say f(x) is here", Say("f(x) is here")),
        ('say "a | b \\u00e9"', Say("a | b é")),
        ('say ""', Say("")),
        ("json [1, null]", Json([1, None])),
        ("pad 100", Pad(100)),
        ("think 200", Think(200)),
        ("act search", Act("search")),
    ],
)
def test_actions(text, action):
    assert one(text) == Step((action,))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("fail 500", Fault("fail", 500)),
        ("fail 529 times 3", Fault("fail", 529, times=3)),
        (
            "fail 429 retry-after 1",
            Fault("fail", 429, retry_after_seconds=1.0),
        ),
        ("fail 429 quota always", Fault("fail", 429, True, times=ALWAYS)),
        ("slow 5", Fault("slow", seconds=5.0, times=ALWAYS)),
        ("slow 0.5 times 1", Fault("slow", seconds=0.5)),
        ("cut after 10 tokens", Fault("cut", after_tokens=10)),
        ("error in stream", Fault("error")),
        ("error in stream after 4", Fault("error", after_tokens=4)),
        ("hang", Fault("hang")),
    ],
)
def test_faults(text, fault):
    assert one(text) == Step((), (fault,))


def test_a_step_may_do_several_things():
    assert one("think 5 & say Wait. & call a & call b {}") == Step(
        (Think(5), Say("Wait."), Call("a"), Call("b", {}))
    )


def test_loops_take_one_step_or_several_in_parentheses():
    plan = parse("<<plan: loop 3 call a & call b | loop forever (say x | call c) >>")
    assert plan.nodes == (
        Loop(3, (Step((Call("a"), Call("b"))),)),
        Loop(ALWAYS, (Step((Say("x"),)), Step((Call("c"),)))),
    )


def test_line_breaks_are_spaces():
    assert parse("<<plan:\n  call a\n  | say b\n>>") == parse(
        "<<plan: call a | say b>>"
    )


def test_the_last_plan_of_a_text_is_found_with_its_end():
    text = "Do <<plan: say a>> or <<plan: say b>> now."
    assert find(text) == (Plan((Step((Say("b"),)),)), len(text) - len(" now."))
    assert find("no plan << plan: >>") is None


def test_a_plan_inside_of_a_string_is_not_the_plan():
    inner = "<<plan: say inner>>"
    found = find(f"<<plan: call helper {json.dumps({'task': inner})}>>")
    assert found is not None
    assert found[0].nodes == (Step((Call("helper", {"task": inner}),)),)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<<plan: >>", "expected call"),
        ("<<plan: say", "expected a text"),
        ("<<plan: say hi", "expected |, & or >>"),
        ("<<plan: jump a>>", "expected call"),
        ("<<plan: call >>", "the name of a tool"),
        ("<<plan: call a {b}>>", "arguments as a JSON object"),
        ('<<plan: call a {"b": NaN}>>', "NaN is not JSON"),
        ("<<plan: call a raw 3>>", "expected a JSON string behind raw"),
        ('<<plan: say "hi" there>>', "expected |, & or >>"),
        ("<<plan: think lots>>", "a number of tokens"),
        ("<<plan: think 1.5>>", "a whole number"),
        ("<<plan: pad 9999999>>", "1000000 at most"),
        ("<<plan: loop 0 call a>>", "at least once"),
        ("<<plan: loop call a>>", "how often to loop"),
        ("<<plan: loop 2 (call a>>", "in the loop"),
        ("<<plan: fail 200>>", "from 400 to 599"),
        ("<<plan: fail 500 times 0>>", "at least one time"),
        ("<<plan: slow 9999>>", "3600 seconds at most"),
        ("<<plan: cut 10>>", "expected after"),
        ("<<plan: error after 1>>", "expected in"),
        ("<<plan:" + " loop 2" * (MAX_DEPTH + 1) + " call a>>", "loops in each other"),
        ("<<plan: json " + "[" * 100_000 + ">>", "expected a JSON value"),
        ("<<plan: call a>> and more", "nothing behind the plan"),
        ("plan: call a", "begins with <<plan:"),
    ],
)
def test_what_is_no_plan_is_an_error_that_says_why(text, problem):
    with pytest.raises(PlanError) as error:
        parse(text)
    assert problem in str(error.value)


def test_an_error_says_where():
    with pytest.raises(PlanError, match="at character 10, before 'dance >>'"):
        find("Please <<plan: pad 1 | dance >>")


_NAMES = st.from_regex(r"[A-Za-z0-9_.-]{1,20}", fullmatch=True).filter(
    lambda name: name != "raw"
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
_OBJECTS = st.dictionaries(st.text(max_size=8), _VALUES, max_size=3)
_TOKENS = st.integers(0, 1000)
_ACTIONS = st.one_of(
    st.builds(Call, _NAMES, st.none() | _OBJECTS, st.booleans()),
    st.builds(Call, _NAMES, st.none(), st.booleans(), st.text(max_size=9)),
    st.builds(Act, _NAMES, st.none() | _OBJECTS),
    st.builds(Say, st.text(max_size=20)),
    st.builds(Json, _VALUES),
    st.builds(Pad, _TOKENS),
    st.builds(Think, _TOKENS),
)
_TIMES = st.integers(0, 5)
_FAULTS = st.one_of(
    st.builds(
        Fault,
        st.just("fail"),
        st.integers(400, 599),
        st.booleans(),
        st.none() | st.sampled_from([0.5, 1.0, 30.0]),
        times=_TIMES,
    ),
    st.builds(
        Fault, st.just("slow"), seconds=st.sampled_from([0.25, 2.0]), times=_TIMES
    ),
    st.builds(
        Fault, st.sampled_from(["cut", "error"]), after_tokens=_TOKENS, times=_TIMES
    ),
    st.builds(Fault, st.just("hang"), times=_TIMES),
)
_STEPS = st.builds(
    Step,
    st.lists(_ACTIONS, max_size=3).map(tuple),
    st.lists(_FAULTS, max_size=2).map(tuple),
).filter(lambda step: step.actions or step.faults)


def _nodes(inner):
    return st.lists(inner, min_size=1, max_size=3).map(gather)


_LOOPS = st.recursive(
    _STEPS,
    lambda inner: st.builds(Loop, st.integers(0, 9), _nodes(inner)),
    max_leaves=5,
)
PLANS = st.builds(Plan, _nodes(_LOOPS))


@settings(max_examples=50)
@given(PLANS)
def test_every_plan_can_be_written_and_read(plan):
    assert parse(str(plan)) == plan


@settings(max_examples=50)
@given(PLANS, st.text(max_size=20), st.text(max_size=20))
def test_every_plan_is_found_in_any_text(plan, before, behind):
    found = find(f"{before.replace('<', '')}{plan}{behind.replace('<', '')}")
    assert found is not None
    assert found[0] == plan


@settings(max_examples=50)
@given(PLANS, st.data())
def test_a_damaged_plan_is_read_or_refused(plan, data):
    text = str(plan)
    at = data.draw(st.integers(7, len(text)))
    damaged = text[:at] + data.draw(st.text(max_size=3)) + text[at + 1 :]
    try:
        find(damaged)
    except PlanError:
        return


@given(st.text(alphabet='<plan:>|&(){}" callsyoop0123456789\n', max_size=60))
def test_no_text_breaks_the_parser(text):
    try:
        find(f"<<plan:{text}")
    except PlanError:
        return
