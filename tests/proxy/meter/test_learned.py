import pytest

from proxy.meter.estimate import UNTAUGHT, output_tokens
from proxy.meter.learned import MAX_RATIO, MIN_TOKENS, Lessons, Ratios
from proxy.model import Ask, Kind, Reading, ToolCall, Usage

ASK = Ask("openai_chat", "chat", Kind.LLM, is_step=True, model="m", input_chars=4000)
TEXT = "The quick brown fox jumps over the lazy dog. " * 20
READING = Reading(output_text=TEXT, output_chars=len(TEXT))
GUESSED = output_tokens(ASK, READING).output or 0


def taught(*truths: float) -> Ratios:
    ratios = Ratios(10)
    for truth in truths:
        ratios.wants("k")
        ratios.learn("k", truth, 1.0)
    return ratios


def test_a_ratio_is_believed_the_more_the_oftener_it_was_seen():
    seen = [taught(*[2.0] * count).get("k") for count in (0, 1, 3, 100)]
    assert seen == sorted(seen)
    assert seen[0] == 1.0
    assert seen[-1] == pytest.approx(2.0, rel=0.05)


def test_one_wild_ratio_moves_little():
    assert taught(*[1.0] * 20, 1e9).get("k") < MAX_RATIO ** (1 / 10)
    assert taught(1e9).get("k") <= MAX_RATIO


def test_nothing_is_learned_from_nothing():
    assert taught(0.0).get("k") == 1.0
    ratios = Ratios(1)
    ratios.learn("never wanted", 2.0, 1.0)
    ratios.learn("k", 1.0, 0.0)
    assert ratios.get("k") == 1.0


def test_the_first_answers_are_looked_at_and_later_a_few():
    ratios = Ratios(10)
    wanted = [ratios.wants("k") for _ in range(1000)]
    assert all(wanted[:8])
    assert 0 < sum(wanted[8:]) < 30


def test_keys_not_used_for_long_are_forgotten():
    ratios = Ratios(2)
    for key in ("a", "b", "a", "c"):
        ratios.wants(key)
        ratios.learn(key, 2.0, 1.0)
    assert ratios.get("a") > 1
    assert ratios.get("b") == 1.0


def test_counted_answers_teach_for_the_same_caller_and_model_only():
    lessons = Lessons()
    for _ in range(20):
        usage = Usage(input=1500, cache_read=500, output=2 * GUESSED)
        lessons.learn("c", ASK, READING, usage, 9000)
    found = lessons.taught("c", ASK, READING)
    assert found.input == pytest.approx(2.0, rel=0.2)
    assert found.output == pytest.approx(2.0, rel=0.2)
    assert lessons.taught("other", ASK, READING) == UNTAUGHT
    assert lessons.taught("c", ASK, Reading(model="n")) == UNTAUGHT


def test_short_answers_hidden_thinking_and_tool_calls_teach_nothing_about_text():
    lessons = Lessons()
    call = Reading(tool_calls=(ToolCall("", "f", b"{}"),), output_chars=2)
    lessons.learn("c", ASK, READING, Usage(input=5, output=MIN_TOKENS - 1), 1)
    lessons.learn("c", ASK, READING, Usage(input=5, output=1, reasoning=900), 1)
    lessons.learn("c", ASK, call, Usage(input=5, output=900), 1)
    assert lessons.taught("c", ASK, READING) == UNTAUGHT
