"""What files, metrics and foreign clients say of calls is what the rows say.

What lives here: JSON lines, the admin port's counters, ClickHouse's own Python client. What does not: the rows themselves
(`test_rows_of_calls.py`).
"""

import json
import re
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest

from tests.helpers.installation import await_that
from tests.helpers.said import BUCKETS
from tests.helpers.scene import Scene
from tests.helpers.stack import Stack

pytestmark = pytest.mark.timeout(300)


def test_the_files_hold_the_same_rows(scene: Scene):
    (file,) = scene.stack.product.place.glob("jsonl/steps*.jsonl")

    def lines() -> list[dict[str, Any]]:
        return [
            json.loads(line)
            for line in file.read_text().rpartition("\n")[0].splitlines()
        ]

    # All rows there are, since other tests may have called after the scene was made.
    stored = scene.stack.sql("SELECT attempt_id, part FROM steps")
    keys = sorted((row["attempt_id"], row["part"]) for row in stored)
    await_that(
        lambda: sorted((row["attempt_id"], row["part"]) for row in lines()) == keys,
        "the same rows in the file, each once",
    )
    written = {(row["attempt_id"], row["part"]): row for row in lines()}
    for row in scene.rows:
        other = written[row["attempt_id"], row["part"]]
        assert {name: _plain(name, value) for name, value in row.items()} == {
            name: _plain(name, value) for name, value in other.items()
        }


def _plain(name: str, value: Any) -> Any:
    """Give money as a number, whichever way it is written."""
    is_money = value is not None and (name.endswith("_usd") or name == "rate_input")
    return Decimal(str(value)).quantize(Decimal("1e-12")) if is_money else value


def test_the_counters_are_the_rows(scene: Scene):
    rows = scene.stack.sql("SELECT * FROM steps")
    whole = [row for row in rows if row["part"] == 0]
    attempts = Counter(
        (row["tenant"], row["agent"], row["route"], row["kind"], row["outcome"])
        for row in whole
    )
    names = ("tenant", "agent", "route", "kind", "outcome")

    def page() -> Samples:
        """Ask again where the worker was too late for a page, as it may be on a busy machine."""
        found = _metrics(scene.stack)
        return found if _by(found, "tacho_attempts_total", *names) == attempts else []

    metrics = await_that(page, f"the counters {attempts}")
    steps = Counter(
        (row["tenant"], row["agent"], row["kind"])
        for row in whole
        if row["is_step"] and not row["attempt"]
    )
    assert _by(metrics, "tacho_steps_total", "tenant", "agent", "kind") == steps
    tokens: Counter[tuple[str, ...]] = Counter()
    for row in rows:
        tokens.update(
            {(row["agent"], bucket): row[f"tok_{bucket}"] or 0 for bucket in BUCKETS}
        )
    assert _by(metrics, "tacho_tokens_total", "agent", "type") == +tokens
    dollars = sum(Decimal(str(row["cost_usd"] or 0)) for row in rows)
    counted = sum(_by(metrics, "tacho_cost_usd_total", "agent").values())
    assert counted == pytest.approx(float(dollars), rel=1e-9)
    assert not _by(metrics, "tacho_inflight", "route")
    assert not _by(metrics, "tacho_dropped_total", "reason")


_SAMPLE = re.compile(r"^(\w+)\{(.*)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
Samples = list[tuple[str, dict[str, str], float]]


def _metrics(stack: Stack) -> Samples:
    status, text = stack.product.admin("/metrics")
    assert status == 200
    return [
        (name, dict(_LABEL.findall(labels)), float(value))
        for name, labels, value in _SAMPLE.findall(text)
    ]


def _by(metrics: Samples, metric: str, *names: str) -> Counter[tuple[str, ...]]:
    """Sum a metric's samples over all labels but these."""
    totals: Counter[tuple[str, ...]] = Counter()
    for name, labels, value in metrics:
        if name == metric:
            totals[tuple(labels[each] for each in names)] += value  # type: ignore[assignment]
    return +totals


def test_a_foreign_client_reads_with_the_read_token_and_writes_nothing(scene: Scene):
    data_dir: Path = scene.stack.product.data_dir
    host, _, port = (data_dir / "run" / "store.address").read_text().rpartition(":")
    token = (data_dir / "read_token").read_text().strip()
    client = clickhouse_connect.get_client(
        host=host, port=int(port), username="reader", password=token, database="tacho"
    )
    try:
        found = client.query(
            "SELECT run_id, count() AS n, sum(cost_usd) FROM steps WHERE run_id = {run:String} GROUP BY run_id",
            parameters={"run": "R1"},
        )
        cost = sum(Decimal(str(row["cost_usd"])) for row in scene.of_run("R1"))
        assert found.result_rows == [("R1", 2, cost)]
        for statement in (
            "INSERT INTO steps (attempt_id) VALUES ('x')",
            "DROP TABLE steps",
            "TRUNCATE TABLE steps",
        ):
            with pytest.raises(clickhouse_connect.driver.exceptions.DatabaseError):
                client.command(statement)
    finally:
        client.close()
