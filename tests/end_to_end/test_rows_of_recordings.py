"""Recorded provider traffic through the whole product: each exchange is one row with the provider's own numbers and their price.

What lives here: the subset of the recordings, on a raw socket, up to the table. What does not: bytes and codings
(`test_replay_recorded.py`), which need no exporter.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.helpers.arithmetic import expected_buckets
from tests.helpers.arithmetic.recorded_cost import expected_cost_of
from tests.helpers.client import RawClient
from tests.helpers.installation import await_that
from tests.helpers.recordings import NAMES, SUBSET
from tests.helpers.replay import Playback, Tape, tapes
from tests.helpers.replaying import request_for
from tests.helpers.said import BUCKETS, OTHER_SHAPES, said_buckets
from tests.helpers.scene import Scene

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.blocking_allowed,  # the product runs in processes of its own, and is asked by plain code
]


async def test_each_recorded_exchange_is_one_row_with_the_providers_numbers(
    scene: Scene,
):
    played = tapes(SUBSET, *NAMES)
    before = scene.attempts()
    async with await RawClient.connect(
        scene.stack.product.port, record=False
    ) as client:
        for tape in played:
            scene.player.playing = Playback(tape)
            request = request_for(tape.recording.route, tape, run=f"rec-{tape.id}")
            answer = await client.call(request)
            assert answer.body == tape.body or tape.id == STRIPPED
    await_that(lambda: scene.attempts() - before >= len(played), "all rows")
    assert scene.attempts() - before == len(played)
    rows = scene.stack.sql("SELECT * FROM steps WHERE startsWith(run_id, 'rec-')")
    by_run = {row["run_id"]: row for row in rows}
    assert len(by_run) == len(rows) == len(played)
    wrong = [
        (tape.id, what)
        for tape in played
        for what in _wrong(tape, by_run[f"rec-{tape.id}"])
    ]
    assert wrong == []


STRIPPED = "c332b3b3b974-2"
"""A stream with a usage event that its request did not ask for: it looks as if we had."""


def _wrong(tape: Tape, row: dict[str, Any]) -> list[str]:
    """Name the columns that do not say what the provider said."""
    counted = {name: row[f"tok_{name}"] for name in BUCKETS}
    expected = expected_buckets(tape.recording) if tape.status < 300 else None
    is_counted = expected is not None
    facts = {
        "outcome": row["outcome"]
        == ("rejected" if tape.status >= 400 else "completed"),
        "provider": row["provider"] == tape.recording.route,
        "usage_source": (row["usage_source"] == "provider") == is_counted,
        "tokens": not is_counted or {n: c for n, c in counted.items() if c} == expected,
        "absent": not is_counted
        or tape.recording.provider in OTHER_SHAPES
        or counted == said_buckets(tape),
        "cost": not is_counted or _is_priced(tape, row),
    }
    return [name for name, holds in facts.items() if not holds]


def _is_priced(tape: Tape, row: dict[str, Any]) -> bool:
    at = datetime.fromisoformat(row["ts"]).replace(tzinfo=UTC)
    expected = expected_cost_of(tape.recording, at)
    if expected is None:
        return row["cost_source"] in ("assumed", "unpriced", "")
    found = Decimal(str(row["cost_usd"])).quantize(Decimal("1e-12"))
    source = "provider" if expected.own else "computed"
    return row["cost_source"] == source and found == Decimal(expected.total).scaleb(-12)
