"""Recorded provider traffic through the whole product: each exchange is one row with the provider's own numbers.

What lives here: the subset of the recordings, on a raw socket, up to the table. What does not: bytes and codings
(`test_replay_recorded.py`), which need no exporter.
"""

import pytest

from tests.helpers.client import RawClient
from tests.helpers.installation import await_that
from tests.helpers.recordings import SUBSET
from tests.helpers.replay import Playback, Tape, tapes
from tests.helpers.replaying import request_for
from tests.helpers.said import BUCKETS, said_buckets
from tests.helpers.scene import Scene

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.blocking_allowed,  # the product runs in processes of its own, and is asked by plain code
]


async def test_each_recorded_exchange_is_one_row_with_the_providers_numbers(
    scene: Scene,
):
    played = [
        (name, tape) for name in ("openai", "anthropic") for tape in tapes(SUBSET, name)
    ]
    before = scene.attempts()
    async with await RawClient.connect(
        scene.stack.product.port, record=False
    ) as client:
        for name, tape in played:
            scene.player.playing = Playback(tape)
            answer = await client.call(request_for(name, tape, run=f"rec-{tape.id}"))
            assert answer.body == tape.body or tape.id == STRIPPED
    await_that(lambda: scene.attempts() - before >= len(played), "all rows")
    assert scene.attempts() - before == len(played)
    rows = scene.stack.sql("SELECT * FROM steps WHERE startsWith(run_id, 'rec-')")
    by_run = {row["run_id"]: row for row in rows}
    assert len(by_run) == len(rows) == len(played)
    wrong = [tape.id for _, tape in played if not _fits(tape, by_run[f"rec-{tape.id}"])]
    assert wrong == []


STRIPPED = "c332b3b3b974-2"
"""A stream with a usage event that its request did not ask for: it looks as if we had."""


def _fits(tape: Tape, row: dict[str, object]) -> bool:
    said = said_buckets(tape)
    is_error = tape.status >= 400
    ended = row["outcome"] == ("rejected" if is_error else "completed")
    if said is None:
        return ended and row["usage_source"] in ("none", "estimated")
    return ended and {bucket: row[f"tok_{bucket}"] for bucket in BUCKETS} == said
