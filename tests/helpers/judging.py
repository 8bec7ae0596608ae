"""A bench beside the plainest keeper that follows `proxy/judge/claims.py`, for tests of policies.

What lives here: a keeper of accounts without expiry, breakers and bounds, cases, and a desk that asks both. What does not: the product's keeper
(`proxy/state/`), which has tests of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from msgspec.structs import replace

from proxy.identify.hashing import digest, key
from proxy.judge.bench import Bench
from proxy.judge.budgets import BudgetSettings
from proxy.judge.case import Case
from proxy.judge.claims import (  # fmt: skip
    NONE,
    Age,
    Answer,
    Claim,
    Finding,
    Hold,
    Level,
    Mode,
    Owners,
    Scope,
    Tail,
    Take,
    owner_of,
)
from proxy.judge.lines import Terms
from proxy.judge.settings import PolicySettings
from proxy.judge.verdict import Action, Verdict
from proxy.model import Kind

SEED = 7
NOW_US = 1_700_000_000_000_000
USD = 10**9
TERMS = Terms(partial(key, SEED), 1_800_000_000, 7_200_000_000)
CASE = Case(
    "acme", "writer", "caller-1", "openai", "openai", "https://api.openai.com", "gpt-4o", Kind.LLM, "chat", True, NOW_US,
    run_id="run-1", session_id="session-1", expected_nano=USD, worst_nano=3 * USD, expected_tokens=1000,
    input_tokens=800, body=0xB0D1,
)  # fmt: skip
QUIET = PolicySettings(
    backstop=replace(PolicySettings().backstop, mode="off"),
    caps=replace(PolicySettings().caps, mode="off"),
    spend_rate=replace(PolicySettings().spend_rate, mode="off"),
    repeat=replace(PolicySettings().repeat, mode="off"),
    cycle=replace(PolicySettings().cycle, mode="off"),
    same_error=replace(PolicySettings().same_error, mode="off"),
    no_progress=replace(PolicySettings().no_progress, mode="off"),
)
"""Everything off."""
BUDGET = BudgetSettings("team", "tenant", "day", "enforce", cost_usd=10.0)


def signature(text: str) -> int:
    """Give the hash of a text."""
    return digest(SEED, text.encode())


Place = tuple[int, str]


@dataclass
class Keeper:
    """Applies all claims or none."""

    settled: dict[Place, int] = field(default_factory=dict)
    reserved: dict[Place, int] = field(default_factory=dict)
    began: dict[Place, int] = field(default_factory=dict)
    series: dict[Place, tuple[int, ...]] = field(default_factory=dict)

    def claim(self, claims: Sequence[Claim], owners: Owners, now_us: int) -> Answer:
        """Answer as the contract says."""
        found = [each for place, claim in enumerate(claims) if (each := self._look(place, claim, owners, now_us))]  # fmt: skip
        refused = any(
            each.level > Level.WARN and _mode(claims[each.claim]) is Mode.ENFORCE
            for each in found
        )
        if refused:
            worse = tuple(each for each in found if each.level > Level.WARN)
            return Answer(False, worse, (), self._tails(claims, owners, False), owners)  # fmt: skip
        return Answer(
            True, tuple(found), self._apply(claims, owners, now_us), self._tails(claims, owners, True), owners,
        )  # fmt: skip

    def settle(self, answer: Answer, actual: int) -> None:
        """End what a call holds: every reservation comes to the same."""
        for hold in answer.holds:
            place = (hold.key, hold.owner)
            self.reserved[place] -= hold.amount
            self.settled[place] = self.settled.get(place, 0) + actual

    def _look(
        self, place: int, claim: Claim, owners: Owners, now_us: int
    ) -> Finding | None:
        account = (_key(claim), owners[_scope(claim)])
        if _is_passed_over(claim, owners):
            return None
        if isinstance(claim, Age):
            age = now_us - self.began.get(account, now_us)
            if age > claim.limit_us:
                return Finding(place, Level.OVER, age, claim.limit_us)
            near = claim.warn_us != NONE and age >= claim.warn_us
            return Finding(place, Level.WARN, age, claim.warn_us) if near else None
        if not isinstance(claim, Take):
            return None
        settled, reserved = self.settled.get(account, 0), self.reserved.get(account, 0)
        after = settled + reserved + claim.amount
        if settled >= claim.limit if claim.reserve else after > claim.limit:
            return Finding(place, Level.OVER, settled, claim.limit)
        if claim.reserve and reserved and after > claim.limit:
            return Finding(place, Level.BUSY, settled + reserved, claim.limit)
        near = claim.warn != NONE and after >= claim.warn
        return Finding(place, Level.WARN, after, claim.warn) if near else None

    def _apply(
        self, claims: Sequence[Claim], owners: Owners, now_us: int
    ) -> tuple[Hold, ...]:
        holds = []
        for place, claim in enumerate(claims):
            account = (_key(claim), owners[_scope(claim)])
            if _is_passed_over(claim, owners):
                continue
            if isinstance(claim, Age):
                self.began.setdefault(account, now_us)
            elif isinstance(claim, Take):
                book = self.reserved if claim.reserve else self.settled
                book[account] = book.get(account, 0) + claim.amount
                if claim.reserve:
                    holds.append(Hold(*account, claim.amount, 0, place))
        return tuple(holds)

    def _tails(
        self, claims: Sequence[Claim], owners: Owners, pushes: bool
    ) -> tuple[tuple[int, ...], ...]:
        found = []
        for claim in claims:
            if isinstance(claim, Tail):
                account = (claim.key, owners[claim.scope])
                series = self.series.get(account, ())
                if pushes and not _is_passed_over(claim, owners):
                    series = (*series, *claim.push)[-claim.size :]
                    self.series[account] = series
                found.append(series)
        return tuple(found)


@dataclass
class Desk:
    """Asks the bench and the keeper about one call after the other."""

    bench: Bench
    keeper: Keeper = field(default_factory=Keeper)
    answer: Answer = field(default_factory=lambda: Answer(True))

    def ask(self, case: Case, *, root: str = "") -> Verdict | None:
        """Say what becomes of a call; what it reserved stays reserved (`settle`)."""
        claims = self.bench.claims(case)
        run = owner_of(case.tenant, case.run_id)
        owners = ("", run, owner_of(case.tenant, root) or run, owner_of(case.tenant, case.session_id))  # fmt: skip
        self.answer = self.keeper.claim(claims, owners, case.now_us)
        return self.bench.verdict(self.answer, case)

    def settle(self, actual: int) -> None:
        """End the newest call."""
        self.keeper.settle(self.answer, actual)


def desk(settings: PolicySettings) -> Desk:
    """Give a desk with these settings and empty accounts."""
    return Desk(Bench(settings, TERMS))


def is_block(verdict: Verdict | None) -> bool:
    """Tell whether a call is refused."""
    return verdict is not None and verdict.action is Action.BLOCK


def _is_passed_over(claim: Claim, owners: Owners) -> bool:
    scope = _scope(claim)
    return scope is not Scope.OWN and not owners[scope]


def _key(claim: Claim) -> int:
    return claim.key


def _scope(claim: Claim) -> Scope:
    return claim.scope if isinstance(claim, Take | Age | Tail) else Scope.OWN


def _mode(claim: Claim) -> Mode:
    return claim.mode if isinstance(claim, Take | Age) else Mode.OBSERVE
