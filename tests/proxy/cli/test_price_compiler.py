"""The compiler takes what genai-prices publishes, and refuses anything else with the place where it is wrong."""

import json
from decimal import Decimal
from typing import Any

import pytest

from proxy.cli.price_compiler import PriceDataError, compile_table, parse
from proxy.meter.prices import PriceTable
from scripts.compile_prices import published

MODEL: dict[str, Any] = {
    "id": "m",
    "match": {"or": [{"equals": "M"}, {"and": [{"starts_with": "a"}, {"regex": "^A"}]}]},
    "context_window": 7,
    "prices": [
        {"prices": {"input_mtok": {"base": 0.1, "tiers": [{"start": 9, "price": 3}, {"start": 5, "price": 2}]}}},
        {"constraint": {"start_date": "2026-01-02"}, "prices": {"input_mtok": 1e-7, "output_mtok": None}},
        {"constraint": {"start_time": "23:30:00+02:00", "end_time": "01:00:00Z"}, "prices": {"hats_kcount": 4}},
    ],
    "price_variants": [{"when": {"service_tier": "flex"}, "prices": {"requests_kcount": 12.50}}],
    "price_comments": "not needed",
}  # fmt: skip
PROVIDER: dict[str, Any] = {
    "id": "p",
    "name": "P",
    "provider_match": {"ends_with": "P"},
    "model_match": {"contains": "M"},
    "fallback_model_providers": ["q"],
    "models": [MODEL],
}


def compiled(*providers: Any) -> Any:
    return compile_table(parse(json.dumps(providers).encode()), "test", "old")


def test_each_clause_price_and_time_is_written_as_the_table_has_it():
    done = compiled(PROVIDER)
    table = json.loads(done.data)
    assert (done.models, done.varied, done.unknown_units) == (1, 1, {"hats_kcount"})
    assert table["version"] == done.version
    assert done.version.startswith("test+")
    assert table["instead_of"] == "old"
    (provider,) = table["providers"]
    (model,) = provider.pop("models")
    assert provider == {
        "id": "p",
        "is": "$p",
        "models_like": "*m",
        "falls_back_to": ["q"],
    }
    assert model == {
        "id": "m",
        "is": ["=m", {"all": ["^a", "~^A"]}],
        "window": 7,
        "prices": [
            {"usd": {"input": ["0.1", [[5, "2"], [9, "3"]]]}},
            {"from": "2026-01-02", "usd": {"input": "0.0000001"}},
            {"daily": ["21:30:00", "01:00:00"], "usd": {"hats_kcount": "4"}},
        ],
        "variants": [
            {"when": {"service_tier": "flex"}, "usd": {"requests_kcount": "12.5"}}
        ],
    }


def test_what_the_package_would_publish_becomes_the_table_that_is_made_of_it():
    text = json.dumps(published(), default=float).encode()
    providers = compile_table(parse(text), "x").data.partition(b"\n")[2]
    shipped = compile_table(published(), "x").data.partition(b"\n")[2]
    assert providers == shipped
    assert PriceTable.parse(compile_table(parse(text), "x").data).read_whole() > 1000


def test_the_list_may_stand_in_an_object():
    assert parse(b'{"units":{},"providers":[1]}') == [1]


def changed(**changes: Any) -> Any:
    return {**PROVIDER, "models": [{**MODEL, **changes}]}


WRONG = {
    "no list": ({}, "no list of providers"),
    "nothing": ([], "no list of providers"),
    "no provider": ([3], "3: "),
    "no models": ([{"id": "p"}], "p: KeyError: 'models'"),
    "an id that is none": ([{"id": 3, "models": []}], "is no text"),
    "no prices": ([changed(prices=None)], "p: m: "),
    "a price that is none": ([changed(prices={"input_mtok": "free"})], "p: m: the price 'free' is no number"),
    "a list as a price": ([changed(prices={"input_mtok": []})], "p: m: "),
    "a negative price": ([changed(prices={"input_mtok": -1})], "p: m: the price -1 is no amount"),
    "no number": ([changed(prices={"input_mtok": "NaN"})], "is no amount"),
    "too fine a price": ([changed(prices={"input_mtok": "0.0000000000000000001"})], "more than 18 decimals"),
    "an unknown clause": ([changed(match={"sounds_like": "m"})], "p: m: KeyError: 'sounds_like'"),
    "two clauses": ([changed(match={"equals": "m", "contains": "m"})], "p: m: ValueError"),
    "no date": ([changed(prices=[{"constraint": {"start_date": "soon"}, "prices": {}}])], "p: m: ValueError"),
}  # fmt: skip


@pytest.mark.parametrize(("said", "reason"), WRONG.values(), ids=WRONG.keys())
def test_what_is_not_price_data_is_refused_with_its_place(said: Any, reason: str):
    with pytest.raises(PriceDataError) as refused:
        compile_table(parse(json.dumps(said).encode()), "test")
    assert reason in str(refused.value)


@pytest.mark.parametrize("text", [b"", b"<html>", b"[" * 100_000, b'[{"id":'])
def test_what_is_no_json_is_refused(text: bytes):
    with pytest.raises(PriceDataError):
        parse(text)


def test_prices_keep_all_their_digits():
    said = b'[{"id":"p","models":[{"id":"m","match":{"equals":"m"},"prices":{"input_mtok":0.100000000000000001}}]}]'
    assert b'"input":"0.100000000000000001"' in compile_table(parse(said), "x").data
    assert isinstance(parse(said)[0]["models"][0]["prices"]["input_mtok"], Decimal)
