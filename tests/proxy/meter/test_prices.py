"""The table finds what genai-prices finds and charges what it charges, to the pico-dollar."""

import random
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal

import genai_prices
import msgspec
import pytest
from genai_prices.data import providers as theirs

from proxy.meter.prices import MODEL_CHARS, PriceTable, assumed
from proxy.model import Cost, CostSource, Usage

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MOMENTS = (
    NOON,
    datetime(2026, 11, 20, 2, 30, tzinfo=UTC),
    datetime(2025, 1, 1, tzinfo=UTC),
    datetime(2030, 6, 1, tzinfo=UTC),
)
BUCKETS = Usage.__struct_fields__
MIXES = (
    *(Usage(**{bucket: count}) for bucket in BUCKETS for count in (777, 300_001)),
    Usage(input=1000, output=500),
    Usage(
        input=17,
        cache_read=100_000,
        cache_write=3_333,
        cache_write_long=44,
        output=555,
        reasoning=777,
    ),
    Usage(input=199_999, cache_read=1, output=1),
    Usage(input=200_000, cache_read=1, output=1),
    Usage(input=123_457, cache_read=250_000, cache_write=1, output=98_765, reasoning=1),
    Usage(input=50, audio_in=60, image_in=70, output=80, audio_out=90),
)


@pytest.fixture(scope="module")
def table():
    return PriceTable.load()


def their_price(usage, provider, model, at, context=None):
    """Price with genai-prices, in whose words all input includes what was cached."""
    counts = {name: getattr(usage, name) or 0 for name in BUCKETS}
    inputs = (
        "input",
        "cache_read",
        "cache_write",
        "cache_write_long",
        "audio_in",
        "image_in",
    )
    said = genai_prices.Usage(
        input_tokens=sum(counts[name] for name in inputs),
        cache_read_tokens=counts["cache_read"],
        cache_write_tokens=counts["cache_write"] + counts["cache_write_long"],
        cache_write_1h_tokens=counts["cache_write_long"],
        input_audio_tokens=counts["audio_in"],
        input_image_tokens=counts["image_in"],
        output_tokens=counts["output"] + counts["reasoning"] + counts["audio_out"],
        output_reasoning_tokens=counts["reasoning"],
        output_audio_tokens=counts["audio_out"],
        cache_audio_read_tokens=0,
        cache_image_read_tokens=0,
        cache_audio_write_tokens=0,
        cache_image_write_tokens=0,
    )
    found = genai_prices.calc_price(
        said,
        model,
        provider_id=provider,
        genai_request_timestamp=at,
        price_context=context,
    )
    return found.total_price * 10**12


def micros(at):
    return int(at.timestamp()) * 1_000_000


def assert_same(table, usage, provider, model, at, tier="", context=None):
    cost = table.price(provider, model, usage, micros(at), tier)
    expected = their_price(usage, provider, model, at, context)
    total = cost.total()
    assert total is not None
    if (
        expected == expected.to_integral_value()
        or sum(part is not None for part in cost.parts()) == 1
    ):
        assert total == int(expected.quantize(Decimal(1), rounding=ROUND_HALF_EVEN)), (
            provider,
            model,
            usage,
            at,
            tier,
        )
    else:
        assert abs(total - expected) <= Decimal("0.5") * len(cost.parts()), (
            provider,
            model,
            usage,
            at,
            tier,
        )


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_every_model_of_the_spine_costs_what_genai_prices_says(table, provider):
    models = [
        m for p in theirs if p.id == provider for m in p.models if m.is_match(m.id)
    ]
    assert len(models) > 20
    for model in models:
        for usage in MIXES:
            assert_same(table, usage, provider, model.id, NOON)


def test_every_other_model_costs_what_genai_prices_says(table):
    chance = random.Random(7)
    for provider in theirs:
        for model in provider.models:
            if provider.find_model(model.id, all_providers=theirs):
                assert_same(
                    table,
                    chance.choice(MIXES),
                    provider.id,
                    model.id,
                    chance.choice(MOMENTS),
                )


@pytest.mark.parametrize(
    ("tier", "context"),
    [
        ("flex", {"service_tier": "flex"}),
        ("priority", {"service_tier": "priority"}),
        ("default", {"service_tier": "default"}),
        ("batch", {"processing": "batch"}),
        ("fast", {"service_tier": "fast", "speed": "fast"}),
        ("unheard_of", {"service_tier": "unheard_of"}),
    ],
)
def test_service_tiers_cost_what_genai_prices_says(table, tier, context):
    varied = [
        (p, m)
        for p in theirs
        for m in p.models
        if m.price_variants and m.is_match(m.id)
    ]
    assert len(varied) > 100
    for index, (provider, model) in enumerate(varied):
        at = MOMENTS[index % len(MOMENTS)]
        assert_same(table, MIXES[-5], provider.id, model.id, at, tier, context)


def test_every_model_is_found_under_its_own_name(table):
    for provider in theirs:
        for model in provider.models:
            found = provider.find_model(model.id, all_providers=theirs)
            assert table.model_id(provider.id, model.id) == (found and found.id), (
                provider.id,
                model.id,
            )
            window = found.context_window if found else None
            assert table.context_window(provider.id, model.id) == window
    assert {
        model.id for provider in theirs for model in provider.models
    } == table.models()


@pytest.mark.parametrize(
    ("provider", "model", "found"),
    [
        ("openai", "gpt-4o-2024-08-06", "gpt-4o"),
        ("OpenAI ", "GPT-4o", "gpt-4o"),
        ("anthropic", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("azure", "gpt-4o", "gpt-4o"),
        (
            "bedrock",
            "anthropic.claude-3-haiku-20240307-v1:0",
            "regional.anthropic.claude-3-haiku-20240307-v1:0",
        ),
        ("my-route", "gpt-4o", "gpt-4o"),
        ("my-route", "anthropic/claude-3-haiku", "claude-3-haiku"),
        ("my-route", "nobody/gpt-4o", None),
        ("my-route", "a-model-of-our-own", None),
        ("openai", "claude-3-haiku", None),
        ("openai", "gpt-5.2-20251211", "gpt-5.2"),
        ("openai", "gpt-nothing-20250231", None),
        ("openai", "", None),
        ("", "", None),
        ("vllm", "gpt-4o", None),
        ("openai", "gpt-4o" + "x" * MODEL_CHARS, None),
    ],
)
def test_a_model_is_found_where_it_is_served(table, provider, model, found):
    name = table.model_id(provider, model)
    assert name == found or (
        name is not None and found is not None and name.startswith(found)
    )


def test_an_unknown_model_is_unpriced(table):
    assert table.price("openai", "no-such-model", Usage(input=1), 0) == Cost(
        source=CostSource.UNPRICED
    )
    assert table.context_window("openai", "no-such-model") is None


def test_a_cost_names_its_table(table):
    cost = table.price("openai", "gpt-4o", Usage(input=3), micros(NOON))
    assert (cost.source, cost.price_version) == (CostSource.COMPUTED, table.version)
    assert table.version.startswith("genai-prices-")


def test_a_search_is_a_fee(table):
    cost = table.price(
        "anthropic",
        "claude-sonnet-4-5",
        Usage(input=1),
        micros(NOON),
        uses=(("web_search_requests", 2),),
    )
    assert cost.other == 2 * 10**10


def test_a_fallback_provider_lends_its_prices_but_not_its_tiers(table):
    usage = Usage(input=1000, output=1000)
    ours = table.price("openai", "gpt-5", usage, micros(NOON))
    assert table.price("openai", "gpt-5", usage, micros(NOON), "flex") != ours
    data = b"""{"version":"v","providers":[
        {"id":"lender","models":[{"id":"m","is":"=m","prices":[{"usd":{"input":"2"}}],
            "variants":[{"when":{"service_tier":"flex"},"usd":{"input":"1"}}]}]},
        {"id":"host","falls_back_to":["gone","lender"],"models":[]}]}"""
    small = PriceTable.parse(data)
    assert [
        small.price(name, "m", Usage(input=1), 0, "flex").input
        for name in ("lender", "host")
    ] == [
        10**6,
        2 * 10**6,
    ]


@pytest.mark.parametrize(
    ("rule", "yes", "no"),
    [
        ('"=ab"', "ab", "abc"),
        ('"^ab"', "abc", "cab"),
        ('"$ab"', "cab", "abc"),
        ('"*ab"', "cabc", "ba"),
        ('"~^a.$"', "ab", "abc"),
        ('["=a","=b"]', "b", "c"),
        ('{"all":["^a","$b"]}', "acb", "ac"),
        ("[]", None, "a"),
        ("null", None, "a"),
    ],
)
def test_rules_match_as_marked(rule, yes, no):
    models = f'[{{"id":"m","is":{rule}}}]'
    data = f'{{"version":"v","providers":[{{"id":"p","models":{models}}}]}}'
    small = PriceTable.parse(data.encode())
    assert small.model_id("p", no) is None
    assert yes is None or small.model_id("p", yes) == "m"


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"version":1,"providers":[]}', b"not a table"]
)
def test_what_is_not_a_table_is_refused(data):
    with pytest.raises(msgspec.DecodeError):
        PriceTable.parse(data)


def test_the_price_of_last_resort_comes_from_the_settings_and_says_so():
    usage = Usage(
        input=10, cache_read=20, cache_write=30, output=40, reasoning=50, audio_in=1
    )
    cost = assumed(usage, 5.0, 25.0)
    assert cost.source is CostSource.ASSUMED
    assert cost.parts() == (
        55_000_000,
        100_000_000,
        150_000_000,
        1_000_000_000,
        1_250_000_000,
        None,
    )
    assert assumed(Usage(input=1), 1e-7, 0.0).input == 0
