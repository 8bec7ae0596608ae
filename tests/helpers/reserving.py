"""Calls that reserve and settle on three accounts at once, in any order, beside a plain model of what ought to come of it."""

from dataclasses import dataclass, field
from random import Random

from proxy.judge.claims import (
    NONE,
    Answer,
    Change,
    Claim,
    Level,
    Mode,
    Owners,
    Scope,
    Settle,
    Take,
    owner_of,
    taken_back,
)
from tests.helpers.keepers import Keeper

TTL_US = 10**9
ENDS = ("cost", "nothing", "estimate")
Place = tuple[int, str]


@dataclass
class Call:
    claims: list[Claim]
    answer: Answer
    amount: int
    actual: int
    """What it will be settled at: less than reserved, or more."""

    @property
    def excess(self) -> int:
        return max(self.actual - self.amount, 0)


@dataclass
class Account:
    """The model: nothing but what is said in docs/limits.md."""

    limit: int
    settled: int = 0
    flying: list[Call] = field(default_factory=list)
    most: int = 0
    """What it may come to."""

    @property
    def reserved(self) -> int:
        return sum(call.amount for call in self.flying)

    def level(self, amount: int) -> Level | None:
        if self.settled >= self.limit:
            return Level.OVER
        if self.reserved and self.settled + self.reserved + amount > self.limit:
            return Level.BUSY
        return None

    def admit(self, call: Call) -> None:
        """Add it, and say the bound: the formula of docs/limits.md, over the calls in flight now."""
        others = sum(each.excess for each in self.flying)
        alone = 0 if self.reserved else max(call.actual - 1, 0)
        self.flying.append(call)
        self.most = self.limit + others + max(call.excess, alone)

    def end(self, call: Call, actual: int) -> None:
        self.flying.remove(call)
        self.settled += actual


@dataclass
class World:
    """Runs of one tenant; each call is charged to its run, its session and the tenant."""

    dice: Random
    keeper: Keeper
    now_us: int = 1_790_000_000_000_000
    scale: int = 1
    """What one unit is: nano-dollars grow large."""
    counted: int = 0
    flying: list[Call] = field(default_factory=list)
    spent: int = 0

    def __post_init__(self) -> None:
        dice = self.dice
        self.owners: list[Owners] = [
            (
                "",
                *[
                    owner_of("t", f"{name}-{number}")
                    for name in ("run", "run", "session")
                ],
            )  # type: ignore[misc]
            for number in range(2)
        ]
        self.limits = {scope: dice.randrange(1, 60) * self.scale for scope in (Scope.OWN, Scope.ROOT, Scope.SESSION)}  # fmt: skip
        self.accounts: dict[Place, Account] = {}

    def places(self, owners: Owners) -> list[Place]:
        return [(int(scope), owners[scope]) for scope in self.limits]

    def account(self, place: Place) -> Account:
        return self.accounts.setdefault(place, Account(self.limits[Scope(place[0])]))

    def begin(self, end: str = "") -> None:
        """Let a call begin that will end so: with its own cost, with nothing billed, or cut off (abort, timeout, crash): at the estimate."""
        dice = self.dice
        owners = dice.choice(self.owners)
        amount = dice.randrange(1, 12) * self.scale
        cost = max(amount + dice.randrange(-8, 8) * self.scale + dice.randrange(3), 0)
        actual = {"cost": cost, "nothing": 0, "estimate": amount}[end or dice.choice(ENDS)]  # fmt: skip
        claims: list[Claim] = [
            Take(int(scope), scope, amount, limit, NONE, Mode.ENFORCE, True, TTL_US)
            for scope, limit in self.limits.items()
        ]
        claims.append(Take(9, Scope.OWN, 1, NONE, NONE, Mode.ENFORCE, False, TTL_US))
        expected = [(at, level) for at, place in enumerate(self.places(owners)) if (level := self.account(place).level(amount))]  # fmt: skip
        answer = self.keeper.claim(claims, owners, self.now_us)
        assert [(each.claim, each.level) for each in answer.findings] == expected
        assert answer.admitted is not bool(expected)
        if answer.admitted:
            call = Call(claims, answer, amount, actual)
            self.flying.append(call)
            self.counted += 1
            for place in self.places(owners):
                self.account(place).admit(call)

    def settle(self, call: Call, actual: int, changes: list[Change]) -> None:
        self.flying.remove(call)
        self.keeper.apply(changes, self.now_us)
        self.spent += actual
        for place in self.places(call.answer.owners):
            self.account(place).end(call, actual)

    def end(self) -> None:
        if self.flying:
            call = self.dice.choice(self.flying)
            changes: list[Change] = [Settle(each.key, each.owner, each.amount, call.actual, TTL_US) for each in call.answer.holds]  # fmt: skip
            self.settle(call, call.actual, changes)

    def refuse_after_all(self) -> None:
        if self.flying:
            call = self.dice.choice(self.flying)
            self.counted -= 1
            self.settle(call, 0, taken_back(call.claims, call.answer))

    def step(self) -> None:
        self.now_us += 1
        self.dice.choice([self.begin, self.begin, self.begin, self.end, self.end, self.refuse_after_all])()  # fmt: skip

    def check(self) -> None:
        for (key, owner), account in self.accounts.items():
            assert self.keeper.used(key, owner, self.now_us) == (account.settled, account.reserved)  # fmt: skip
            assert account.settled <= max(account.most, account.limit)  # the bound
        assert self.keeper.used(9, "", self.now_us) == (self.counted, 0)

    def finish(self) -> None:
        """Settle everything: exact to the last unit, nothing left reserved."""
        while self.flying:
            self.end()
        self.check()
        assert self.keeper.used(0, "", self.now_us) == (self.spent, 0)
