"""Long generated runs of every kind, interleaved; nothing names them."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import pytest

from proxy.state.memory import MemoryState
from proxy.state.snapshot import pieces, restore
from tests.helpers.runs.families import FAMILIES
from tests.helpers.runs.generated import KINDS, Made, interleaved
from tests.helpers.runs.tracking import DAY_US, Tracker, report

STEP_US = 200_000
Counts = dict[str, Counter[Any]]


def restarted(tracker: Tracker, snapshot: list[bytes], since: int) -> Tracker:
    """Begin anew with the snapshot and what was logged after it."""
    later = Tracker(MemoryState(100_000, DAY_US))
    for piece in snapshot:
        restore(later.state, piece)
    for run, changes in tracker.log[since:]:
        later.state.observe(run, changes)
    later._made = tracker._made
    return later


def track(made: Iterable[Made], restart_at: int = -1) -> tuple[list[tuple[Made, str, str]], Tracker]:  # fmt: skip
    tracker, found, snapshot, since = Tracker(), [], [], 0
    for number, each in enumerate(made):
        if number == restart_at - 100:
            snapshot, since = list(pieces(tracker.state)), len(tracker.log)
        if number == restart_at:
            tracker = restarted(tracker, snapshot, since)
        now = number * STEP_US
        begun = tracker.begin(each.body, now, signature=1, **dict(each.hints))
        tracker.end(begun, now + STEP_US // 2, each.state, each.text, each.calls, each.response_id)  # fmt: skip
        assert begun.run is not None
        found.append((each, begun.run.run_id, begun.decision.retry_layer))
    return found, tracker


def judge(found: list[tuple[Made, str, str]]) -> tuple[float, float, dict[str, tuple[float, float]]]:  # fmt: skip
    """Give precision and recall over pairs, and by kind; pairs are counted by groups."""
    both: Counts = defaultdict(Counter)
    made: Counts = defaultdict(Counter)
    real: Counts = defaultdict(Counter)
    for each, run_id, _ in found:
        # What quotes another run of the same job may be joined with it, but need not.
        truth = each.whole if each.kind in ("crew", "pipeline") else each.run
        must = each.whole if each.kind == "pipeline" else each.run
        both[each.kind][must, run_id] += 1
        made[each.kind][run_id] += 1
        real[each.kind][must] += 1
        both[f"{each.kind} may"][truth, run_id] += 1
    scores = {}
    total = [0, 0, 0, 0]
    for kind in real:
        pairs = [sum(n * (n - 1) // 2 for n in counts[kind].values()) for counts in (both, made, real)]  # fmt: skip
        allowed = sum(n * (n - 1) // 2 for n in both[f"{kind} may"].values())
        scores[kind] = (round(allowed / max(pairs[1], 1), 4), round(pairs[0] / max(pairs[2], 1), 4))  # fmt: skip
        total = [a + b for a, b in zip(total, [allowed, pairs[1], pairs[0], pairs[2]], strict=True)]  # fmt: skip
    # Runs of different kinds that were joined.
    kinds_of: Counts = defaultdict(Counter)
    for each, run_id, _ in found:
        kinds_of[run_id][each.kind] += 1
    mixed = sum(sum(c.values()) ** 2 - sum(n * n for n in c.values()) for c in kinds_of.values()) // 2  # fmt: skip
    return total[0] / (total[1] + mixed), total[2] / total[3], scores


@pytest.mark.parametrize("family", FAMILIES)
def test_generated_runs_are_found_and_not_mixed(family):
    found, _ = track(interleaved(family, 5, 30, 40))
    precision, recall, scores = judge(found)
    report(family, len(found), "calls", round(precision, 4), round(recall, 4), scores)
    assert precision >= 0.99
    assert recall >= 0.95


@pytest.mark.timeout(300)
def test_fifty_long_runs_survive_a_restart():
    found, tracker = track(interleaved("chat", 9, 50, 200), restart_at=4000)
    precision, recall, scores = judge(found)
    report(len(found), "calls", round(precision, 4), round(recall, 4), scores)
    assert precision >= 0.99
    assert recall >= 0.95
    assert len(tracker.state) < 80


def test_attempts_are_counted_and_layers_told():
    found, _ = track(interleaved("chat", 3, 6, 40, ("retried",)))
    assert {layer for _, _, layer in found} == {"", "sdk", "app"}
    assert [layer for _, _, layer in found] == [each.layer for each, _, _ in found]


def test_each_document_of_a_pipeline_is_one_run():
    found, _ = track(interleaved("chat", 2, 40, 0, ("pipeline",)))
    precision, recall, _ = judge(found)
    assert (precision, recall) == (1.0, 1.0)


def test_every_kind_is_generated():
    made = {each.kind for each in interleaved("chat", 1, len(KINDS), 8)}
    assert made == KINDS.keys()
