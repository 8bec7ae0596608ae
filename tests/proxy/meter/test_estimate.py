"""Provider's numbers where there are any, estimates where there are none, and nothing where nothing was billed."""

import pytest
from msgspec.structs import replace

from proxy.meter.estimate import MAX_GUESSED_INPUT_TOKENS, Taught, settle
from proxy.model import Ask, Kind, Reading, ToolCall, Usage, UsageSource

TOLD = Usage(input=10, output=20)
NOTHING = (Usage(), UsageSource.NONE)


ASK = Ask(
    dialect="openai_chat",
    operation="chat",
    kind=Kind.LLM,
    is_step=True,
    input_chars=401,
)


def ask(**changes):
    return replace(ASK, **changes)


def cut(**said):
    return Reading(expects_terminal=True, **said)


def settled(reading, asked=None, status=200, completed=False, request_bytes=4000):
    return settle(asked or ask(), reading, status, completed, request_bytes)


@pytest.mark.parametrize(
    ("reading", "completed"),
    [
        (Reading(usage=TOLD), True),
        (cut(usage=TOLD, terminal=True), True),
        (cut(usage=TOLD), True),
        (cut(usage=TOLD, terminal=True), False),
        (cut(usage=TOLD, finish_reason="stop"), False),
        (Reading(usage=TOLD), False),
    ],
    ids=[
        "whole body",
        "whole stream",
        "family without terminal event",
        "left after the terminal event",
        "left after the last count",
        "left after the whole body",
    ],
)
def test_what_the_provider_counted_stands(reading, completed):
    assert settled(reading, completed=completed) == (TOLD, UsageSource.PROVIDER)


@pytest.mark.parametrize(
    ("finish_reason", "source"),
    [("", UsageSource.PARTIAL), ("failed", UsageSource.PROVIDER)],
    ids=["in the middle", "with the last counts"],
)
def test_counts_before_an_error_in_the_stream_are_not_the_last(finish_reason, source):
    reading = cut(
        usage=TOLD, terminal=True, error_in_stream=True, finish_reason=finish_reason
    )
    assert settled(reading)[1] is source


def test_a_fetched_background_answer_carries_its_tokens():
    fetched = ask(operation="responses_get", is_step=False, input_chars=0)
    assert settled(Reading(usage=TOLD), fetched, completed=True) == (
        TOLD,
        UsageSource.PROVIDER,
    )


def test_a_cut_stream_keeps_the_providers_input_and_estimates_the_output():
    told = Usage(input=5, cache_read=100, output=1)
    reading = cut(usage=told, output_chars=341)
    assert settled(reading, ask(dialect="anthropic_messages")) == (
        Usage(input=5, cache_read=100, output=99),
        UsageSource.PARTIAL,
    )


@pytest.mark.parametrize(
    ("told", "chars", "thought", "expected"),
    [
        (Usage(input=1, output=50), 40, 0, Usage(input=1, output=50)),
        (Usage(input=1, output=50), 40, 80, Usage(input=1, output=30, reasoning=20)),
        (Usage(input=1, output=5), 40, 80, Usage(input=1, output=10, reasoning=20)),
        (
            Usage(input=1, output=5, reasoning=90),
            40,
            80,
            Usage(input=1, output=10, reasoning=90),
        ),
        (Usage(input=1), 0, 0, Usage(input=1)),
        (Usage(input=1, output=0), 0, 0, Usage(input=1, output=0)),
        (Usage(output=7, audio_out=3), 4, 0, Usage(input=101, output=7, audio_out=3)),
    ],
)
def test_an_estimate_is_never_below_what_was_counted(told, chars, thought, expected):
    reading = cut(usage=told, output_chars=chars, reasoning_chars=thought)
    assert settled(reading) == (expected, UsageSource.PARTIAL)


@pytest.mark.parametrize("completed", [True, False])
def test_an_answer_without_counts_is_estimated_from_its_lengths(completed):
    reading = cut(output_chars=9, reasoning_chars=5)
    assert settled(reading, completed=completed) == (
        Usage(input=101, output=3, reasoning=2),
        UsageSource.ESTIMATED,
    )


def test_an_answer_that_never_came_still_cost_its_input():
    assert settled(Reading(), status=0) == (Usage(input=101), UsageSource.ESTIMATED)


def test_an_embedding_has_no_output():
    embedding = ask(kind=Kind.EMBEDDING)
    assert settled(Reading(output_chars=99), embedding, completed=True) == (
        Usage(input=101),
        UsageSource.ESTIMATED,
    )


@pytest.mark.parametrize(
    ("request_bytes", "tokens"),
    [(4000, 1000), (50_000_000, MAX_GUESSED_INPUT_TOKENS), (0, None)],
)
def test_a_request_that_was_not_read_is_guessed_from_its_bytes(request_bytes, tokens):
    unread = ask(input_chars=0)
    usage, source = settled(Reading(), unread, request_bytes=request_bytes)
    assert (usage, source) == (Usage(input=tokens), UsageSource.ESTIMATED)


@pytest.mark.parametrize(
    ("reading", "asked", "status"),
    [
        (Reading(usage=TOLD), ask(), 429),
        (Reading(), ask(), 500),
        (Reading(), ask(), 302),
        (Reading(), ask(), 101),
        (Reading(deferred=True), ask(background=True), 200),
        (Reading(), ask(is_step=False), 200),
        (Reading(), ask(kind=Kind.TOOL), 200),
        (cut(error_in_stream=True), ask(), 200),
    ],
    ids=[
        "4xx",
        "5xx",
        "redirect",
        "upgrade",
        "deferred",
        "no step",
        "tool",
        "error at once",
    ],
)
def test_what_was_not_billed_has_no_tokens(reading, asked, status):
    assert settled(reading, asked, status, completed=True) == NOTHING


def test_an_error_after_some_output_is_estimated():
    usage, source = settled(cut(error_in_stream=True, output_chars=4))
    assert (usage.output, source) == (1, UsageSource.ESTIMATED)


PROSE = "The quick brown fox jumps over the lazy dog, and then it goes home. " * 3
"""46 tokens, as OpenAI counts."""


def said(text=PROSE, deltas=0, **more):
    return cut(output_text=text, output_chars=len(text), output_deltas=deltas, **more)


def output(reading, **changes):
    return settled(reading, ask(**changes))[0].output


def test_events_are_counted_where_each_is_likely_a_token():
    assert output(said(deltas=43)) == 43
    assert output(said(deltas=50)) == 50


def test_text_is_guessed_where_events_hold_several_tokens():
    assert output(said(deltas=5)) == pytest.approx(46, rel=0.1)
    assert output(said(deltas=1)) == pytest.approx(46, rel=0.1)


def test_there_are_as_many_tokens_as_events_at_least():
    assert output(said(deltas=400)) == 400


@pytest.mark.parametrize("changes", [{"dialect": "anthropic_messages"}, {"model": "us.anthropic.claude-x"}])  # fmt: skip
def test_families_that_send_several_tokens_an_event_are_guessed_by_their_own_scale(
    changes,
):
    assert output(said(deltas=40), **changes) > output(said(deltas=5)) * 1.1


def test_a_text_of_which_the_beginning_was_kept_counts_whole():
    short, long = said(), replace(said(), output_chars=10 * len(PROSE))
    assert output(long) == pytest.approx(10 * (output(short) or 0), rel=0.02)


def test_a_tool_call_costs_more_than_its_arguments():
    calls = tuple(ToolCall(str(n), "get_weather", b'{"city":"Paris"}') for n in (1, 2))
    one = cut(output_chars=16, tool_calls=calls[:1])
    two = cut(output_chars=32, tool_calls=calls)
    alone = output(one) or 0
    assert alone > 10
    assert (output(two) or 0) > 2 * alone


def test_what_closes_an_answer_counts_where_it_came():
    open_, closed = said(deltas=43), said(deltas=43, terminal=True)
    assert output(open_, dialect="openai_responses") == 43
    assert output(closed, dialect="openai_responses") == 44


def test_an_estimate_is_never_beyond_what_was_allowed():
    reading = cut(output_chars=10_000, reasoning_chars=10_000)
    usage, _ = settled(reading, ask(max_output_tokens=50))
    assert (usage.output, usage.reasoning) == (50, 50)


def test_earlier_answers_correct_input_and_output():
    plain, _ = settle(ASK, said(), 200, False, 0)
    usage, _ = settle(ASK, said(), 200, False, 0, Taught(input=2.0, output=1.5))
    assert usage.input == pytest.approx(2 * (plain.input or 0), rel=0.01)
    assert usage.output == pytest.approx(1.5 * (plain.output or 0), rel=0.05)


@pytest.mark.parametrize(
    ("told", "booked"),
    [(None, 10), (1, 10), (7, 10), (8, 8), (11, 11)],
    ids=["nothing", "a beginning", "an earlier count", "nearly the guess", "more"],
)
def test_a_count_that_arrived_with_the_text_is_no_matter_for_guesses(told, booked):
    reading = cut(usage=Usage(input=1, output=told), output_chars=40)
    assert settled(reading)[0].output == booked


def test_several_choices_may_have_more_tokens_than_the_limit_of_one():
    reading = cut(output_chars=90, output_text="word " * 18, output_deltas=20)
    assert settled(reading, ask(max_output_tokens=10))[0].output == 20
