"""Which exchanges cost anything, and what."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from proxy.govern.asking import Asking, Quote
from proxy.judge.expected import Price
from proxy.meter.book import PriceBook, Unpriced
from proxy.meter.prices import PriceTable
from proxy.meter.terms import Change, Rule
from proxy.model import (
    Ask,
    CostSource,
    Kind,
    Outcome,
    PartReading,
    Reading,
    Usage,
    UsageSource,
)
from proxy.record.codec import Open
from proxy.record.exchange import Exchange, Settlement
from proxy.settling import Recent, Settler
from tests.helpers.pipelines import make_settler

OPEN = Open("a1", "s1", 1_750_000_000_000_000, "here", "acme", provider="openai")
ASK = Ask("openai_chat", "chat", Kind.LLM, True, model="gpt-4o", input_chars=400)
ANSWER = Reading(
    model="gpt-4o", usage=Usage(input=1_000_000, output=0), expects_terminal=True, terminal=True
)  # fmt: skip
NOTHING = Settlement()
SHOWN_AGAIN = Settlement(is_shown_again=True)
DOUBLED = (Rule(Change(factor="2")),)


@pytest.fixture(scope="module")
def settler() -> Settler:
    return make_settler()


def exchange(status: int | None = 200, **measures: Any) -> Exchange:
    """Give one that was sent and answered, unless `measures` says otherwise."""
    made = Exchange(OPEN, 0.0)
    made.http_status = status
    for name, value in {"sent_at": 1.0, "first_byte_at": 2.0, **measures}.items():
        setattr(made.measures, name, value)
    return made


def test_what_the_provider_counted_is_priced(settler: Settler):
    settled = settler.settle(exchange(), ASK, ANSWER, Outcome.COMPLETED)
    assert (settled.usage, settled.source) == (ANSWER.usage, UsageSource.PROVIDER)
    assert settled.cost.source is CostSource.COMPUTED
    assert settled.cost.total() == 2_500_000_000_000
    assert settled.ctx_window == 128_000


UNANSWERED = {
    "never sent": (exchange(502, sent_at=None, first_byte_at=None), Outcome.UPSTREAM_ERROR, "none"),
    "connection lost before the answer": (exchange(502, first_byte_at=None), Outcome.UPSTREAM_ERROR, "none"),
    "first byte timeout": (exchange(504, first_byte_at=None), Outcome.TIMEOUT, "estimated"),
    "drain overdue": (exchange(503, first_byte_at=None), Outcome.PROXY_ERROR, "estimated"),
    "agent left": (exchange(None, first_byte_at=None), Outcome.CLIENT_ABORT, "estimated"),
    "agent stopped its body": (exchange(408, first_byte_at=None), Outcome.CLIENT_ABORT, "none"),
    "agent broke its body": (exchange(400, first_byte_at=None), Outcome.CLIENT_ABORT, "none"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("made", "outcome", "source"), UNANSWERED.values(), ids=UNANSWERED.keys()
)
def test_without_an_answer_only_what_may_have_been_billed_is_estimated(
    made: Exchange, outcome: Outcome, source: str, settler: Settler
):
    settled = settler.settle(made, ASK, Reading(), outcome)
    assert settled.source == source
    assert bool(settled.usage.input) is (source == "estimated")


@pytest.mark.parametrize("status", [301, 400, 429, 500, 529])
def test_an_answer_that_is_no_success_costs_nothing(status: int, settler: Settler):
    settled = settler.settle(exchange(status), ASK, Reading(), Outcome.REJECTED)
    assert settled == NOTHING


def test_a_cut_stream_is_filled_up(settler: Settler):
    cut = Reading(model="gpt-4o", expects_terminal=True, output_chars=40)
    settled = settler.settle(exchange(), ASK, cut, Outcome.UPSTREAM_ABORT)
    assert settled.source is UsageSource.ESTIMATED
    assert settled.usage.input
    assert settled.usage.output
    assert settled.cost.source is CostSource.COMPUTED


def test_an_unknown_model_costs_what_is_assumed(settler: Settler):
    unknown = Reading(model="nobody-knows-this", usage=Usage(input=1_000_000))
    ask = replace(ASK, model="nobody-knows-this")
    settled = settler.settle(exchange(), ask, unknown, Outcome.COMPLETED)
    assert settled.cost.source is CostSource.ASSUMED
    assert settled.cost.total() == 5_000_000_000_000
    assert settled.ctx_window is None


def test_an_answer_that_names_no_model_is_priced_as_the_one_asked_for(
    settler: Settler,
):
    nameless = Reading(usage=Usage(input=1_000_000))
    settled = settler.settle(exchange(), ASK, nameless, Outcome.COMPLETED)
    assert settled.cost.total() == 2_500_000_000_000


def test_each_part_has_a_price_of_its_own(settler: Settler):
    parts = (
        PartReading("gpt-4o", Usage(input=1_000_000)),
        PartReading("nobody-knows-this", Usage(output=1_000_000)),
    )
    answer = Reading(model="gpt-4o", usage=Usage(input=0, output=0), parts=parts)
    settled = settler.settle(exchange(), ASK, answer, Outcome.COMPLETED)
    assert [(part.model, part.cost.total()) for part in settled.parts] == [
        ("gpt-4o", 2_500_000_000_000),
        ("nobody-knows-this", 25_000_000_000_000),
    ]
    assert settled.cost.total() == 0


def test_a_tool_call_costs_nothing(settler: Settler):
    ask = Ask("plain_http", "http", Kind.TOOL, True)
    assert settler.settle(exchange(), ask, Reading(), Outcome.COMPLETED) == NOTHING


def test_a_stored_response_is_settled_once():
    settler = make_settler()
    answer = Reading(model="gpt-4o", response_id="resp_1", usage=Usage(input=1_000_000))
    created = Ask("openai_responses", "responses", Kind.LLM, True)
    again = Ask("openai_responses", "responses_get", Kind.LLM, False)
    first = settler.settle(exchange(), created, answer, Outcome.COMPLETED)
    assert first.cost.total() == 2_500_000_000_000
    for _ in range(2):
        assert (
            settler.settle(exchange(), again, answer, Outcome.COMPLETED) == SHOWN_AGAIN
        )


def test_an_estimate_stands_when_the_answer_is_asked_for_again():
    settler = make_settler()
    created = Ask("openai_responses", "responses", Kind.LLM, True, input_chars=400)
    again = Ask("openai_responses", "responses_get", Kind.LLM, False)
    cut = Reading(response_id="resp_1", expects_terminal=True, output_chars=40)
    whole = Reading(model="gpt-4o", response_id="resp_1", usage=Usage(input=1_000))
    first = settler.settle(exchange(), created, cut, Outcome.CLIENT_ABORT)
    assert first.source is UsageSource.ESTIMATED
    assert settler.settle(exchange(), again, whole, Outcome.COMPLETED) == SHOWN_AGAIN


@pytest.mark.parametrize("dialect", ["openai_chat", "deferred_chat"])
def test_a_completion_that_is_fetched_later_is_settled_with_the_answer_that_has_it(
    dialect: str,
):
    settler = make_settler()
    created = Ask(dialect, "chat", Kind.LLM, True, background=True, input_chars=400)
    again = Ask("deferred_chat", "deferred_chat_get", Kind.LLM, False)
    accepted = Reading(response_id="id-1", deferred=True)
    whole = Reading(model="sonar", response_id="id-1", usage=Usage(input=1_000))
    settled = settler.settle(exchange(), created, accepted, Outcome.COMPLETED)
    assert settled == NOTHING
    first = settler.settle(exchange(), again, whole, Outcome.COMPLETED)
    assert first.usage == whole.usage
    assert settler.settle(exchange(), again, whole, Outcome.COMPLETED) == SHOWN_AGAIN


def test_a_call_is_priced_by_the_book_that_it_began_with():
    settler = make_settler()
    began, settler.book = settler.book, PriceBook(PriceTable.load(), DOUBLED)
    for book, usd in ((began, 2.5), (None, 5.0)):
        settled = settler.settle(exchange(), ASK, ANSWER, Outcome.COMPLETED, book)
        assert settled.cost.total() == usd * 10**12


def test_the_tier_that_was_asked_for_counts_where_the_answer_names_none(
    settler: Settler,
):
    ask = replace(ASK, model="o3", service_tier="flex")
    told = Reading(model="o3", usage=Usage(input=1_000_000), service_tier="default")
    silent = replace(told, service_tier="")
    flex, standard = (
        settler.settle(late(), ask, each, Outcome.COMPLETED).cost.total()
        for each in (silent, told)
    )
    assert flex is not None
    assert standard is not None
    assert flex < standard


def late() -> Exchange:
    """Give an exchange of a time at which all variants of the table hold."""
    made = exchange()
    made.opened = replace(OPEN, ts_us=1_900_000_000_000_000)
    return made


@pytest.mark.parametrize(
    ("provider", "served", "asked", "priced"),
    [
        ("openai", "gpt-4o-mini", "gpt-4o", "gpt-4o-mini"),
        ("openai", "davinci:2023-07-21-v2", "davinci-002", "davinci-002"),
        ("openai", "nobody-knows-this", "nor-this", "nobody-knows-this"),
        ("openai", "", "gpt-4o", "gpt-4o"),
        ("bedrock", "claude-sonnet-4-5-20250929", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("bedrock", "claude-sonnet-4-5-20250929", "arn:aws:bedrock:x:1:application-inference-profile/a", "claude-sonnet-4-5-20250929"),
        ("openai", "", "", ""),
    ],
)  # fmt: skip
def test_the_model_that_answered_is_priced_or_the_one_that_was_asked_for(
    provider: str, served: str, asked: str, priced: str
):
    made = exchange()
    made.opened = replace(OPEN, provider=provider)
    answer = Reading(model=served, usage=Usage(input=1))
    settled = make_settler().settle(
        made, replace(ASK, model=asked), answer, Outcome.COMPLETED
    )
    assert [price.model for price in settled.prices] == [priced]


def test_what_the_provider_says_that_it_cost_wins_to_the_last_digit(settler: Settler):
    usage = Usage(input=1000, cache_read=10, output=7)
    told = Reading(model="gpt-4o", usage=usage, cost=123_456_789)
    cost = settler.settle(exchange(), ASK, told, Outcome.COMPLETED).cost
    assert (cost.source, cost.price_version) == (CostSource.PROVIDER, "provider")
    assert cost.total() == 123_456_789
    assert all(part is not None for part in (cost.input, cost.cache_read, cost.output))
    assert cost.other is None


def test_a_total_of_the_provider_is_that_of_all_rows_of_the_answer(settler: Settler):
    parts = (PartReading("gpt-4o", Usage(output=50)), PartReading("?", Usage()))
    told = Reading(model="gpt-4o", usage=Usage(input=9), parts=parts, cost=1001)
    settled = settler.settle(exchange(), ASK, told, Outcome.COMPLETED)
    costs = [settled.cost, *(part.cost for part in settled.parts)]
    assert sum(cost.total() or 0 for cost in costs) == 1001
    assert {cost.source for cost in costs} == {CostSource.PROVIDER}


def test_where_no_table_has_a_price_the_total_is_shared_as_assumed(settler: Settler):
    usage = Usage(input=5, output=1)
    told = Reading(usage=usage, cost=100)
    ask = replace(ASK, model="nobody-knows-this")
    settled = settler.settle(exchange(), ask, told, Outcome.COMPLETED)
    assert (settled.cost.input, settled.cost.output) == (50, 50)
    assert settled.unknown_models == ()
    made = exchange()
    made.opened = replace(OPEN, provider="ollama")
    hosted = settler.settle(made, ask, told, Outcome.COMPLETED)
    assert (hosted.cost.input, hosted.cost.total()) == (50, 100)


def test_a_negative_total_is_no_total(settler: Settler):
    told = replace(ANSWER, cost=-1)
    settled = settler.settle(exchange(), ASK, told, Outcome.COMPLETED)
    assert settled.cost.source is CostSource.COMPUTED


WITHOUT_TOKENS = {
    "seconds of audio": (Reading(server_tool_uses=(("input_audio_seconds", 3600),)), "computed", 360 * 10**9),
    "a total alone": (Reading(cost=77), "provider", 77),
}  # fmt: skip


@pytest.mark.parametrize(
    ("reading", "source", "total"), WITHOUT_TOKENS.values(), ids=WITHOUT_TOKENS.keys()
)
@pytest.mark.parametrize("kind", [Kind.LLM, Kind.OTHER])
def test_an_answer_without_tokens_is_billed_by_what_it_counts(
    reading: Reading, source: str, total: int, kind: Kind, settler: Settler
):
    ask = Ask("openai_other", "transcriptions", kind, True, model="whisper-1")
    settled = settler.settle(exchange(), ask, reading, Outcome.COMPLETED)
    assert (settled.usage, settled.source) == (Usage(), UsageSource.PROVIDER)
    assert (settled.cost.source, settled.cost.total()) == (source, total)


def test_a_cut_answer_that_used_a_tool_is_still_estimated(settler: Settler):
    cut = Reading(model="gpt-4o", server_tool_uses=(("web_search", 1),), output_chars=40)  # fmt: skip
    for outcome in (Outcome.UPSTREAM_ABORT, Outcome.COMPLETED):
        settled = settler.settle(exchange(), ASK, cut, outcome)
        assert settled.source is UsageSource.ESTIMATED
        assert settled.usage.output


def test_details_reach_the_price(settler: Settler):
    usage = Usage(cache_read=1_000_000)
    ask = replace(ASK, model="gpt-realtime-mini")
    plain, audio = (
        settler.settle(
            exchange(), ask, Reading(usage=usage, details=details), Outcome.COMPLETED
        ).cost.cache_read
        for details in ((), (("cache_audio_read", 1_000_000),))
    )
    assert plain != audio


def test_a_price_version_is_explained_once_a_day_and_model():
    settler = make_settler()
    parts = (PartReading("claude-sonnet-4-5", Usage(output=1)),)
    answer = replace(ANSWER, parts=parts)

    def explained(after_us: int = 0) -> list[tuple[str, str]]:
        made = exchange()
        made.opened = replace(OPEN, ts_us=OPEN.ts_us + after_us)
        prices = settler.settle(made, ASK, answer, Outcome.COMPLETED).prices
        return [(price.price_version, price.model) for price in prices]

    version = settler.book.table.version
    first = [(version, "gpt-4o"), ("assumed-5-25", "claude-sonnet-4-5")]
    assert explained() == first
    assert explained(3_600_000_000) == []
    assert explained(86_400_000_000) == first


def test_what_is_written_down_is_what_was_charged():
    (price,) = make_settler().settle(exchange(), ASK, ANSWER, Outcome.COMPLETED).prices
    assert (price.provider, price.model, price.ts_us) == (
        "openai",
        "gpt-4o",
        OPEN.ts_us,
    )
    assert json.loads(price.terms)["prices"][0]["usd"]["input"] == "2.5"
    told = replace(ANSWER, cost=5)
    (price,) = make_settler().settle(exchange(), ASK, told, Outcome.COMPLETED).prices
    assert (price.price_version, price.terms) == ("provider", '{"by":"provider"}')


def test_a_model_without_a_price_is_told_of_once_an_hour():
    settler = make_settler()
    unknown = Reading(usage=Usage(input=1))
    ask = replace(ASK, model="nobody-knows-this")
    told = []
    for minutes in (0, 1, 59, 60, 61, -30):
        made = exchange()
        made.opened = replace(OPEN, ts_us=OPEN.ts_us + minutes * 60_000_000)
        settled = settler.settle(made, ask, unknown, Outcome.COMPLETED)
        assert settled.cost.source is CostSource.ASSUMED
        told.append(settled.unknown_models)
    name = ("nobody-knows-this",)
    # A clock that was set back is no reason for silence.
    assert told == [name, (), (), name, (), name]


def test_what_was_said_is_remembered_within_bounds():
    recent = Recent(10, capacity=2)
    assert [recent.is_due((name,), 0) for name in "aabcb"] == [True, False, True, True, False]  # fmt: skip
    assert recent.is_due(("a",), 0)


def asking(ask: Ask, size: int = 0) -> Asking:
    return Asking(
        "acme", "", "c", "openai", "openai", "https://api.openai.com", ask, 10**15, size
    )


def test_only_block_refuses_and_only_what_nobody_knows():
    ask = replace(ASK, model="nobody-knows-this")
    table = make_settler().book.table
    for policy in ("assume", "allow", "block"):
        settler = make_settler(PriceBook(table, (), Unpriced(policy)))
        assert settler.quote(asking(ask)).is_refused is (policy == "block")
        assert not settler.quote(asking(ASK)).is_refused


def test_a_quote_says_what_a_call_will_cost():
    settler = make_settler()
    quote = settler.quote(asking(replace(ASK, model="gpt-4o", input_chars=4000)))
    assert (quote.input_tokens, quote.window_tokens) == (1000, 128_000)
    assert quote.price == Price(2_500_000, 10_000_000)
    assert settler.quote(asking(replace(ASK, input_chars=0), 400)).input_tokens == 100
    assert settler.quote(asking(replace(ASK, kind=Kind.TOOL))) == Quote()


def test_counted_answers_teach_the_estimates_of_later_ones():
    settler, text = make_settler(), "The quick brown fox jumps over it. " * 20
    cut = Reading(output_text=text, output_chars=len(text), expects_terminal=True)
    before = settler.settle(exchange(), ASK, cut, Outcome.CLIENT_ABORT).usage
    told = Usage(input=300, output=400)
    for _ in range(20):
        counted = replace(cut, usage=told, terminal=True)
        settler.settle(exchange(), ASK, counted, Outcome.COMPLETED)
    after = settler.settle(exchange(), ASK, cut, Outcome.CLIENT_ABORT).usage
    assert before.output is not None
    assert after.output is not None
    assert before.output * 1.5 < after.output <= 400
    assert (after.input or 0) > (before.input or 0)
