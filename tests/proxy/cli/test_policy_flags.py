"""`--caps` and `--set`: what they change, and which key is named where they do not fit."""

import msgspec
import pytest

from proxy.cli.policy_flags import policies_of
from proxy.config import RouteSettings, Settings
from proxy.errors import SettingsError
from proxy.judge.caps import CapLimits
from proxy.judge.settings import PolicySettings

BUDGET = {"name": "team", "per": "tenant", "period": "day", "cost_usd": 5}
SETTINGS = Settings(
    routes={"openai": RouteSettings(url="https://api.openai.com")},
    policies=msgspec.convert({"budgets": [BUDGET], "caps": {"cost_usd": 7, "when": [{"agent": "a", "steps": 3}]}}, PolicySettings),
)  # fmt: skip


def test_without_flags_they_stay_as_they_are():
    assert policies_of(SETTINGS, [], []) == SETTINGS.policies


def test_caps_are_those_of_the_settings():
    found = policies_of(SETTINGS, ["steps=20, turn.tokens=9000", "cost_usd=null,session.cost_usd=0.5"], [])  # fmt: skip
    caps = found.caps
    assert (caps.steps, caps.cost_usd, caps.turn) == (20, None, CapLimits(steps=250, tokens=9000))  # fmt: skip
    assert caps.session.cost_usd == 0.5
    assert caps.when == SETTINGS.policies.caps.when
    assert (found.budgets, caps.mode) == (SETTINGS.policies.budgets, "observe")


def test_who_names_a_cap_asks_caps_also_where_they_are_off():
    assert policies_of(SETTINGS, ["mode=off,steps=3"], []).caps.mode == "off"
    off = msgspec.structs.replace(SETTINGS, policies=policies_of(SETTINGS, [], ["caps.mode=off"]))  # fmt: skip
    assert policies_of(off, ["steps=3"], []).caps.mode == "observe"
    assert policies_of(off, [], []).caps.mode == "off"


def test_any_key_of_the_policies_can_be_set():
    given = ["policies.repeat.block=6", "cycle.mode=off", "budgets[0].cost_usd=9", "strict=true", "caps.when[0].steps=null"]  # fmt: skip
    found = policies_of(SETTINGS, [], given)
    assert (found.repeat.block, found.cycle.mode, found.strict) == (6, "off", True)
    assert (found.budgets[0].cost_usd, found.caps.when[0].steps) == (9, None)
    listed = policies_of(SETTINGS, [], ["budgets=[{name: b, per: agent, period: hour, steps: 3}]", "caps.when[0]={agent: b, steps: 1}"])  # fmt: skip
    assert [each.name for each in listed.budgets] == ["b"]
    assert listed.caps.when[0].agent == "b"


@pytest.mark.parametrize(
    ("caps", "given", "said"),
    [
        (["stepz=3"], [], "policies.caps.stepz: there is no such key; did you mean steps?"),
        (["turn.stepz=3"], [], "policies.caps.turn.stepz: there is no such key; did you mean steps?"),
        (["steps=-1"], [], "policies.caps.steps: is -1; it must be zero or a positive number, or null for no limit"),
        (["steps=many"], [], "policies.caps.steps: is 'many'; it must be a whole number"),
        (["cost_usd=.nan"], [], "policies.caps.cost_usd: is nan; it must be a positive number"),
        (["steps"], [], "steps: is no name with a value; write it as in --caps steps=20,cost_usd=5"),
        (["steps=3,"], [], "nothing: is no name with a value"),
        (["steps="], [], "steps=: is no name with a value"),
        (["steps.more=3"], [], "policies.caps.steps.more: there is no such key"),
        (["turn=3"], [], "policies.caps.turn: is 3; it must be a mapping of keys"),
        (["steps=[1"], [], "this is not YAML"),
        ([], ["policies.repeat.blok=5"], "policies.repeat.blok: there is no such key; did you mean block?"),
        ([], ["policies.repeat.block=1"], "policies.repeat.block: is 1; it must be at least 2"),
        ([], ["loop.block=5"], "policies.loop: there is no such key"),
        ([], ["budgets[1].cost_usd=5"], "policies.budgets[1].cost_usd: there is no such key"),
        ([], ["budgets[1]={}"], "policies.budgets[1]: there is no such key"),
        ([], ["budgets.cost_usd=5"], "policies.budgets.cost_usd: there is no such key"),
        ([], ["repeat..block=5"], "policies.repeat..block: is no key; write it as in policies.repeat.block"),
        ([], ["=5"], "=5: is no name with a value; write it as in --set policies.repeat.block=5"),
        ([], ["caps.when[0].route=nope"], "policies.caps.when[0].route: is 'nope'"),
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_fit_is_named(caps: list[str], given: list[str], said: str):
    with pytest.raises(SettingsError) as refused:
        policies_of(SETTINGS, caps, given)
    assert said in str(refused.value)
