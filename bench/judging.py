"""What the decision over a call costs: processor time of claiming, of settling, and of a snapshot.

What lives here: claims as a full set of policies makes them, and the arithmetic. What does not: the policies, which make the claims
(`proxy/judge`), Redis, sockets (`scenarios.py`).

Method. 1,000 runs take turns against a keeper that holds 100,000 accounts. A call claims twelve things (caps of run, root and session,
budgets, spend rate, repetition, a gate, a breaker, a series), is admitted, and is settled. Processor time over many calls, without the
garbage collector; the median of the rounds, and the fastest one, which is what other programs on the machine disturbed least.
"""

import gc
import statistics
import sys
from collections.abc import Callable, Sequence
from time import process_time_ns

import msgspec

from proxy.judge.claims import (
    NONE,
    Age,
    Answer,
    BreakerRule,
    Change,
    Claim,
    Mode,
    Owners,
    Pass,
    Permit,
    Scope,
    Settle,
    Signal,
    Tail,
    Take,
    owner_of,
)
from proxy.state.accounts import Accounts

ACCOUNTS = 100_000
RUNS = 1000
CALLS = 5000
ROUNDS = 15
HOUR_US = 3_600_000_000
DECISION = "12 claims, admitted"
_NOW_US = 1_790_000_000_000_000
_RULE = BreakerRule()
_MODE = Mode.ENFORCE
_FAR = 10**15


class Cost(msgspec.Struct, frozen=True):
    """What something costs, in microseconds of processor time."""

    what: str
    median_us: float
    fastest_us: float


def measure() -> list[Cost]:
    """Measure all."""
    gc.collect()
    gc.disable()
    try:
        return [*_decisions(), *_snapshots()]
    finally:
        gc.enable()


def line_of(cost: Cost) -> str:
    """Give a cost as one line."""
    return f"  judging {cost.what:<34} {cost.median_us:10.2f} us cpu  (fastest {cost.fastest_us:.2f})"


def claims_of(number: int) -> list[Claim]:
    """Give the twelve claims of a call of one run."""
    caller, hour = number % 50, HOUR_US
    return [
        Take(1, Scope.ROOT, 1, _FAR, _FAR, _MODE, False, hour),
        Take(2, Scope.ROOT, 40_000_000, _FAR, _FAR, _MODE, True, hour),
        Take(3, Scope.ROOT, 9_000, _FAR, _FAR, _MODE, True, hour),
        Take(4, Scope.SESSION, 40_000_000, _FAR, _FAR, _MODE, True, hour),
        Age(5, Scope.ROOT, _FAR, _FAR, _MODE, hour),
        Take(1000 + caller, Scope.OWN, 40_000_000, _FAR, _FAR, _MODE, True, hour),
        Take(2000 + caller, Scope.OWN, 40_000_000, _FAR, _FAR, _MODE, True, hour),
        Take(3000 + caller, Scope.OWN, 40_000_000, _FAR, NONE, _MODE, True, hour),
        Take(number, Scope.OWN, 1, _FAR, NONE, _MODE, False, hour),
        Pass(4000 + caller, _MODE),
        Permit(5000 + caller % 4, _MODE, _RULE),
        Tail(6, Scope.RUN, (number, number + 1), 32, hour),
    ]


def owners_of(number: int) -> Owners:
    """Name the run of a call."""
    run = owner_of("tenant", f"run-{number:08d}")
    return "", run, run, owner_of("tenant", f"session-{number % 200:08d}")


def settled(claims: Sequence[Claim], answer: Answer) -> list[Change]:
    """Give what an answer's end tells."""
    return [
        Signal(hold.key, 1, hold.permit, _RULE, 0) if hold.permit
        else Settle(hold.key, hold.owner, hold.amount, hold.amount // 2, HOUR_US)
        for hold in answer.holds
    ]  # fmt: skip


def filled(bound: int = ACCOUNTS) -> Accounts:
    """Give a keeper with so many accounts of other runs."""
    accounts = Accounts(bound)
    for number in range(bound // 4):
        accounts.claim(claims_of(number)[:4], owners_of(number + 10 * RUNS), _NOW_US)
    return accounts


def _decisions() -> list[Cost]:
    accounts = filled()
    calls = [(claims_of(each), owners_of(each)) for each in range(RUNS)]
    claiming, settling = [], []
    for _ in range(ROUNDS):
        answers: list[Answer] = []

        def claim(answers: list[Answer] = answers) -> None:
            for number in range(CALLS):
                claims, owners = calls[number % RUNS]
                answers.append(accounts.claim(claims, owners, _NOW_US + number))

        claiming.append(_took_us(claim) / CALLS)
        if not all(each.admitted and not each.findings for each in answers):
            raise ValueError("a call was refused")
        told = [settled(calls[at % RUNS][0], each) for at, each in enumerate(answers)]

        def settle(told: list[list[Change]] = told) -> None:
            for each in told:
                accounts.apply(each, _NOW_US + CALLS)

        settling.append(_took_us(settle) / CALLS)
    return [_cost(DECISION, claiming), _cost("6 changes after the answer", settling)]  # fmt: skip


def _snapshots() -> list[Cost]:
    slices = []
    for _ in range(5):
        slices += _slices(filled())
    return [_cost("a piece of a snapshot of 100,000", slices), _cost("the longest of its pieces", [max(slices)])]  # fmt: skip


def _slices(accounts: Accounts) -> list[float]:
    """Give how long each piece took; to begin is part of the first."""
    found = []
    began = process_time_ns()
    for _ in accounts.books.snapshot():
        found.append((process_time_ns() - began) / 1e3)
        began = process_time_ns()
    return found


def _took_us(work: Callable[[], None]) -> float:
    began = process_time_ns()
    work()
    return (process_time_ns() - began) / 1e3


def _cost(what: str, found: list[float]) -> Cost:
    return Cost(what, round(statistics.median(found), 2), round(min(found), 2))


if __name__ == "__main__":
    sys.stdout.write("\n".join(map(line_of, measure())) + "\n")
