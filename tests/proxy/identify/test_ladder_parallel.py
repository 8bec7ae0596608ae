"""Equal calls at the same time that all fail: each retry takes one of them, and leaves the others for their own clients.

What lives here: retries among equals. What does not: the other rungs (`test_ladder.py`).
"""

import json

from tests.helpers.runs.tracking import Tracker

SECOND = 1_000_000
BODY = json.dumps({"messages": [{"role": "user", "content": "a"}]}).encode()


def test_each_of_equal_calls_that_failed_is_tried_again_once():
    tracker, count = Tracker(), 4
    first = [
        tracker.begin(BODY, SECOND + n, signature=1, connection=n) for n in range(count)
    ]
    for begun in first:
        tracker.end(begun, 2 * SECOND, "failed")
    again = [
        tracker.begin(BODY, 3 * SECOND + n, signature=1, connection=n, is_retry=True)
        for n in range(count)
    ]
    assert {each.decision.retry_layer for each in again} == {"sdk"}
    assert len({each.call.asked.step_id for each in again}) == count
    runs = [each.run.run_id for each in first if each.run]
    assert sorted(each.decision.run_id for each in again) == sorted(runs)
