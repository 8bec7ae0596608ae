"""Answers are made alike for the same seed, and counted."""

from proxy.simulate.engine import Engine, Settings
from proxy.simulate.families.openai_chat import OpenAIChat
from proxy.simulate.faults import Rates
from proxy.simulate.question import SYSTEM, USER, Question, Turn

CHAT = OpenAIChat()


def engine(**more):
    return Engine(Settings(**more), lambda: 1.0, lambda: 2.0, "n")


def asked(text, clock="now"):
    return Question("gpt-4o", (Turn(SYSTEM, clock), Turn(USER, text)))


def test_the_same_requests_in_the_same_order_are_answered_alike():
    rates = Rates.parse("5xx=0.3,cut=0.3")
    runs = []
    for _ in range(2):
        made = engine(seed=5, rates=rates)
        said = [made.perform(CHAT, asked(str(n % 3)), "k") for n in range(20)]
        runs.append([(each.fault, each.dice.random()) for each in said])
    assert runs[0] == runs[1]
    assert len({str(fault) for fault, _ in runs[0]}) > 2


def test_the_same_request_is_known_although_the_clock_in_its_prompt_moved():
    made = engine()
    text = "<<plan: fail 500 | say hi>>"
    first = made.perform(CHAT, asked(text, "10:00"), "k")
    second = made.perform(CHAT, asked(text, "10:01"), "k")
    other = made.perform(CHAT, asked(text, "10:02"), "someone else")
    assert [each.fault is None for each in (first, second, other)] == [
        False,
        True,
        False,
    ]


def test_a_fault_of_the_plan_comes_before_one_of_the_dice():
    made = engine(rates=Rates.parse("cut=1"))
    said = made.perform(CHAT, asked("<<plan: slow 2 & fail 529 & say hi>>"), "k")
    assert said.fault is not None
    assert (said.fault.status, said.slow_seconds) == (529, 2.0)


def test_limits_are_used_up():
    made = engine(requests_per_minute=10, tokens_per_minute=1000)
    said = made.perform(CHAT, asked("x" * 400), "k")
    assert said.limits.left()[0] == 9
    assert said.limits.left()[1] < 900
    assert said.exchange.created == 2
