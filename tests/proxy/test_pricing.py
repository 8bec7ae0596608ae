"""Which table is used, and what the settings make of it."""

from pathlib import Path

import msgspec
import pytest

from proxy.config import PriceRule, Settings, UnpricedSettings
from proxy.errors import SettingsError
from proxy.meter.prices import PriceTable
from proxy.meter.rates import Billed
from proxy.meter.terms import Place
from proxy.model import Usage
from proxy.pricing import build_book, find_table, table_path

SHIPPED = PriceTable.load()


def table_of(version: str = "new", instead_of: str = SHIPPED.version) -> bytes:
    model = {"id": "m", "is": "=m", "prices": [{"usd": {"input": "7"}}]}
    providers = [{"id": "p", "models": [model]}]
    return msgspec.json.encode(
        {"version": version, "instead_of": instead_of, "providers": providers}
    )


def put(data_dir: Path, data: bytes) -> None:
    path = table_path(str(data_dir))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_without_a_download_the_releases_own_table_is_used(tmp_path: Path):
    table, trouble = find_table(str(tmp_path))
    assert (table.version, trouble) == (SHIPPED.version, "")


def test_a_downloaded_table_is_used_instead(tmp_path: Path):
    put(tmp_path, table_of())
    table, trouble = find_table(str(tmp_path))
    assert (table.version, trouble) == ("new", "")


def test_a_table_that_was_downloaded_under_another_release_is_left_alone(
    tmp_path: Path,
):
    put(tmp_path, table_of(instead_of="genai-prices-0.1"))
    table, trouble = find_table(str(tmp_path))
    assert table.version == SHIPPED.version
    assert "tacho prices update" in trouble


BROKEN = {
    "no JSON": b"not a table",
    "cut short": table_of()[:-9],
    "no models": b'{"version":"v","providers":[]}',
    "a model that is none": table_of().replace(b'"=m"', b'"~("'),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_table_keeps_the_one_in_use_and_is_told_of(
    tmp_path: Path, data: bytes
):
    put(tmp_path, data)
    current = PriceTable.parse(table_of("current"))
    for before, version in ((current, "current"), (None, SHIPPED.version)):
        table, trouble = find_table(str(tmp_path), before)
        assert table.version == version
        assert "price_table.json" in trouble


def test_a_table_that_cannot_be_read_keeps_the_one_in_use(tmp_path: Path):
    table_path(str(tmp_path)).mkdir(parents=True)
    table, trouble = find_table(str(tmp_path))
    assert table.version == SHIPPED.version
    assert "cannot be read" in trouble


def test_rules_and_assumed_rates_are_taken_as_they_were_written():
    settings = Settings(
        prices=(PriceRule("openai", "gpt-4o", rates={"input": 0.1}, multiply=3.0),),
        unpriced=UnpricedSettings("assume", 1e-7, 25.0),
    )
    book = build_book(settings, SHIPPED)
    billed = Billed(Usage(input=1_000_000))
    assert book.price(Place("openai", "gpt-4o"), billed).input == 3 * 10**11
    unknown = book.price(Place("openai", "nobody-knows-this"), billed)
    assert unknown.price_version == "assumed-0.0000001-25"
    assert unknown.input == 10**5


@pytest.mark.parametrize(
    ("provider", "model", "rates"),
    [
        ("openai", "my-finetune", {"cache_read": 1.0}),
        ("", "nobody-knows-*", {"cache_read": 1.0, "input_audio": 2.0}),
        ("vllm", "qwen*", {"cache_read": 0.1}),
        ("", "my-model", {"cache_read": 1.0, "web_searches_kcount": 5.0}),
    ],
)
def test_a_rule_that_would_give_tokens_away_is_refused(
    provider: str, model: str, rates: dict[str, float]
):
    rule = PriceRule(provider=provider, model=model, rates=rates)
    with pytest.raises(SettingsError, match=r"prices\[0\]\.rates: names cache_read"):
        build_book(Settings(prices=(rule,)), SHIPPED)


@pytest.mark.parametrize(
    ("provider", "model", "rates"),
    [
        ("openai", "gpt-4o-2024-08-06", {"cache_read": 1.0}),
        ("", "claude-sonnet-4-5", {"cache_read": 1.0}),
        ("gemini", "gemini-2.5*", {"cache_read": 1.0}),
        ("openai", "my-finetune", {"input": 1.0, "cache_read": 1.0}),
        ("cohere", "rerank-9*", {"rerank_searches_kcount": 2.0}),
    ],
)
def test_a_rule_may_change_what_a_table_knows_and_price_what_is_no_token(
    provider: str, model: str, rates: dict[str, float]
):
    rule = PriceRule(provider=provider, model=model, rates=rates)
    build_book(Settings(prices=(rule,)), SHIPPED)
