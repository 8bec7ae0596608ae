"""One call before the policies: what is held, what is settled when it ends, and that a fault costs nothing but itself."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from proxy.govern.asking import Asking, Placed, Quote
from proxy.govern.governor import Governor
from proxy.govern.tab import Tab
from proxy.identify.conversation import Conversation
from proxy.judge.bench import Bench
from proxy.judge.budgets import BudgetSettings
from proxy.judge.caps import BackstopSettings
from proxy.judge.claims import Phase
from proxy.judge.gate_settings import BreakerSettings
from proxy.judge.gates import Gates
from proxy.judge.loops import RepeatSettings
from proxy.judge.settings import PolicySettings
from proxy.model import (
    Ask,
    Cost,
    ErrorType,
    Kind,
    Outcome,
    Reading,
    ToolCall,
    Usage,
    UsageSource,
)
from proxy.record.codec import Close, Memo, decode
from proxy.state import tally
from proxy.state.accounts import Accounts
from proxy.state.joining import owners_of
from proxy.state.memory import MemoryState
from tests.helpers.governed import Heard, make_governor
from tests.helpers.judging import QUIET
from tests.helpers.runs.tracking import drive
from tests.helpers.spooled import make_close, make_open

ASK = Ask("openai_chat", "chat", Kind.LLM, is_step=True, model="m", max_output_tokens=1000)  # fmt: skip
BUDGET = BudgetSettings("team", "tenant", "day", "enforce", cost_usd=1.0, tokens=10_000, steps=3)  # fmt: skip
BREAKER = BreakerSettings("enforce", consecutive_failures=1, open_seconds=5, jitter_percent=0)  # fmt: skip
SETTINGS = replace(QUIET, budgets=(BUDGET,), breaker=BREAKER)
NANO = 2_000_000
"""What a call is expected to cost (`Heard.quoted`): a prompt and a thousand tokens."""


class Scene:
    """A governor on a memory of its own."""

    def __init__(self, settings: PolicySettings = SETTINGS, shared: bool = False) -> None:  # fmt: skip
        self.heard = Heard()
        self.state = Shared() if shared else MemoryState(10, 10**12, turned=lambda turned: self.governor.turned(turned))  # fmt: skip
        self.governor: Governor = make_governor(self.state, self.heard, settings)

    def tab(self, ask: Ask = ASK, newest: bytes = b"{}") -> Tab:
        said = Conversation(tail=(msgspec.Raw(newest),))
        tab = self.governor.tab(Asking("acme", "a", "c", "openai", "openai", "https://o", ask, 5, 10, said))  # fmt: skip
        assert tab is not None
        return tab

    def asked(self, ask: Ask = ASK) -> Tab:
        tab = self.tab(ask)
        drive(self.governor.ask(tab, make_open("a1")))
        return tab

    def used(self) -> set[tuple[int, int]]:
        """Give what stands on the accounts: settled, reserved."""
        return {value[1:] for value in self.state.accounts.books.own.values()}

    def heir(self, *records: bytes) -> Accounts:
        """Give the accounts of a successor that has read these."""
        heir = Accounts(1000)
        for each in records:
            memo = decode(each)
            assert isinstance(memo, Memo)
            assert memo.about == "accounts"
            tally.replay(heir, memo.said)
        return heir

    def assert_is(self, heir: Accounts) -> None:
        mine = [dict(each) for each in self.state.accounts.books.shelves]
        assert [dict(each) for each in heir.books.shelves] == mine


class Shared(MemoryState):
    """Others keep it."""

    def __init__(self) -> None:
        super().__init__(10, 10**12)

    @property
    def is_shared(self) -> bool:
        return True


def closed(**changes: Any) -> Close:
    cost = Cost(input=1_000_000_000, output=2_000_000_001)
    return make_close("a1", **{"cost": cost, "usage": Usage(input=700, output=300), **changes})  # fmt: skip


def over(tab: Tab, close: Close, status: int | None = 200, **more: Any) -> tuple[bytes, ...]:  # fmt: skip
    reading = more.pop("reading", Reading())
    return tab.over(close, reading, status, more.pop("headers", ()), b"", is_known=more.pop("is_known", True))  # fmt: skip


def test_what_a_call_holds_is_settled_at_what_it_came_to_and_a_successor_knows_all_of_it():
    scene = Scene()
    tab = scene.asked()
    assert not tab.is_refused
    assert tab.breaker_state == "closed"
    assert scene.used() == {(1, 0), (0, NANO), (0, 1100)}
    begun = tab.begun()
    scene.assert_is(scene.heir(*begun))
    tab.alive()
    ended = over(tab, closed())
    assert scene.used() == {(1, 0), (3_000_001, 0), (1000, 0)}
    heir = scene.heir(*begun, *ended)
    assert {value[1:] for value in heir.books.own.values()} == scene.used()


@pytest.mark.parametrize(
    ("close", "is_known", "spent"),
    [
        (closed(outcome=Outcome.UPSTREAM_ERROR, cost=Cost(), usage=Usage()), True, (0, 0)),
        (closed(outcome=Outcome.CLIENT_ABORT, cost=Cost(input=5000), usage=Usage(input=7)), True, (5, 7)),
        (closed(), False, (NANO, 1100)),
    ],
    ids=["nothing was billed", "the estimate of what was broken off", "nobody knows, by a fault of ours"],
)  # fmt: skip
def test_a_call_is_settled_however_it_ends(close, is_known, spent):
    scene = Scene()
    tab = scene.asked()
    over(tab, close, None, is_known=is_known)
    assert scene.used() == {(1, 0), (spent[0], 0), (spent[1], 0)}


def test_what_is_fetched_later_is_settled_at_what_was_reserved():
    scene = Scene()
    over(scene.asked(), closed(cost=Cost(), usage=Usage()), reading=Reading(deferred=True))  # fmt: skip
    assert scene.used() == {(1, 0), (NANO, 0), (1100, 0)}


def test_a_refused_call_holds_nothing_and_its_end_changes_nothing():
    scene = Scene()
    for _ in range(3):
        over(scene.asked(), closed())
    before = scene.used()
    tab = scene.asked()
    assert tab.is_refused
    assert (tab.begun(), over(tab, closed(outcome=Outcome.BLOCKED)), scene.used()) == ((), (), before)  # fmt: skip


def test_a_call_that_a_pattern_refuses_after_it_was_admitted_is_taken_back():
    repeat = RepeatSettings("enforce", warn=None, block=2)
    scene = Scene(replace(SETTINGS, repeat=repeat))
    body = b'{"messages": [{"role": "user", "content": "again"}]}'

    def once() -> Tab:
        asking = Asking("acme", "a", "c", "openai", "openai", "https://o", ASK, 5, 10, body=body)  # fmt: skip
        tab = scene.governor.tab(asking)
        assert tab is not None
        drive(scene.governor.ask(tab, make_open("a1")))
        return tab

    first, second = once(), once()
    assert (first.is_refused, second.is_refused) == (False, True)
    assert scene.used() == {(1, 0), (0, NANO), (0, 1100)}
    scene.assert_is(scene.heir(*first.begun(), *second.begun()))


def test_a_failing_upstream_shuts_the_way_and_a_probe_s_first_sign_of_life_opens_it():
    scene = Scene()
    over(scene.asked(), closed(outcome=Outcome.UPSTREAM_ERROR, error_type=ErrorType.SERVER_ERROR), 500)  # fmt: skip
    refused = scene.asked()
    assert refused.verdict is not None
    assert (refused.verdict.policy, refused.verdict.wait_seconds, refused.breaker_state) == ("breaker", 5, "open")  # fmt: skip
    scene.heard.now_us += 5_000_000
    probe = scene.asked()
    assert probe.breaker_state == "half_open"
    assert scene.asked().breaker_state == "open"
    probe.alive()
    over(probe, closed())
    assert [phase for _, _, phase in scene.heard.breakers] == [Phase.OPEN, Phase.HALF_OPEN]  # fmt: skip
    assert not scene.asked().is_refused


def test_of_several_refusals_the_final_one_is_told_with_the_others_beside_it():
    scene = Scene(replace(SETTINGS, budgets=(replace(BUDGET, steps=1),)))
    over(scene.asked(), closed(outcome=Outcome.UPSTREAM_ERROR, error_type=ErrorType.SERVER_ERROR), 500)  # fmt: skip
    verdict = scene.asked().verdict
    assert verdict is not None
    assert (verdict.policy, [each.policy for each in verdict.others]) == ("budgets:team", ["breaker"])  # fmt: skip


def test_a_model_without_a_price_is_refused_before_anything_is_claimed():
    scene = Scene()
    scene.heard.quoted = Quote(is_refused=True)
    tab = scene.asked()
    assert tab.verdict is not None
    assert (tab.verdict.policy, tab.is_refused, scene.used()) == ("unpriced", True, set())  # fmt: skip
    other = scene.tab()
    other.place(Placed())
    other.unheard()
    assert other.is_refused


def test_a_stream_s_first_event_is_told_at_once_and_another_answer_s_at_its_end():
    for stream, gone in ((True, 1), (False, 0)):
        scene = Scene()
        tab = scene.asked(replace(ASK, stream=stream))
        before = dict(scene.state.accounts.books.breakers)
        tab.alive()
        assert (dict(scene.state.accounts.books.breakers) != before) == bool(gone)


def test_without_gates_an_answer_s_life_and_end_say_nothing():
    off = {name: replace(getattr(QUIET, name), mode="off") for name in ("breaker", "rate_gate", "quota_gate")}  # fmt: skip
    scene = Scene(replace(QUIET, no_progress=PolicySettings().no_progress, **off))
    tab = scene.asked()
    tab.alive()
    assert (tab.breaker_state, over(tab, closed())) == ("", ())
    unasked = scene.tab()
    unasked.place(Placed())
    unasked.unheard()
    assert (unasked.breaker_state, over(unasked, closed())) == ("", ())


def test_what_others_keep_is_not_written_down():
    scene = Scene(shared=True)
    tab = scene.asked()
    assert (tab.begun(), over(tab, closed())) == ((), ())
    assert scene.used() == {(1, 0), (3_000_001, 0), (1000, 0)}


def test_a_place_that_changes_changes_the_claims():
    scene = Scene(replace(QUIET, caps=replace(PolicySettings().caps, steps=5)))
    tab = scene.tab()
    tab.place(Placed("r1", is_retry=True))
    retried = len(tab.claims)
    tab.place(Placed("r1"))
    assert len(tab.claims) > retried
    assert tab.hear(scene.state.accounts.claim(tab.claims, owners_of("acme", "r1", "r1", ""), tab.now_us))  # fmt: skip


@pytest.mark.parametrize(("owner", "name", "faults"), [(Bench, "claims", 1), (Bench, "verdict", 1), (Gates, "passage", 1)])  # fmt: skip
@pytest.mark.parametrize("on_error", ["allow", "block"])
def test_a_fault_before_a_call_leaves_it_to_the_settings(owner, name, faults, on_error, monkeypatch):  # fmt: skip
    scene = Scene(replace(SETTINGS, on_error=on_error))
    monkeypatch.setattr(owner, name, _raise)
    tab = scene.asked()
    assert (tab.is_refused, scene.heard.faults) == (on_error == "block", {"judge": faults})  # fmt: skip
    over(tab, closed())
    assert all(reserved == 0 for _, reserved in scene.used())


def test_a_fault_after_a_call_costs_only_what_it_would_have_changed(monkeypatch):
    scene = Scene()
    tab = scene.asked(replace(ASK, stream=True))
    monkeypatch.setattr(Gates, "changes", _raise)
    tab.alive()
    assert over(tab, closed()) == ()
    assert scene.heard.faults == {"judge": 2}
    assert not tab.is_refused


def test_a_model_is_told_of_a_warning_until_a_request_went_out_with_it():
    backstop = BackstopSettings("enforce", steps=5)
    scene = Scene(replace(QUIET, notes=True, backstop=backstop))
    opens = [make_open(f"a{number}") for number in range(1, 6)]
    tabs = []
    for each in opens:
        tab = scene.tab(newest=b'{"role":"tool"}')
        drive(scene.governor.ask(tab, replace(each, root_run_id="run-1")))  # fmt: skip
        tabs.append(tab)
    told = [tab.note(opened) for tab, opened in zip(tabs, opens, strict=True)]
    assert told[:3] == [""] * 3
    assert told[3:] == ["[tachograph: this run has used 80 % of its steps (4 of 5)]", "[tachograph: this run has used 100 % of its steps (5 of 5)]"]  # fmt: skip
    tabs[0].noted(opens[0])  # it has nothing to say
    tabs[3].noted(opens[3])
    assert tabs[3].note(opens[3])  # the same step again
    assert tabs[4].note(opens[4]) == ""
    speaking = scene.tab()
    speaking.verdict = tabs[3].verdict
    assert speaking.note(opens[3]) == ""  # no result to stand in
    assert scene.heard.faults == {}


def test_what_calls_cost_is_learned_from_whole_answers_that_were_counted():
    scene = Scene()
    for source in (UsageSource.PROVIDER, UsageSource.ESTIMATED):
        for _ in range(4):
            tab = scene.asked(replace(ASK, kind=Kind.EMBEDDING, operation=source))
            over(tab, closed(usage_source=source))
    over(scene.asked(replace(ASK, kind=Kind.TOOL)), closed())
    learned = {each.key[3]: each.nano for each in scene.governor.expected.snapshot()}
    assert learned == {"provider": (3_000_001,) * 4}


def test_calls_of_answers_are_remembered_where_requests_do_not_show_them_again():
    scene = Scene()
    said = Reading(tool_calls=(ToolCall("c1", "look", b"{}"),))
    for dialect in ("openai_responses", "openai_chat"):
        over(scene.asked(replace(ASK, dialect=dialect)), closed(), reading=said)
    assert scene.governor._court.answered.get("acme", "c1")


def _raise(*_: object, **__: object) -> None:
    raise RuntimeError("a fault of ours")


def test_another_attempt_is_judged_where_it_goes_and_is_no_step_of_its_own():
    scene = Scene()
    first = scene.asked()
    over(first, closed(outcome=Outcome.UPSTREAM_ERROR, cost=Cost(), usage=Usage()), 503)
    for origin, is_refused in (("https://o", True), ("https://p", False)):
        again = first.again(route="other", origin=origin)
        drive(scene.governor.ask(again, make_open("a2", attempt=1)))
        assert again.is_refused is is_refused
        over(again, closed(outcome=Outcome.UPSTREAM_ERROR, cost=Cost(), usage=Usage()), 503)  # fmt: skip
    assert scene.used() == {(1, 0), (0, 0)}  # one step
