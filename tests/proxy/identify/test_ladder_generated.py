"""Long generated runs of every kind, interleaved; nothing names them."""

from collections.abc import Iterable

import pytest

from proxy.state.memory import MemoryState
from proxy.state.snapshot import pieces, restore
from tests.helpers.runs.families import FAMILIES
from tests.helpers.runs.generated import KINDS, Made, interleaved
from tests.helpers.runs.judging import judge
from tests.helpers.runs.tracking import DAY_US, Tracker, report

STEP_US = 200_000


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


@pytest.mark.parametrize("family", FAMILIES)
def test_generated_runs_are_found_and_not_mixed(family):
    found, _ = track(interleaved(family, 5, 30, 40))
    precision, recall, scores = judge(found)
    report(family, len(found), "calls", round(precision, 4), round(recall, 4), scores)
    assert precision >= 0.99
    assert recall >= 0.95


@pytest.mark.big
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
