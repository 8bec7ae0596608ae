"""Policies that cannot work stop the start, with the key's path, the value and what would be right."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.policy_checks import check_policies
from proxy.config.reading import check_value, read_yaml
from proxy.errors import SettingsError
from proxy.judge.caps import CapLimits, CapOverride
from proxy.judge.settings import PolicySettings

ROUTES = ("openai", "search")
BUDGET = "name: a, per: agent, period: day"

BAD = {
    "caps: 3": "policies.caps: is 3; it must be a mapping of keys",
    "cap: {}": "policies.cap: there is no such key; did you mean caps?",
    "caps: {step: 3}": "policies.caps.step: there is no such key; did you mean steps?",
    "caps: {mode: enforced}": "policies.caps.mode: is 'enforced'; it must be one of off, observe, enforce",
    "caps: {steps: -1}": "policies.caps.steps: is -1; it must be zero or a positive number, or null for no limit",
    "caps: {steps: 1.5}": "policies.caps.steps: is 1.5; it must be a whole number",
    "caps: {steps: many}": "policies.caps.steps: is 'many'; it must be a whole number",
    "caps: {steps: true}": "policies.caps.steps: is True; it must be a whole number",
    "caps: {steps: 10000000000000}": "policies.caps.steps: is 10000000000000; it must be at most 1000000000000",
    "caps: {attempts: 0}": "policies.caps.attempts: is 0; it must be a positive number, or null for no limit",
    "caps: {cost_usd: 0}": "policies.caps.cost_usd: is 0.0; it must be a positive number, or null for no limit",
    "caps: {cost_usd: -2}": "policies.caps.cost_usd: is -2.0; it must be a positive number",
    "caps: {cost_usd: .nan}": "policies.caps.cost_usd: is nan; it must be a positive number",
    "caps: {cost_usd: .inf}": "policies.caps.cost_usd: is inf; it must be a positive number",
    "caps: {cost_usd: 1.0e+308}": "policies.caps.cost_usd: is 1e+308; it must be at most 1000000",
    "caps: {cost_usd: 1.0e-9}": "policies.caps.cost_usd: is 1e-09; it must be at least 0.000001 (USD)",
    "caps: {tokens: 0}": "policies.caps.tokens: is 0; it must be a positive number",
    "caps: {wall_seconds: 0}": "policies.caps.wall_seconds: is 0.0; it must be a positive number",
    "caps: {wall_seconds: 1.0e+9}": "policies.caps.wall_seconds: is 1000000000.0; it must be at most 31622400",
    "caps: {turn: {cost_usd: -1}}": "policies.caps.turn.cost_usd: is -1.0",
    "caps: {session: {hours: 1}}": "policies.caps.session.hours: there is no such key",
    "caps: {window_share: 95}": "policies.caps.window_share: is 95.0; it must be a share above 0, up to 1, or null for none",
    "caps: {warn_share: 0}": "policies.caps.warn_share: is 0.0; it must be a share",
    "caps: {warn_share: .nan}": "policies.caps.warn_share: is nan; it must be a share",
    "caps: {when: {agent: x}}": "policies.caps.when: is {'agent': 'x'}; it must be a list",
    "caps: {when: [{mode: enforce}]}": "policies.caps.when[0]: fits every call; name a tenant, an agent, a route or a model, or set it in policies.caps itself",
    "caps: {when: [{agent: a}]}": "policies.caps.when[0]: changes nothing; give a mode or a limit",
    "caps: {when: [{agent: a, mode: off}, {agent: b, cost_usd: 0}]}": "policies.caps.when[1].cost_usd: is 0.0",
    "caps: {when: [{agent: a, turn: {tokens: 0}}]}": "policies.caps.when[0].turn.tokens: is 0",
    "caps: {when: [{route: opnai, steps: 3}]}": "policies.caps.when[0].route: is 'opnai'; it must be a pattern or one of openai, search",
    "caps: {when: [{agents: a, steps: 3}]}": "policies.caps.when[0].agents: there is no such key; did you mean agent?",
    'caps: {when: [{model: "a\\nb", steps: 3}]}': "policies.caps.when[0].model: is 'a\\nb'; it must be a name or a pattern",
    f"caps: {{when: [{{agent: {'x' * 300}, steps: 3}}]}}": "policies.caps.when[0].agent: is 'xxx",
    "backstop: {steps: 0}": "policies.backstop.steps: is 0; it must be a positive number: no run could begin",
    "backstop: {when: [{agent: a, steps: 0}]}": "policies.backstop.when[0].steps: is 0; it must be a positive number: no run could begin",
    "backstop: {steps: null, cost_usd: null}": "policies.backstop: limits nothing; give steps or cost_usd, or set policies.backstop.mode to off",
    "budgets: 3": "policies.budgets: is 3; it must be a list",
    "budgets: [{name: a, per: agent}]": "policies.budgets[0].period: is missing; it must be one of hour, day, month",
    "budgets: [{name: a, per: team, period: day}]": "policies.budgets[0].per: is 'team'; it must be one of tenant, agent, caller, route",
    f"budgets: [{{{BUDGET}}}]": "policies.budgets[0]: has no amount; give cost_usd, tokens or steps",
    f"budgets: [{{{BUDGET}, tokens: 0}}]": "policies.budgets[0].tokens: is 0; it must be a positive number",
    f"budgets: [{{{BUDGET}, steps: 0}}]": "policies.budgets[0].steps: is 0; it must be a positive number",
    f"budgets: [{{{BUDGET}, cost_usd: .nan}}]": "policies.budgets[0].cost_usd: is nan",
    f"budgets: [{{{BUDGET}, steps: 5}}, {{{BUDGET}, steps: 6}}]": "policies.budgets[1].name: is 'a'; it must be a name of its own; policies.budgets[0] has this one",
    "budgets: [{name: 'a b', per: agent, period: day, steps: 5}]": "policies.budgets[0].name: is 'a b'; it must be 1 to 128 characters",
    f"budgets: [{{{BUDGET}, steps: 5, warn_shares: [0.5, 1.5]}}]": "policies.budgets[0].warn_shares[1]: is 1.5; it must be a share",
    f"budgets: [{{{BUDGET}, steps: 5, warn_shares: [0.5, 0.5]}}]": "policies.budgets[0].warn_shares[1]: is 0.5; it must be a share that is not there twice",
    f"budgets: [{{{BUDGET}, steps: 5, warn_shares: [{', '.join(f'0.{n}' for n in range(11, 20))}]}}]": "policies.budgets[0].warn_shares: is (0.11",
    f"budgets: [{{{BUDGET}, steps: 5, warn_shares: half}}]": "policies.budgets[0].warn_shares: is 'half'; it must be a list",
    f"budgets: [{{{BUDGET}, steps: 5, route: nope}}]": "policies.budgets[0].route: is 'nope'",
    f"budgets: [{', '.join(['{name: a, per: agent, period: day}'] * 1001)}]": "policies.budgets: is 1001; it must be a list of at most 1000",
    "spend_rate: {cost_usd_per_minute: 0}": "policies.spend_rate.cost_usd_per_minute: is 0.0; it must be a positive number",
    "spend_rate: {cost_usd_per_minute: 300}": "policies.spend_rate.cost_usd_per_minute: is 300.0; it must be at most cost_usd_per_hour (200.0)",
    "spend_rate: {when: [{agent: a, cost_usd_per_hour: 5}]}": "policies.spend_rate.when[0].cost_usd_per_minute: is 20.0; it must be at most cost_usd_per_hour (5.0)",
    "spend_rate: {same_requests: 0}": "policies.spend_rate.same_requests: is 0; it must be a positive number",
    "spend_rate: {same_seconds: 0}": "policies.spend_rate.same_seconds: is 0.0; it must be a positive number",
    "repeat: {warn: 11}": "policies.repeat.warn: is 11; it must be at most policies.repeat.block (10)",
    "repeat: {warn: 0}": "policies.repeat.warn: is 0; it must be a positive number",
    "repeat: {warn: null, block: 1}": "policies.repeat.block: is 1; it must be at least 2: once is no loop",
    "repeat: {warn: null, block: null}": "policies.repeat: says nothing; give warn or block, or set policies.repeat.mode to off",
    "repeat: {block: 300}": "policies.repeat.block: is 300; it must be less: at most 256",
    "repeat: {warn: 257, block: null}": "policies.repeat.warn: is 257; it must be less: at most 256",
    "repeat: {when: [{agent: a, block: 3}]}": "policies.repeat.when[0].warn: is 5; it must be at most policies.repeat.when[0].block (3)",
    "repeat: {when: [{agent: a, warn: null, block: null}]}": "policies.repeat.when[0]: says nothing; give warn or block, or set policies.repeat.when[0].mode to off",
    "cycle: {max_period: 1}": "policies.cycle.max_period: is 1; it must be at least 2: one call again and again is `repeat`",
    "cycle: {block: 50}": "policies.cycle.block: is 50; it must be less: at most 256, times max_period (6)",
    "same_error: {block: 65}": "policies.same_error.block: is 65; it must be less: at most 64",
    "no_progress: {window: 250}": "policies.no_progress.block: is 16; it must be less: at most 256, with window (250)",
    "no_progress: {window: 0}": "policies.no_progress.window: is 0; it must be a positive number",
    "breaker: {min_calls: 0}": "policies.breaker.min_calls: is 0; it must be a whole number from 1 to 100000",
    "tool_calls: {mode: strict}": "policies.tool_calls.mode: is 'strict'; it must be one of off, observe, enforce",
    "tool_calls: {action: retry}": "policies.tool_calls.action: is 'retry'; it must be one of block, repair",
    "tool_calls: {problems: [bad_name]}": "policies.tool_calls.problems: is ['bad_name']; it must be a list, each item of it one of unknown_tool, bad_json, bad_arguments",
    "tool_calls: {problems: []}": "policies.tool_calls: stops nothing; name problems, or set policies.tool_calls.mode to off",
    "tool_calls: {when: [{agent: a, problems: []}]}": "policies.tool_calls.when[0]: stops nothing",
    "tool_calls: {when: [{action: repair}]}": "policies.tool_calls.when[0]: fits every call",
    "tool_calls: {when: [{route: opnai, mode: off}]}": "policies.tool_calls.when[0].route: is 'opnai'",
    "breaker: {when: [{route: nope, mode: enforce}]}": "policies.breaker.when[0].route: is 'nope'; it must be a pattern or one of openai, search",
    "rate_gate: {when: [{mode: enforce}]}": "policies.rate_gate.when[0]: fits every call; name a tenant",
    "quota_gate: {shut_seconds: .nan}": "policies.quota_gate.shut_seconds: is nan; it must be a positive number of seconds",
    "polling_tools: ['']": "policies.polling_tools[0]: is ''; it must be a name or a pattern",
    "polling_tools: poll": "policies.polling_tools: is 'poll'; it must be a list",
    "strict: 2": "policies.strict: is 2; it must be true or false",
    "on_error: pass": "policies.on_error: is 'pass'; it must be one of allow, block",
}  # fmt: skip


def read(text: str) -> PolicySettings:
    document = read_yaml(text)
    check_value(document, PolicySettings, "policies")
    found = msgspec.convert(document, PolicySettings)
    check_policies(found, ROUTES)
    return found


@pytest.mark.parametrize(
    ("text", "said"),
    BAD.items(),
    ids=[f"{n}: {each[:50]}" for n, each in enumerate(BAD)],
)
def test_c04_a_bad_policy_is_refused_with_its_key(text: str, said: str):
    with pytest.raises(SettingsError) as refused:
        read(text)
    assert str(refused.value).startswith(said)


def test_the_defaults_make_sense():
    check_policies(PolicySettings(), ())


def test_good_policies_are_read_as_they_stand():
    found = read("""
caps:
  mode: enforce
  steps: 100
  cost_usd: 20
  wall_seconds: 3600
  tool_calls: 0
  turn: {steps: 20}
  when:
    - {agent: "nightly-*", steps: 500, cost_usd: null}
    - {route: "open*", model: "gpt-5*", mode: off}
    - {route: search, session: {cost_usd: 9}}
backstop: {mode: off, steps: null, cost_usd: null}
budgets:
  - {name: team, per: tenant, period: month, mode: enforce, cost_usd: 500, warn_shares: []}
  - {name: nightly, per: agent, period: day, agent: "nightly-*", tokens: 1000000}
spend_rate: {cost_usd_per_minute: null}
repeat: {mode: enforce, warn: null, block: 256}
cycle: {mode: off, warn: null, block: null}
tool_calls: {mode: enforce, action: repair, when: [{model: "gpt-4*", mode: off, problems: []}]}
polling_tools: []
strict: true
on_error: block
""")
    assert (found.caps.mode, found.caps.steps, found.caps.cost_usd, found.caps.wall_seconds) == ("enforce", 100, 20.0, 3600.0)  # fmt: skip
    assert found.caps.turn == CapLimits(steps=20)
    assert found.caps.when[0] == CapOverride(agent="nightly-*", steps=500, cost_usd=None)  # fmt: skip
    assert [each.name for each in found.budgets] == ["team", "nightly"]
    assert found.polling_tools == ()


@given(
    st.sampled_from(["caps.cost_usd", "caps.wall_seconds", "backstop.cost_usd", "spend_rate.cost_usd_per_hour", "spend_rate.same_seconds"]),
    st.floats(),
)  # fmt: skip
def test_c04_no_odd_number_gets_through(key: str, value: float):
    policy, name = key.split(".")
    part = getattr(PolicySettings(), policy)
    changed = msgspec.structs.replace(part, **{name: value})
    try:
        check_policies(msgspec.structs.replace(PolicySettings(), **{policy: changed}), ())  # fmt: skip
    except SettingsError as refused:
        assert str(refused).startswith(f"policies.{policy}.")  # noqa: PT017
    else:
        assert 0 < value <= 366 * 86_400
