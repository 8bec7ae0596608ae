"""`tacho prices` says what this installation charges, and updates it."""

import json
from pathlib import Path

import pytest

from proxy.cli.main import main
from proxy.meter.prices import PriceTable
from proxy.pricing import table_path

DATA = json.dumps(
    [{"id": "p", "models": [{"id": "m", "match": {"equals": "m"}, "prices": {"input_mtok": 2, "hats_kcount": 1}}]}]
)  # fmt: skip
RULES = """
data_dir: data
prices:
  - {provider: openai, model: gpt-4o, tenant: acme, rates: {input: 2}, multiply: 0.5}
  - {provider: vllm, rates: {input: 0.1, output: 0.2}}
"""
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tachograph.yaml").write_text(RULES)


def test_a_model_is_shown_with_steps_times_and_tiers(capsys: Capture):
    assert main(["prices", "show", "claude-sonnet-4-5", "--provider", "anthropic"]) == 0
    text = capsys.readouterr().out
    assert "of anthropic: computed by genai-prices-" in text
    assert "3, beyond 200000 input tokens 6" in text
    assert "processing: batch, from 2026-10-14 (UTC)" in text
    assert main(["prices", "show", "deepseek-chat", "--provider", "deepseek"]) == 0
    assert main(["prices", "show", "whisper-large-v3", "--provider", "groq"]) == 0
    assert "10 seconds at least" in capsys.readouterr().out


def test_a_price_that_holds_for_hours_says_which(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
):
    data = b"""{"version":"v","providers":[{"id":"p","models":[{"id":"m","is":"*m","prices":[{"usd":{"input":"2"}},
        {"daily":["16:30:00","00:30:00"],"usd":{"input":"1"}}]}]}]}"""
    table = PriceTable.parse(data)
    monkeypatch.setattr("proxy.pricing.find_table", lambda *_: (table, ""))
    assert main(["prices", "show", "my-m", "--provider", "p"]) == 0
    text = capsys.readouterr().out
    assert "my-m of p, known as m: computed by v" in text
    assert "daily 16:30:00 to 00:30:00 (UTC)" in text


def test_rules_of_the_settings_count(capsys: Capture):
    shown = []
    for tenant in ("acme", "other"):
        words = ["--route", "openai", "--tenant", tenant, "--json"]
        assert main(["prices", "show", "gpt-4o", *words]) == 0
        shown.append(json.loads(capsys.readouterr().out))
    assert [each["prices"][0]["usd"]["input"] for each in shown] == ["1", "2.5"]
    assert shown[0]["price_version"].startswith(shown[1]["price_version"] + "+")
    assert shown[0]["known_as"] == "gpt-4o"
    assert main(["prices", "show", "qwen", "--provider", "vllm"]) == 0
    assert "computed by settings+" in capsys.readouterr().out


def test_rules_that_name_a_provider_are_mentioned_where_none_is_named(capsys: Capture):
    assert main(["prices", "show", "gpt-4o"]) == 0
    assert "add --provider or --route" in capsys.readouterr().out
    assert main(["prices", "show", "gpt-4o", "--provider", "openai"]) == 0
    assert "add --provider" not in capsys.readouterr().out


def test_a_self_hosted_model_costs_nothing_known(capsys: Capture):
    assert main(["prices", "show", "llama3", "--provider", "ollama"]) == 0
    assert "unpriced, its cost is NULL" in capsys.readouterr().out
    assert main(["prices", "show", "llama3", "--provider", "ollama", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["cost_source"], said["prices"]) == ("unpriced", [])


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["gpt-4oo", "--provider", "openai"], "did you mean gpt-4o"),
        (["gpt-4oo"], "did you mean gpt-4o"),
        (["qqqqqqqqqqqq"], "nothing is named alike. Else name --provider"),
    ],
)
def test_an_unknown_model_is_1_with_names_like_it(
    words: list[str], hint: str, capsys: Capture
):
    assert main(["prices", "show", *words]) == 1
    said = capsys.readouterr()
    assert "assumed by assumed-5-25" in said.out
    assert hint in said.err


def test_an_unknown_route_is_1(capsys: Capture):
    assert main(["prices", "show", "gpt-4o", "--route", "nope"]) == 1
    assert "there is no route nope" in capsys.readouterr().err


def test_providers_and_their_models_are_listed(capsys: Capture):
    assert main(["prices", "show"]) == 0
    assert "openai" in capsys.readouterr().out
    assert main(["prices", "show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["providers"]["openai"] > 50
    assert main(["prices", "show", "--provider", "gemini"]) == 0
    assert "gemini-2.5-pro" in capsys.readouterr().out.splitlines()
    assert main(["prices", "show", "--provider", "openai", "--json"]) == 0
    assert "gpt-4o" in json.loads(capsys.readouterr().out)["models"]
    assert main(["prices", "show", "--provider", "opnai"]) == 1
    assert "there are openai" in capsys.readouterr().err


def test_an_update_is_what_is_shown_from_then_on(tmp_path: Path, capsys: Capture):
    (tmp_path / "data.json").write_text(DATA)
    assert main(["prices", "update", "--from", "data.json"]) == 0
    text = capsys.readouterr().out
    for words in ("1 models", "hats_kcount", "-> genai-prices-update+", "SIGHUP"):
        assert words in text
    assert main(["prices", "show", "m", "--provider", "p"]) == 0
    assert "computed by genai-prices-update+" in capsys.readouterr().out
    assert main(["prices", "update", "--from", "data.json", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["models"], said["unknown_units"]) == (1, ["hats_kcount"])
    assert said["before"] == said["version"]


def test_an_update_that_fails_is_1_and_a_broken_table_is_told_of(
    tmp_path: Path, capsys: Capture
):
    (tmp_path / "data.json").write_text("{}")
    assert main(["prices", "update", "--from", "data.json"]) == 1
    assert "stay as they are" in capsys.readouterr().err
    path = table_path("data")
    path.parent.mkdir(parents=True)
    path.write_text("broken")
    assert main(["prices", "show", "gpt-4o"]) == 0
    assert "is no price table" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["show"], ["update"]])
def test_help_has_examples(words: list[str], capsys: Capture):
    with pytest.raises(SystemExit) as left:
        main(["prices", *words, "--help"])
    assert left.value.code == 0
    assert "examples:" in capsys.readouterr().out
