"""Models are found where genai-prices finds them, and a table that is none is refused."""

import re

import msgspec
import pytest
from genai_prices.data import providers as theirs

from proxy.meter.prices import MODEL_CHARS, PriceTable


@pytest.fixture(scope="module")
def table():
    return PriceTable.load()


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
        ("gemini", "gemini-2.5-pro", "gemini-2.5-pro"),
        ("xai", "grok-3", "grok-3"),
        ("vertex", "claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("openai", "gpt-4o" + "x" * MODEL_CHARS, None),
    ],
)
def test_a_model_is_found_where_it_is_served(table, provider, model, found):
    name = table.model_id(provider, model)
    assert name == found or (
        name is not None and found is not None and name.startswith(found)
    )


def test_an_unknown_model_has_no_window(table):
    assert table.find("openai", "no-such-model") is None
    assert table.context_window("openai", "no-such-model") is None


def test_a_fallback_provider_lends_its_prices_and_is_not_taken_for_their_owner():
    data = b"""{"version":"v","providers":[
        {"id":"lender","models":[{"id":"m","is":"=m","prices":[{"usd":{"input":"2"}}]}]},
        {"id":"host","falls_back_to":["gone","lender"],"models":[]}]}"""
    small = PriceTable.parse(data)
    found = [small.find(name, "m") for name in ("lender", "host")]
    assert [entry and entry.own for entry in found] == [True, False]


def test_all_names_and_rules_can_be_read_at_once(table):
    names = table.names()
    assert "gpt-4o" in names["openai"]
    assert table.read_whole() == sum(map(len, names.values())) > 1000


@pytest.mark.parametrize("match", ['"~("', '{"any":[]}', "7"])
def test_a_rule_that_is_none_shows_when_all_is_read(match):
    models = f'[{{"id":"m","is":{match}}}]'
    data = f'{{"version":"v","providers":[{{"id":"p","models":{models}}}]}}'
    with pytest.raises((re.error, KeyError, TypeError)):
        PriceTable.parse(data.encode()).read_whole()


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
