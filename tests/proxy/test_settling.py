"""Which exchanges cost anything, and what."""

from typing import Any

import pytest

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
from proxy.settling import Settler
from tests.helpers.pipelines import make_settler

OPEN = Open("a1", "s1", 1_750_000_000_000_000, "here", "acme", provider="openai")
ASK = Ask("openai_chat", "chat", Kind.LLM, True, model="gpt-4o", input_chars=400)
ANSWER = Reading(
    model="gpt-4o", usage=Usage(input=1_000_000, output=0), expects_terminal=True, terminal=True
)  # fmt: skip
NOTHING = Settlement()


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
    assert settled.usage.input == (100 if source == "estimated" else None)


@pytest.mark.parametrize("status", [301, 400, 429, 500, 529])
def test_an_answer_that_is_no_success_costs_nothing(status: int, settler: Settler):
    settled = settler.settle(exchange(status), ASK, Reading(), Outcome.REJECTED)
    assert settled == NOTHING


def test_a_cut_stream_is_filled_up(settler: Settler):
    cut = Reading(model="gpt-4o", expects_terminal=True, output_chars=40)
    settled = settler.settle(exchange(), ASK, cut, Outcome.UPSTREAM_ABORT)
    assert settled.source is UsageSource.ESTIMATED
    assert (settled.usage.input, settled.usage.output) == (100, 10)
    assert settled.cost.source is CostSource.COMPUTED


def test_an_unknown_model_costs_what_is_assumed(settler: Settler):
    unknown = Reading(model="nobody-knows-this", usage=Usage(input=1_000_000))
    settled = settler.settle(exchange(), ASK, unknown, Outcome.COMPLETED)
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
        assert settler.settle(exchange(), again, answer, Outcome.COMPLETED) == NOTHING
