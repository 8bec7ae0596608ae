"""What must be true of the rows after a drill, held against what the agents and the upstream saw.

What lives here: the wait until nothing is on its way any more, the comparison, the one-line summary. What does not: the
drills, and the product's own idea of what it did, but for the counters that are compared with the rows.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.helpers.installation import Installation, await_that
from tests.helpers.load import Call, Load

ROWS = "SELECT run_id, attempt_id, outcome, error_type FROM steps WHERE part = 0"


@dataclass(frozen=True)
class Audit:
    """The books after a drill: every list must be empty unless the drill says otherwise."""

    calls: Sequence[Call]
    rows: Sequence[dict[str, Any]]
    arrived: Counter[str]
    counters: Counter[str]
    """`tacho_attempts_total` by outcome."""

    @property
    def by_run(self) -> Counter[str]:
        return Counter(row["run_id"] for row in self.rows)

    @property
    def broken(self) -> list[Call]:
        """Calls whose agent did not get all of an answer with status 200."""
        return [call for call in self.calls if not call.whole]

    @property
    def refused(self) -> list[Call]:
        return [call for call in self.calls if call.refused]

    @property
    def lost(self) -> list[str]:
        """Calls that an agent saw finished, or the upstream saw at all, without the row that they must have."""
        completed = {
            row["run_id"] for row in self.rows if row["outcome"] == "completed"
        }
        any_row = self.by_run
        lost = [
            f"{call} has no completed row: {[r for r in self.rows if r['run_id'] == call.id]}"
            for call in self.calls
            if call.finished and call.id not in completed
        ]
        return lost + [f"{each} arrived upstream and has no row" for each in self.arrived if each not in any_row]  # fmt: skip

    @property
    def doubled(self) -> list[str]:
        """Rows beyond one for each attempt, attempts beyond one for each call, and rows of no call."""
        attempts = Counter(row["attempt_id"] for row in self.rows)
        known = {call.id for call in self.calls}
        return [
            *(f"attempt {each} has {count} rows" for each, count in attempts.items() if count > 1),
            *(f"{each} has {count} rows" for each, count in self.by_run.items() if count > 1),
            *(f"{each} came {count} times upstream" for each, count in self.arrived.items() if count > 1),
            *(f"a row of {each}, which nobody called" for each in self.by_run if each not in known),
        ]  # fmt: skip

    @property
    def outcomes(self) -> Counter[str]:
        """Rows by outcome."""
        return Counter(row["outcome"] for row in self.rows)

    def broken_without_cause(self, kills: Sequence[tuple[float, float]]) -> list[str]:
        """Calls that broke although nothing was killed between their beginning and their end, and how far off it was."""
        return [
            f"{call}: {[round(began - call.began, 4) for began, _ in kills if abs(began - call.began) < 5]}"
            for call in self.broken
            if not any(
                call.began <= dead and began <= call.ended for began, dead in kills
            )
        ]

    def summary(self, name: str, kills: int, seed: int) -> str:
        """Say it in one line."""
        gap = sum(call.cut_in_gap for call in self.calls)
        return (
            f"{name}: kills={kills} calls={len(self.calls)} broken={len(self.broken)} (in the gap {gap}) "
            f"refused={len(self.refused)} rows={len(self.rows)} lost={len(self.lost)} doubled={len(self.doubled)} "
            f"outcomes={dict(self.outcomes)} seed={seed}"
        )


def settle(product: Installation, other_half: Installation | None = None) -> None:
    """Wait until no call is under way and every record is a row in the store."""
    export = other_half or product
    try:
        await_that(lambda: _is_settled(product, export), "the rows to settle")
    except AssertionError as error:
        raise AssertionError(f"{error}: {export.status()}") from error


def _is_settled(proxy: Installation, export: Installation) -> bool:
    worker, exporter = proxy.says("w0"), export.says("exporter")
    if (
        not worker
        or not exporter
        or worker["inflight"]
        or exporter["pending_exchanges"]
    ):
        return False
    delivered = exporter["destinations"]["clickhouse"]
    # Not the lag: rows that the destination has not looked at yet do not show in it.
    is_idle = delivered["idle"] and not delivered["last_error"]
    return bool(exporter["caught_up"] and is_idle)


def audit(product: Installation, load: Load) -> Audit:
    """Settle, then draw up the books; the agents must be at rest."""

    def all_there() -> bool:
        with suppress(OSError):
            known = {row["run_id"] for row in product.rows(ROWS)}
            return known >= load.upstream.arrived.keys()
        return False

    with suppress(AssertionError):  # what is missing then shows in the books
        await_that(all_there, "a row of every exchange")
    settle(product)
    rows = await_that(lambda: _answer(product), "the store")
    outcomes = Counter(str(row["outcome"]) for row in rows)
    # A worker takes over the counters of one that was still draining within its next few checkpoints.
    with suppress(AssertionError):
        await_that(lambda: _counters(product) == outcomes, "the counters")
    return Audit(
        tuple(load.calls), rows, load.upstream.arrived.copy(), _counters(product)
    )


def _counters(product: Installation) -> Counter[str]:
    return product.counters("tacho_attempts_total", "outcome")


def _answer(product: Installation) -> list[dict[str, Any]]:
    with suppress(OSError):
        return product.rows(ROWS)
    return []
