"""Which terms hold for a call: the table's, a rule's, those for unknown models, or none."""

import json

import pytest

from proxy.meter.book import PriceBook, Unpriced
from proxy.meter.prices import PriceTable
from proxy.meter.rates import Billed
from proxy.meter.terms import Change, Place, Rule
from proxy.model import Cost, CostSource, Usage

NOON_US = 1_795_000_000_000_000
MTOK = Billed(Usage(input=1_000_000, output=1_000_000), at_us=NOON_US)
USD = 10**12
GPT = Place("openai", "gpt-4o-2024-08-06", "acme", "openai")
UNKNOWN = Place("openai", "nobody-knows-this")


@pytest.fixture(scope="module")
def table():
    return PriceTable.load()


def usd(cost):
    assert cost.total() is not None
    return cost.total() / USD


def test_a_cost_names_its_table(table):
    cost = PriceBook(table).price(GPT, MTOK)
    assert (cost.source, cost.price_version) == (CostSource.COMPUTED, table.version)
    assert usd(cost) == 12.5
    assert table.version.startswith("genai-prices-")


def test_a_search_is_a_fee(table):
    billed = Billed(Usage(input=1), uses=(("web_search_requests", 2),), at_us=NOON_US)
    cost = PriceBook(table).price(Place("anthropic", "claude-sonnet-4-5"), billed)
    assert cost.other == 2 * 10**10


def test_a_rule_changes_the_price_and_its_version(table):
    rule = Rule(Change({"input": "2"}, "0.5"), provider="openai", model="gpt-4o")
    cost = PriceBook(table, [rule]).price(GPT, MTOK)
    assert usd(cost) == 6.0
    assert cost.price_version == f"{table.version}+{rule.change.tag}"
    others = PriceBook(table, [rule]).price(Place("openai", "gpt-5"), MTOK)
    assert others.price_version == table.version


def test_the_first_rule_that_fits_counts_alone(table):
    rules = [
        Rule(Change(factor="2"), tenant="acme"),
        Rule(Change(factor="10")),
    ]
    book = PriceBook(table, rules)
    assert usd(book.price(GPT, MTOK)) == 25.0
    assert usd(book.price(Place("openai", "gpt-4o", "other"), MTOK)) == 125.0


def test_a_rule_prices_what_no_table_knows(table):
    rule = Rule(Change({"input": "1", "output": "3"}), model="*this")
    terms = PriceBook(table, [rule]).terms(UNKNOWN)
    assert (terms.source, terms.is_unknown) == (CostSource.COMPUTED, False)
    cost = PriceBook(table, [rule]).price(UNKNOWN, MTOK)
    assert (usd(cost), cost.price_version) == (4.0, f"settings+{rule.change.tag}")


def test_a_factor_alone_prices_nothing_that_has_no_price(table):
    book = PriceBook(table, [Rule(Change(factor="2"))])
    assert book.price(UNKNOWN, MTOK).source is CostSource.ASSUMED
    assert book.price(Place("ollama", "llama3"), MTOK).source is CostSource.UNPRICED


@pytest.mark.parametrize("policy", ["assume", "block"])
def test_an_unknown_model_costs_what_the_settings_assume_and_says_so(table, policy):
    book = PriceBook(table, (), Unpriced(policy, "1.50", "0"))
    cost = book.price(UNKNOWN, MTOK)
    assert (cost.source, cost.price_version) == (CostSource.ASSUMED, "assumed-1.5-0")
    assert usd(cost) == 1.5 == usd(book.assume(MTOK))
    assert book.terms(UNKNOWN).is_unknown


def test_assumed_rates_are_for_all_input_and_all_output(table):
    usage = Usage(
        input=10, cache_read=20, cache_write=30, output=40, reasoning=50, audio_in=1
    )
    cost = PriceBook(table).price(UNKNOWN, Billed(usage))
    assert cost.parts() == (
        55_000_000,
        100_000_000,
        150_000_000,
        1_000_000_000,
        1_250_000_000,
        None,
    )


def test_an_unknown_model_may_go_without_a_price(table):
    book = PriceBook(table, (), Unpriced("allow"))
    assert book.price(UNKNOWN, MTOK) == Cost(source=CostSource.UNPRICED)
    assert book.terms(UNKNOWN).is_unknown


@pytest.mark.parametrize("policy", ["assume", "allow", "block"])
def test_nobody_bills_a_self_hosted_model(table, policy):
    book = PriceBook(table, (), Unpriced(policy))
    place = Place("vLLM", "gpt-4o")
    assert book.price(place, MTOK) == Cost(source=CostSource.UNPRICED)
    assert not book.terms(place).is_unknown


def test_the_settings_can_price_a_self_hosted_model(table):
    rule = Rule(Change({"input": "0.1"}), provider="vllm")
    cost = PriceBook(table, [rule]).price(Place("vllm", "qwen"), MTOK)
    assert (cost.source, usd(cost)) == (CostSource.COMPUTED, 0.1)


def test_a_fallback_provider_lends_no_service_tiers():
    data = b"""{"version":"v","providers":[
        {"id":"lender","models":[{"id":"m","is":"=m","prices":[{"usd":{"input":"2"}}],
            "variants":[{"when":{"service_tier":"flex"},"usd":{"input":"1"}}]}]},
        {"id":"host","falls_back_to":["lender"],"models":[]}]}"""
    book = PriceBook(PriceTable.parse(data))
    flex = Billed(Usage(input=1), service_tier="flex")
    found = [book.price(Place(name, "m"), flex).input for name in ("lender", "host")]
    assert found == [10**6, 2 * 10**6]


@pytest.mark.parametrize(
    ("tier", "rate"), [("batch", 1), ("fast", 9), ("", 2), ("x", 2)]
)
def test_batches_and_fast_mode_are_tiers_on_the_wire(tier, rate):
    data = b"""{"version":"v","providers":[{"id":"p","models":[{"id":"m","is":"=m","prices":[{"usd":{"input":"2"}}],
        "variants":[{"when":{"processing":"batch"},"usd":{"input":"1"}},{"when":{"speed":"fast"},"usd":{"input":"9"}}]}]}]}"""
    book = PriceBook(PriceTable.parse(data))
    billed = Billed(Usage(input=1), service_tier=tier)
    assert book.price(Place("p", "m"), billed).input == rate * 10**6


@pytest.mark.parametrize(("seconds", "billed"), [(0, 0), (3, 10), (10, 10), (11, 11)])
def test_groq_bills_ten_seconds_of_audio_at_least(table, seconds, billed):
    place = Place("groq", "whisper-large-v3")
    uses = (("input_audio_seconds", seconds), ("web_search", 1))
    cost = PriceBook(table).price(place, Billed(Usage(), uses=uses))
    assert cost.other == round(billed * 111 * 10**9 / 3600)


@pytest.mark.parametrize("place", [GPT, UNKNOWN])
def test_where_nothing_that_is_billed_has_a_price_nothing_is_claimed(table, place):
    billed = Billed(Usage(), uses=(("search_units", 3),))
    assert PriceBook(table).price(place, billed) == Cost(source=CostSource.UNPRICED)


def test_terms_are_written_down_as_they_are(table):
    said = json.loads(PriceBook(table).terms(GPT).as_json())
    assert said["model"] == "gpt-4o"
    assert said["prices"][0]["usd"]["input"] == "2.5"
    whisper = PriceBook(table).terms(Place("groq", "whisper-large-v3")).as_json()
    assert json.loads(whisper)["least_seconds"] == 10
    assumed = json.loads(PriceBook(table).terms(UNKNOWN).as_json())
    assert assumed == {"prices": [{"usd": {"input": "5", "output": "25"}}]}


@pytest.mark.parametrize("tier", ["", "flex", "batch"])
@pytest.mark.parametrize("tokens", [0, 1, 999, 150_000, 250_000])
def test_text_alone_costs_what_the_whole_account_says(table, tokens: int, tier: str):
    fee = Rule(
        Change({"input": "1", "output": "3", "requests_kcount": "7"}), model="fee"
    )
    book = PriceBook(table, [fee], Unpriced("allow"))
    names = [("anthropic", "claude-sonnet-4-5"), ("openai", "gpt-5"), ("google", "gemini-2.5-pro"), ("openai", "fee"), ("openai", "nobody-knows-this")]  # fmt: skip
    for place in (Place(provider, model) for provider, model in names):
        billed = Billed(Usage(input=tokens, output=1000), at_us=NOON_US, service_tier=tier)  # fmt: skip
        cost = book.price(place, billed)
        said = ((cost.input or 0) + (cost.other or 0), cost.output or 0)
        assert book.price_of_text(place, NOON_US, tier, tokens, 1000) == said
