"""What a replay found, as lines: the summary, both tables, and what must be said beside them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from proxy.cli.whatif_found import ByPolicy, Found, Saving, StoppedRun
from proxy.cli.whatif_report import report

AT = datetime(2026, 11, 22, 17, 10, tzinfo=UTC)
MUCH = Saving(1000, 900, 12_000_000, Decimal(100))
SOME = Saving(200, 190, 3_000_000, Decimal(40))
NOTHING = Saving(0, 0, 0, Decimal(0))


def stopped(run: str = "nightly-1", **changes: Any) -> StoppedRun:
    fields: dict[str, Any] = {
        "tenant": "acme", "run": run, "agent": "writer", "outcome": "success", "is_reported": True, "step": 21, "at": AT, "step_id": "s",
        "policy": "caps", "reason": "step_limit", "scope": "run", "value": "20", "threshold": "20", "with_parent": "",
        "spent": SOME, "saved": SOME,
    }  # fmt: skip
    return StoppedRun(**(fields | changes))


def found(*rows: StoppedRun, **changes: Any) -> Found:
    fields: dict[str, Any] = {
        "since": AT, "runs": 10, "calls": MUCH, "saved": SOME if rows else NOTHING, "successes": 4, "successes_stopped": len(rows),
        "unknown": 0, "waits": 0, "refused_before": 0, "longest_steps": 38, "dearest_usd": Decimal("2.5"),
        "by_policy": (ByPolicy("caps", len(rows), 0, SOME),) if rows else (), "stopped": rows, "not_replayed": (),
    }  # fmt: skip
    return Found(**(fields | changes))


def lines(said: Found, width: int = 110, limit: int = 20) -> list[str]:
    return [line.plain for line in report(said, width, limit)]


def test_the_summary_says_how_many_of_all_what_is_saved_and_which_were_good():
    first, second, third, *_ = lines(found(stopped()))
    assert first == "since 2026-11-22 17:10 UTC: 10 runs, 1,000 calls, 12.00M tokens, $100.00"  # fmt: skip
    assert second == "1 of them would have been stopped, which saves at most $40.00 (40 %): 200 calls, 3.00M tokens"  # fmt: skip
    assert third == "4 runs reported a success, of which 1 would have been cut"


def test_without_reports_nobody_knows_which_were_good():
    assert lines(found(stopped(), successes=0))[2].startswith("no run was reported a success, so")  # fmt: skip


def test_where_none_would_have_been_stopped_the_largest_says_where_to_begin():
    assert lines(found())[1:] == [
        "none would have been stopped; the largest took 38 steps, the dearest $2.50: try less, as in --caps steps=N,cost_usd=N"
    ]


def test_tables_have_a_line_for_each_policy_and_run():
    said = lines(found(stopped(), stopped("nightly-2", outcome="", agent="")))
    at = said.index("policy runs  saved calls refused outside runs")
    assert said[at + 1] == "caps      2 $40.00   200                    -"
    head, first, second = said[at + 3 : at + 6]
    assert head == "run       agent  outcome at step why                       spent  saved calls"  # fmt: skip
    assert first == "nightly-1 writer success      21 caps step_limit 20 of 20 $40.00 $40.00   200"  # fmt: skip
    assert second.split()[:3] == ["nightly-2", "-", "-"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"scope": "turn"}, "caps step_limit 20 of 20 (turn)"),
        ({"reason": "cost_limit", "value": "25.07864", "threshold": "25"}, "caps cost_limit 25.08 of 25"),
        ({"reason": "cost_limit", "value": "0.01234567", "threshold": "0.01"}, "caps cost_limit 0.0123 of 0.0100"),
        ({"with_parent": "p"}, "its parent had stopped: caps step_limit 20 of 20"),
        ({"policy": "budgets:" + "x" * 60}, "budgets:" + "x" * 39 + "…"),
    ],
    ids=str,
)  # fmt: skip
def test_the_reason_says_which_limit_it_was_and_of_what(
    changes: dict[str, Any], why: str
):
    assert any(why in line for line in lines(found(stopped(**changes)), width=140))


def test_calls_outside_runs_have_a_column():
    said = found(by_policy=(ByPolicy("budgets:own", 0, 1234, SOME),), saved=SOME)
    assert "budgets:own    0 $40.00   200                1,234" in lines(said)
    assert lines(said)[1].startswith("0 of them would have been stopped, which saves")


def test_long_ids_are_cut_as_in_the_list_of_runs_but_stay_apart():
    ids = [f"01a0000000000bf4{'0' * 12}{n}{'0' * 7}" for n in range(3)]
    names = [line.split()[0] for line in lines(found(*map(stopped, ids)), width=100) if line.startswith("01a")]  # fmt: skip
    assert len({*names}) == 3
    assert all(each.endswith("…") for each in names)


def test_what_is_not_shown_is_counted():
    rows = [stopped(f"r{n}") for n in range(5)]
    assert "3 runs more; see them with --limit 5 or --json" in lines(found(*rows), limit=2)  # fmt: skip


def test_names_move_no_cursor():
    assert not any("\x1b" in line for line in lines(found(stopped("a\x1b[2J", agent="\x1b[1m", policy="budgets:\x1b"))))  # fmt: skip


def test_remarks_say_what_the_figures_are_not():
    said = found(stopped(outcome="ended", is_reported=False), unknown=3, waits=2, refused_before=1, not_replayed=("breaker", "same_error"))  # fmt: skip
    text = lines(said)[-6:]
    assert "ended?" in "".join(lines(said))
    assert text == [
        "at most: a refused agent may do something else instead, and calls under way would have gone on",
        "? inferred, since nobody reported",
        "3 runs: too many to ask how each went",
        "2 calls put off for others under way, and taken as made",
        "1 run ended in a refusal then: how that would have gone on nobody knows",
        "not replayed, since rows have no bodies, results, headers and limits of requests: breaker, same_error",
    ]  # fmt: skip
