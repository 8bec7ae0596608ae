"""The policies of a worker: what is asked for calls of no run, what a reload changes, what is told."""

import pytest
from msgspec.structs import replace

from proxy.govern.asking import Asking, Placed, Quote
from proxy.govern.governor import Governor
from proxy.govern.tab import Tab
from proxy.judge.budgets import BudgetSettings
from proxy.judge.caps import BackstopSettings
from proxy.judge.claims import Allow, Phase, Turned, owner_of
from proxy.judge.settings import PolicySettings
from proxy.model import Ask, Kind
from proxy.record.codec import Open
from proxy.state.memory import MemoryState
from tests.helpers.governed import Heard, make_governor
from tests.helpers.judging import QUIET
from tests.helpers.runs.tracking import drive
from tests.helpers.spooled import make_open

ASK = Ask("openai_embeddings", "embeddings", Kind.LLM, is_step=True, model="m")


NOTHING = replace(QUIET, **{name: replace(getattr(QUIET, name), mode="off") for name in ("breaker", "rate_gate", "quota_gate", "tool_calls")})  # fmt: skip


def budget(steps: int) -> PolicySettings:
    return PolicySettings(budgets=(BudgetSettings("team", "tenant", "day", "enforce", steps=steps),))  # fmt: skip


class Down(MemoryState):
    """A state that nobody can ask."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__(10, 10**12)
        self.error = error

    async def claim(self, *_: object) -> None:
        if self.error is not None:
            raise self.error

    async def spent(self, *_: object) -> None:
        return None


def tab_of(governor: Governor, ask: Ask = ASK) -> Tab | None:
    return governor.tab(Asking("acme", "a", "c", "openai", "openai", "https://o", ask, 5))  # fmt: skip


def asked(governor: Governor, opened: Open | None = None) -> Tab:
    tab = tab_of(governor)
    assert tab is not None
    drive(governor.ask(tab, opened or make_open("a1", run_id="")))
    return tab


def test_a_call_of_no_run_has_budgets_all_the_same_and_a_reload_changes_them():
    heard = Heard()
    governor = make_governor(MemoryState(10, 10**12), heard, budget(2))
    assert [asked(governor).is_refused for _ in range(3)] == [False, False, True]
    governor.use(budget(4))
    assert [asked(governor).is_refused for _ in range(3)] == [False, False, True]


def test_a_call_that_was_asked_for_is_not_asked_for_again():
    governor = make_governor(MemoryState(10, 10**12), None, budget(1))
    tab = asked(governor)
    drive(governor.ask(tab, make_open("a1")))
    assert not tab.is_refused


def test_what_is_no_work_has_no_tab():
    governor = make_governor(MemoryState(10, 10**12))
    assert tab_of(governor, Ask("mcp", "ping", Kind.MCP, is_step=False)) is None


def test_what_nothing_limits_has_no_tab_unless_its_price_must_be_known():
    heard = Heard()
    governor = make_governor(MemoryState(10, 10**12), heard, NOTHING)
    assert tab_of(governor) is None
    heard.quoted = Quote(is_refused=True)
    assert asked(governor).is_refused
    governor.use(budget(1))
    assert asked(governor).is_refused


def test_what_no_policy_looks_at_is_not_found_out(monkeypatch):
    def quote(*_: object) -> Quote:
        raise RuntimeError("nobody needs a price")

    monkeypatch.setattr(Heard, "quote", quote)
    heard = Heard()
    governor = make_governor(MemoryState(10, 10**12), heard, replace(NOTHING, budgets=budget(1).budgets))  # fmt: skip
    assert [asked(governor).is_refused for _ in range(2)] == [False, True]
    assert not heard.faults


def test_what_counts_for_a_site_is_kept_within_bounds(monkeypatch):
    monkeypatch.setattr("proxy.govern.rules.MAX_SITES", 2)
    governor = make_governor(MemoryState(10, 10**12), None, budget(1))
    tabs = [tab_of(governor, replace(ASK, model=f"m{number % 3}")) for number in range(6)]  # fmt: skip
    assert all(tabs)
    assert len(governor._rules._heeded) <= 2


@pytest.mark.parametrize("error", [None, RuntimeError("a fault of ours")])
@pytest.mark.parametrize("on_error", ["allow", "block"])
def test_where_nobody_can_be_asked_the_settings_say_what_follows(error, on_error):
    heard = Heard()
    governor = make_governor(Down(error), heard, PolicySettings(on_error=on_error))
    assert asked(governor).is_refused is (on_error == "block")
    assert heard.faults == ({"judge": 1} if error else {})


def test_verdicts_are_counted_and_told_and_too_many_are_counted_alone():
    heard = Heard()
    governor = make_governor(MemoryState(10, 10**12), heard, budget(1))
    for _ in range(23):
        governor.announce(asked(governor), make_open("a1", run_id=""))
    assert heard.verdicts.count(("budgets:team", "block")) == 22
    assert len([each for each in heard.events if each.action == "block"]) == 20
    assert heard.unsaid == 2


def test_a_breaker_that_turns_is_told_of_with_its_route():
    heard = Heard()
    governor = make_governor(MemoryState(10, 10**12), heard)
    asked(governor)
    (key,) = governor._breakers
    governor.turned(Turned(key, Phase.CLOSED, Phase.OPEN, 5))
    governor.turned(Turned(1, Phase.OPEN, Phase.HALF_OPEN))
    told = len(heard.events)
    governor.met(key, Phase.HALF_OPEN)
    governor.met(1, Phase.OPEN)  # whose that is nobody here knows
    assert [each[2] for each in heard.shown] == [Phase.HALF_OPEN]
    assert len(heard.events) == told
    assert heard.breakers == [("openai", "m", Phase.OPEN), ("", "", Phase.HALF_OPEN)]
    assert [(each.type, each.action) for each in heard.events] == [("breaker", "open"), ("breaker", "half_open")]  # fmt: skip


def test_what_has_expired_is_forgotten_by_and_by():
    heard, state = Heard(), MemoryState(10, 10**12)
    governor = make_governor(state, heard, budget(5))
    asked(governor)
    assert len(state.accounts.books)
    heard.now_us += 10**15
    for _ in range(2):
        governor.tidy()
    assert len(state.accounts.books) == 0
    assert governor.now_us() == heard.now_us


def test_whose_breakers_are_is_remembered_within_bounds(monkeypatch):
    monkeypatch.setattr("proxy.govern.governor._BREAKERS", 2)
    heard = Heard()
    governor = make_governor(MemoryState(10, 10**12), heard)
    for number in range(3):
        tab = tab_of(governor, replace(ASK, model=f"m{number}"))
        assert tab is not None
        tab.place(Placed())
    assert [model for _, model, _ in governor._breakers.values()] == ["m1", "m2"]


def test_a_warning_is_counted_and_told_once():
    heard = Heard()
    governor = make_governor(MemoryState(10, 10**12), heard, budget(5))
    for _ in range(2):
        governor.announce(asked(governor), make_open("a1", run_id=""))
    warned = asked(governor)
    for _ in range(2):
        governor.announce(warned, make_open("a1", run_id=""))
    assert heard.verdicts == [("budgets:team", "warn")]
    assert [each.threshold for each in heard.events] == ["3"]


def test_a_run_that_was_allowed_on_is_warned_anew():
    heard, state = Heard(), MemoryState(10, 10**12)
    settings = PolicySettings(backstop=BackstopSettings("enforce", steps=5))
    governor = make_governor(state, heard, settings)
    opened = make_open("a1", run_id="r", root_run_id="r")
    for number in (None, 7, 7):
        if number is not None:
            state.tell([Allow(owner_of("acme", "r"), number)], heard.now_us)
        for _ in range(5):
            governor.announce(asked(governor, opened), opened)
    assert [(each.policy, each.action) for each in heard.events] == [("backstop", "warn")] * 2 + [("backstop", "block")] * 5  # fmt: skip


def test_what_is_spent_of_budgets_is_told_until_their_period_is_over():
    heard = Heard()
    each = BudgetSettings("each", "agent", "hour", steps=10)
    several = replace(budget(4), budgets=(*budget(4).budgets, each))
    governor = make_governor(MemoryState(10, 10**12), heard, several)
    drive(governor.show())
    assert heard.spent == {}
    for _ in range(2):
        asked(governor)
    drive(governor.show())
    assert heard.spent == {("acme", "", "team"): 0.5, ("acme", "a", "each"): 0.2}
    heard.now_us += 3_600_000_000
    drive(governor.show())
    assert heard.spent == {("acme", "", "team"): 0.5}
    heard.now_us += 24 * 3_600_000_000
    asked(governor)
    drive(governor.show())
    assert heard.spent == {("acme", "", "team"): 0.25, ("acme", "a", "each"): 0.1}


def test_of_budgets_that_nobody_can_be_asked_about_nothing_is_told():
    heard = Heard()
    governor = make_governor(Down(), heard, budget(2))
    asked(governor)
    heard.spent = {("acme", "", "team"): 0.5}
    drive(governor.show())
    assert heard.spent == {}


def test_a_budget_that_the_settings_no_longer_have_is_not_told_of():
    heard = Heard()
    governor = make_governor(MemoryState(10, 10**12), heard, budget(2))
    asked(governor)
    governor.use(PolicySettings())
    drive(governor.show())
    assert heard.spent == {}
