"""The policies as they are set now, and whom they ask: one for a worker.

What lives here: making tabs, a reload of the policies, asking for calls that belong to no run, telling of verdicts and breakers. What does
not: one call (`tab.py`), accounts (`proxy.state`).
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from proxy.govern.announcing import Announcer, event_of, event_of_breaker, every
from proxy.govern.asking import Asking, Placed, Quoting
from proxy.govern.court import Court
from proxy.govern.rules import Rules
from proxy.govern.said import Answered
from proxy.govern.spending import Spending
from proxy.govern.tab import Tab
from proxy.judge.bench import Bench
from proxy.judge.budgets import Account
from proxy.judge.claims import Change, Phase, Turned
from proxy.judge.expected import Expected
from proxy.judge.gates import Gates
from proxy.judge.lines import Terms
from proxy.judge.settings import PolicySettings
from proxy.judge.verdict import Verdict
from proxy.record.codec import Event, Open
from proxy.state import State
from proxy.state.joining import owners_of

_BREAKERS = 4096


@dataclass(frozen=True, slots=True)
class Outside:
    """Whom the policies ask and tell."""

    clock: Callable[[], int]
    """The steady clock, microseconds since the epoch."""
    random: Callable[[], int]
    """0 to 65,535."""
    quote: Quoting
    fault: Callable[[str], None]
    note: Callable[[Event], None]
    """Writes an event down."""
    new_id: Callable[[], str]
    verdict: Callable[[Open, Verdict], None]
    """Counts a verdict."""
    unsaid: Callable[[], None]
    """Counts a verdict that gets no event, since there were too many."""
    breaker: Callable[[str, str, Phase], None]
    """Told of route, model and phase of a breaker that was turned here."""
    shown: Callable[[str, str, Phase], None]
    """The same of one that was turned elsewhere."""
    refuses_unpriced: Callable[[], bool]
    """Whether models without a price are refused."""
    spent: Callable[[Iterable[tuple[Account, float]]], None]
    """Told which share of each budget is spent, now and then, each time of all whose period runs."""


class Governor:
    """Asks the policies of one worker."""

    def __init__(
        self, settings: PolicySettings, terms: Terms, seed: int, state: State, outside: Outside
    ) -> None:  # fmt: skip
        """`seed` keys all hashes."""
        self._terms = terms
        self._state = state
        self._outside = outside
        self._announcer = Announcer()
        self._breakers: OrderedDict[int, tuple[str, str, str]] = OrderedDict()
        self.expected = Expected()
        self._spending = Spending()
        self._court = Court(
            seed, outside.clock, outside.quote, outside.refuses_unpriced, self.expected, Answered(), self._tell, self._meet, outside.random,
            outside.fault, state.is_shared, self._spending.note,
        )  # fmt: skip
        self.use(settings)

    def use(self, settings: PolicySettings) -> None:
        """Take new settings; what was counted stands, and calls under way end by the old ones."""
        self._spending.forget()
        bench, gates = Bench(settings, self._terms), Gates(settings.gates, self._terms.key)  # fmt: skip
        self._rules = Rules(bench, gates, settings.tool_calls, settings.names_agents)

    def tab(self, asking: Asking) -> Tab | None:
        """Open a tab; `None` for what nothing limits: what is no work, or where all is off. Does not raise."""
        if not asking.ask.is_step:
            return None
        heed = None
        try:
            heed = self._rules.heed(asking)
            is_open = heed.is_limited or (not asking.agent and self._rules.names_agents)
            if not is_open and not self._outside.refuses_unpriced():
                return None
        except Exception:  # noqa: BLE001  # the guard of the phase judge
            self._outside.fault("judge")
        return Tab(self._court, self._rules, asking, heed)

    async def ask(self, tab: Tab, opened: Open, *, is_first: bool = False) -> None:
        """Ask for a call that nobody has been asked for while it was identified. `is_first`: of its step nothing has gone out or was counted."""
        if tab.is_heard:
            return
        is_retry, turn = opened.attempt > 0 and not is_first, opened.turn_seq or 1
        tab.place(Placed(opened.run_id, turn, opened.session_id, is_retry, opened.agent))  # fmt: skip
        try:
            answer = await self._state.claim(tab.claims, owners_of(opened.tenant, opened.run_id, opened.root_run_id, opened.session_id), tab.now_us)  # fmt: skip
        except Exception:  # noqa: BLE001  # the guard of the phase judge
            self._outside.fault("judge")
            answer = None
        if answer is None:
            tab.unheard()
        else:
            tab.hear(answer)

    def announce(self, tab: Tab, opened: Open) -> None:
        """Tell what the policies said of a call."""
        for verdict in every(tab.verdict) if tab.verdict is not None else ():
            self._announce(verdict, opened, tab.now_us, tab.allowance)

    def announce_answer(self, verdict: Verdict, opened: Open) -> None:
        """Tell what is said of the calls that an answer asks for."""
        self._announce(verdict, opened, self.now_us())

    def _announce(
        self, verdict: Verdict, opened: Open, now_us: int, allowance: int | None = None
    ) -> None:
        outside = self._outside
        is_due = self._announcer.is_due(verdict, opened, now_us, allowance)
        if is_due is None:
            return
        outside.verdict(opened, verdict)
        if is_due:
            outside.note(event_of(verdict, opened, outside.new_id()))
        else:
            outside.unsaid()

    def _meet(self, asking: Asking, key: int) -> None:
        """Remember whose a breaker is."""
        self._breakers[key] = (asking.route, asking.ask.model, asking.origin)
        self._breakers.move_to_end(key)
        if len(self._breakers) > _BREAKERS:
            self._breakers.popitem(last=False)

    def turned(self, turned: Turned) -> None:
        """Tell of a breaker that went from one phase to another."""
        route, model, upstream = self._breakers.get(turned.key, ("", "", ""))
        outside = self._outside
        outside.breaker(route, model, turned.after)
        ts_us = outside.clock()
        outside.note(event_of_breaker(turned, route, model, upstream, outside.new_id(), ts_us))  # fmt: skip

    def met(self, key: int, phase: Phase) -> None:
        """Show a breaker in the phase in which it was found; who turned it has told of it."""
        if key in self._breakers:
            route, model, _ = self._breakers[key]
            self._outside.shown(route, model, phase)

    def now_us(self) -> int:
        """Give the time by which accounts go."""
        return self._outside.clock()

    async def show(self) -> None:
        """Tell what is spent of budgets; nothing of any, where nobody can be asked."""
        now_us = self._outside.clock()
        running = self._spending.running(now_us)
        known = await self._state.spent([each.key for each in running], now_us)
        shares = [] if known is None else [(each, known[each.key] / each.limit) for each in running]  # fmt: skip
        self._outside.spent(shares)

    def tidy(self) -> None:
        """Forget some of what has expired."""
        self._state.sweep(self._outside.clock())

    def _tell(self, changes: Sequence[Change], now_us: int) -> None:
        self._state.tell(changes, now_us)
