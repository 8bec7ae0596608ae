"""The page about policies says what the settings are, key by key."""

import json
from pathlib import Path

import msgspec
import pytest
from msgspec import NODEFAULT

from proxy.config.policy_checks import check_policies
from proxy.config.reading import check_value, read_yaml
from proxy.judge.budgets import BudgetSettings
from proxy.judge.settings import PolicySettings

PAGE = (Path(__file__).parents[3] / "docs" / "policies.md").read_text(encoding="utf-8")


def told(title: str) -> dict[str, object]:
    """Give keys and defaults of the table below a title."""
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:3] for line in section.splitlines() if line.startswith("| `")]  # fmt: skip
    return {key.strip(" `"): _value(default.strip(" `")) for key, default in rows}


def _value(text: str) -> object:
    if not text:
        return NODEFAULT
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def defaults(section: msgspec.Struct, path: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for name in section.__struct_fields__:
        value = getattr(section, name)
        if isinstance(value, msgspec.Struct):
            found |= defaults(value, f"{path}{name}.")
        else:
            found[path + name] = list(value) if isinstance(value, tuple) else value
    return found


def test_the_page_names_each_setting_with_its_default():
    assert told("Settings") == defaults(PolicySettings())


def test_the_page_names_each_setting_of_a_budget():
    fields = {field.name: field.default for field in msgspec.structs.fields(BudgetSettings)}  # fmt: skip
    assert told("Budgets") == {name: list(each) if isinstance(each, tuple) else each for name, each in fields.items()}  # fmt: skip


def test_the_page_s_example_can_be_used():
    example = PAGE.partition("```yaml\n")[2].partition("```")[0]
    document = read_yaml(example)
    check_value(document["policies"], PolicySettings, "policies")
    check_policies(msgspec.convert(document["policies"], PolicySettings), ())


@pytest.mark.parametrize("policy", ["caps", "spend_rate", "repeat", "cycle", "same_error", "no_progress", "tool_calls"])  # fmt: skip
def test_by_default_policies_observe(policy: str):
    assert getattr(PolicySettings(), policy).mode == "observe"


def test_by_default_the_backstop_enforces():
    backstop = PolicySettings().backstop
    assert (backstop.mode, backstop.cost_usd, backstop.steps) == ("enforce", 100.0, 1000)  # fmt: skip


@pytest.mark.parametrize("policy", ["backstop", "caps", "spend_rate", "repeat", "cycle", "same_error", "no_progress", "tool_calls"])  # fmt: skip
def test_whatever_a_policy_says_of_all_can_be_said_of_some(policy: str):
    settings = getattr(PolicySettings(), policy)
    override = next(field.type for field in msgspec.structs.fields(settings) if field.name == "when").__args__[0]  # fmt: skip
    missing = set(settings.__struct_fields__) - set(override.__struct_fields__)
    # A series is as long as these say, for all who share it.
    assert missing <= {"when", "max_period", "window"}
