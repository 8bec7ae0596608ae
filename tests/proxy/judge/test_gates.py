"""Whose gates a call passes, and what its end changes."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.identify.hashing import key
from proxy.judge.claims import (
    BreakerRule,
    Finding,
    Hold,
    Level,
    Mode,
    Pass,
    Permit,
    Shut,
    Signal,
)
from proxy.judge.gate_settings import (
    BreakerSettings,
    GateOverride,
    GateSettings,
    QuotaGateSettings,
    RateGateSettings,
)
from proxy.judge.gates import Gate, Gates, verdict
from proxy.judge.matching import Site
from proxy.judge.signals import ALIVE, FAILURE, NEUTRAL, Origin, Quota, Signals
from proxy.judge.verdict import Action, Reason
from proxy.judge.wording import TRAPS
from proxy.model import Kind

NOW_US = 1_795_000_000_000_000
SECOND = 1_000_000
SITE = Site("acme", "coder", "key-a", "openai", "gpt-4o", Kind.LLM)
ORIGIN = "https://api.openai.com"
ENFORCED = GateSettings(
    BreakerSettings(mode="enforce"),
    RateGateSettings(mode="enforce"),
    QuotaGateSettings(mode="enforce"),
)
OFF = GateSettings(
    BreakerSettings(mode="off"),
    RateGateSettings(mode="off"),
    QuotaGateSettings(mode="off"),
)
LIMITED = Signals(NEUTRAL, shuts_rate_gate=True)
SPENT = Signals(NEUTRAL, quota=Quota.ACCOUNT)
FAILED = Signals(FAILURE, Origin.EXTERNAL)


def gates(settings=ENFORCED):
    return Gates(settings, partial(key, 7))


def passage(settings=ENFORCED, upstream=ORIGIN, **other):
    return gates(settings).passage(replace(SITE, **other), upstream)


def changes(signals, *holds, settings=ENFORCED, **other):
    passed = passage(settings, **other)
    return gates(settings).changes(passed, signals, holds, NOW_US, 9)


def test_a_call_claims_a_permit_and_three_passages():
    found = passage()
    assert found.gates == (Gate.BREAKER, Gate.RATE, Gate.QUOTA, Gate.QUOTA)
    assert found.claims == (
        Permit(found.breaker, Mode.ENFORCE, BreakerRule()),
        Pass(found.rate, Mode.ENFORCE),
        Pass(found.quota, Mode.ENFORCE),
        Pass(found.model_quota, Mode.ENFORCE),
    )
    assert len({found.breaker, found.rate, found.quota, found.model_quota}) == 4


def test_by_default_everything_observes():
    assert {claim.mode for claim in passage(GateSettings()).claims} == {Mode.OBSERVE}


def test_a_call_that_names_no_model_has_no_share_of_one():
    found = passage(model="")
    assert found.gates == (Gate.BREAKER, Gate.RATE, Gate.QUOTA)
    assert found.model_quota == 0


def test_what_is_off_claims_and_changes_nothing():
    assert passage(OFF).claims == ()
    assert changes(LIMITED, settings=OFF) == []
    assert changes(SPENT, settings=OFF) == []
    assert changes(FAILED, settings=OFF) == []


def test_a_mode_may_differ_for_some_calls():
    off = GateOverride(agent="nightly-*", mode="off")
    settings = GateSettings(breaker=BreakerSettings(mode="enforce", when=(off,)))
    assert Gate.BREAKER in passage(settings).gates
    assert Gate.BREAKER not in passage(settings, agent="nightly-7").gates


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({}, {"breaker", "rate", "quota", "model_quota"}),
        ({"agent": "b", "route": "r", "is_retry": True}, {"breaker", "rate", "quota", "model_quota"}),
        ({"caller": "key-b"}, {"breaker"}),
        ({"tenant": "b"}, {"breaker"}),
        ({"model": "gpt-5"}, {"quota"}),
        ({"upstream": "https://eu.api.openai.com"}, set()),
    ],
    ids=["itself", "another agent", "another caller", "another tenant", "another model", "another upstream"],
)  # fmt: skip
def test_C12_C16_who_shares_which_gate(other, same):
    one, two = passage(), passage(**other)
    names = ("breaker", "rate", "quota", "model_quota")
    assert {name for name in names if getattr(one, name) == getattr(two, name)} == same


def test_keys_are_keyed():
    other = Gates(ENFORCED, partial(key, 8)).passage(SITE, ORIGIN)
    assert other.rate != passage().rate


def test_a_passage_is_made_once_and_their_number_is_bounded():
    mine = gates()
    first = mine.passage(SITE, ORIGIN)
    assert mine.passage(SITE, ORIGIN) is first
    for number in range(5000):
        mine.passage(replace(SITE, model=f"m{number}"), ORIGIN)
    assert len(mine._passages) <= 4096
    assert mine.passage(SITE, ORIGIN) == first


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [(None, 1.0), (34.0, 34.0), (0.25, 0.25), (86_400.0, 300.0)],
    ids=["nothing said", "said", "a fraction", "too long"],
)
def test_C12_a_429_shuts_the_callers_gate_as_long_as_the_provider_asks_within_bounds(
    asked, seconds
):
    limited = replace(LIMITED, wait_seconds=asked)
    until = NOW_US + int(seconds * SECOND)
    assert changes(limited) == [Shut(passage().rate, until)]


def test_C12_who_may_come_back_at_once_finds_the_gate_open():
    assert changes(replace(LIMITED, wait_seconds=0.0)) == []


def test_C12_fifty_429s_of_one_key_leave_another_key_and_the_breaker_alone():
    shut = [change for _ in range(50) for change in changes(LIMITED, caller="key-a")]
    others = {claim.key for claim in passage(caller="key-b").claims}
    assert others.isdisjoint(change.key for change in shut)
    assert not any(isinstance(change, Signal) for change in shut)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [(None, 60.0), (5.0, 60.0), (600.0, 600.0), (86_400.0, 3600.0)],
)
def test_C13_spent_money_shuts_the_quota_gate_and_not_the_breaker(asked, seconds):
    until = NOW_US + int(seconds * SECOND)
    spent = replace(SPENT, wait_seconds=asked)
    assert changes(spent) == [Shut(passage().quota, until)]


def test_C13_a_share_of_a_model_shuts_only_that_model():
    used_up = replace(SPENT, quota=Quota.MODEL)
    until = NOW_US + 60 * SECOND
    assert changes(used_up) == [Shut(passage().model_quota, until)]
    nameless = passage(model="")
    assert changes(used_up, model="") == [Shut(nameless.quota, until)]


def test_C14_the_breaker_is_told_of_successes_and_failures():
    assert changes(FAILED) == [Signal(passage().breaker, -1, 0, BreakerRule(), 9)]
    assert changes(ALIVE) == [Signal(passage().breaker, 1, 0, BreakerRule(), 9)]


def test_C11_a_permit_goes_back_whatever_the_end():
    hold = Hold(passage().breaker, "", 2, 41, 0)
    other = Hold(passage().rate, "", 5, 0, 1)
    expected = [Signal(passage().breaker, 0, 41, BreakerRule(), 9)]
    assert changes(Signals(NEUTRAL), other, hold) == expected
    assert changes(Signals(NEUTRAL), other) == []


def test_a_failure_that_says_how_long_to_wait_shuts_the_rate_gate_too():
    busy = replace(FAILED, shuts_rate_gate=True, wait_seconds=7.0)
    signal, shut = changes(busy)
    assert isinstance(signal, Signal)
    assert shut == Shut(passage().rate, NOW_US + 7 * SECOND)


@pytest.mark.parametrize(
    ("place", "policy", "reason", "final"),
    [
        (0, "breaker", Reason.UPSTREAM_FAILING, False),
        (1, "rate_gate", Reason.UPSTREAM_LIMIT, False),
        (2, "quota_gate", Reason.ACCOUNT_SPENT, True),
        (3, "quota_gate", Reason.ACCOUNT_SPENT, True),
    ],
)
def test_a_verdict_says_what_and_where_and_when(place, policy, reason, final):
    finding = Finding(place, Level.OVER, 0, 0, 4_200_000)
    said = verdict(passage(), place, finding)
    assert (said.policy, said.reason, said.is_final) == (policy, reason, final)
    assert said.action is Action.BLOCK
    assert said.wait_seconds == 5
    for word in ("gpt-4o", ORIGIN, "5 s"):
        assert word in said.message
    observed = verdict(passage(GateSettings()), place, finding)
    assert observed == replace(said, action=Action.WOULD_BLOCK)


def test_a_model_whose_name_clients_would_misread_is_not_named():
    said = verdict(passage(model="quota-429"), 2, Finding(2, Level.OVER, 0, 0))
    assert said.message.startswith(f"(not named) at {ORIGIN} refuses")
    assert TRAPS.search(said.message) is None


def test_a_verdict_without_a_model_names_the_upstream_and_waits_a_second_at_least():
    said = verdict(passage(model=""), 0, Finding(0, Level.OVER, 0, 0))
    assert said.message.startswith(f"{ORIGIN} keeps failing")
    assert said.wait_seconds == 1


_SIGNALS = st.builds(
    Signals,
    st.sampled_from([-1, 0, 1]),
    st.sampled_from(Origin),
    st.booleans(),
    st.sampled_from(Quota),
    st.none() | st.floats(0, 86_400),
)


@given(_SIGNALS)
def test_gates_are_never_shut_beyond_their_bounds(signals):
    bounds = {passage().rate: 300, passage().quota: 3600, passage().model_quota: 3600}
    for change in changes(signals):
        if isinstance(change, Shut):
            assert NOW_US < change.until_us <= NOW_US + bounds[change.key] * SECOND
