"""Rules about prices that cannot work stop the start, with the key's path."""

from pathlib import Path

import pytest

from proxy.config import PriceRule, Settings, load, reloadable
from proxy.errors import SettingsError

BAD = {
    "3": "prices: is 3; it must be a list",
    "[3]": "prices[0]: is 3; it must be a mapping",
    "[{}]": "prices[0]: changes nothing; give rates",
    "[{model: x}]": "prices[0]: changes nothing",
    "[{multiply: 2}, {multiply: -1}]": "prices[1].multiply: is -1.0; it must be zero or a positive number",
    "[{multiply: .nan}]": "prices[0].multiply: is nan",
    "[{multiply: .inf}]": "prices[0].multiply: is inf",
    "[{multiply: 1001}]": "prices[0].multiply: is 1001.0; it must be at most 1000",
    "[{rates: {input: -0.1}}]": "prices[0].rates.input: is -0.1; it must be zero or a positive number",
    "[{rates: {input: .nan}}]": "prices[0].rates.input: is nan",
    "[{rates: {input: 2000000}}]": "prices[0].rates.input: is 2000000.0; it must be at most",
    "[{rates: {input: free}}]": "prices[0].rates.input: is 'free'; it must be a number",
    "[{rates: {inptu: 1}}]": "prices[0].rates: is 'inptu'; it must be a unit of prices, as input",
    "[{rates: {'': 1}}]": "prices[0].rates: is ''; it must be a unit of prices, as input, output",
    "[{modle: x}]": "prices[0].modle: there is no such key; did you mean model?",
    "[{model: '', multiply: 2}]": "prices[0].model: is ''",
    "[{tenant: 'a b', multiply: 2}]": "prices[0].tenant: is 'a b'",
    "[{route: nope, multiply: 2}]": "prices[0].route: is 'nope'; it must be one of openai",
}


def settings_of(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "tachograph.yaml"
    path.write_text(text)
    return load(str(path), {})


@pytest.mark.parametrize(("rules", "said"), BAD.items(), ids=BAD.keys())
def test_a_bad_rule_is_refused_with_its_key(tmp_path: Path, rules: str, said: str):
    with pytest.raises(SettingsError) as refused:
        settings_of(tmp_path, f"prices: {rules}")
    assert said in str(refused.value)


def test_good_rules_are_read_in_order(tmp_path: Path):
    text = """
prices:
  - {provider: openai, model: "gpt-4o*", rates: {input: 2, cache_read: 0, web_searches_kcount: 9.5}}
  - {route: anthropic, tenant: acme, multiply: 0.8}
  - {provider: vllm, multiply: 0}
"""
    assert settings_of(tmp_path, text).prices == (
        PriceRule("openai", "gpt-4o*", rates={"input": 2.0, "cache_read": 0.0, "web_searches_kcount": 9.5}),
        PriceRule(route="anthropic", tenant="acme", multiply=0.8),
        PriceRule("vllm", multiply=0.0),
    )  # fmt: skip


def test_prices_take_effect_without_a_restart():
    assert reloadable(Settings(), Settings(prices=(PriceRule(multiply=2.0),))) == []


def test_the_policy_for_unknown_models_is_one_of_three(tmp_path: Path):
    assert settings_of(tmp_path, "unpriced: {policy: block}").unpriced.policy == "block"
    with pytest.raises(SettingsError, match="one of assume, allow, block"):
        settings_of(tmp_path, "unpriced: {policy: deny}")
