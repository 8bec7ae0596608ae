"""Runs as the store shows them, through the whole product: agents interleaved, a worker killed in the middle, runs that end.

What lives here: what `SELECT` says of runs. What does not: what the worker alone records of them (`test_runs_of_loops.py`).
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.installation import Installation, await_that, product_at
from tests.helpers.loops import LOOPS, PLAN, SAID, Loop
from tests.helpers.simulated import simulated

pytestmark = pytest.mark.timeout(300)
STEPS = 4
CALLS = "SELECT run_id, run_source, step_seq, turn_seq, attempt, agent, step_name, tok_output FROM steps ORDER BY ts"
ENDS = "SELECT run_id, type, reason, value, detail FROM events WHERE type = 'run_end'"


@contextmanager
def product(place: Path, **settings: Any) -> Iterator[Installation]:
    with simulated() as provider, product_at(place, provider.url, **settings) as found:
        yield found


def rows(installed: Installation, statement: str, count: int) -> list[dict[str, Any]]:
    return await_that(lambda: _rows(installed, statement, count), f"{count} rows")


def _rows(installed: Installation, statement: str, count: int) -> list[dict[str, Any]]:
    found = installed.rows(statement)
    return found if len(found) >= count else []


def test_a_run_goes_on_after_its_worker_was_killed(tmp_path: Path):
    with product(tmp_path) as installed:
        loop = Loop(f"http://127.0.0.1:{installed.port}")
        loop.step()
        loop.step()
        installed.kill("w0")
        installed.running("w0")
        loop.step()
        assert loop.step() == SAID
        found = rows(installed, CALLS, STEPS)
    assert len({row["run_id"] for row in found}) == 1
    assert [row["step_seq"] for row in found] == [1, 2, 3, 4]
    assert [row["run_source"] for row in found] == ["new", *["continuation"] * 3]


def test_agents_at_the_same_time_are_one_run_each_and_each_ends_once(tmp_path: Path):
    with product(tmp_path, runs={"idle_seconds": 8}) as installed:
        root = f"http://127.0.0.1:{installed.port}"
        threads = [
            threading.Thread(target=work, args=(root, PLAN, stream))
            for work in LOOPS.values()
            for stream in (False, True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        count = len(threads)
        found = rows(installed, CALLS, count * STEPS)
        ends = rows(installed, ENDS, count)
        installed.kill("w0")
        installed.running("w0")
        counters = await_that(
            lambda: installed.counters("tacho_runs_total", "outcome"), "the counters"
        )
        assert counters == {"ended": count}
        ends = rows(installed, ENDS, count)
    by_run: dict[str, list[int]] = {}
    for row in found:
        by_run.setdefault(row["run_id"], []).append(row["step_seq"])
    assert list(by_run.values()) == [[1, 2, 3, 4]] * count
    assert sorted(end["run_id"] for end in ends) == sorted(by_run)
    assert {json.loads(end["detail"])["steps"] for end in ends} == {STEPS}
    assert all(float(end["value"]) > 0 for end in ends)
