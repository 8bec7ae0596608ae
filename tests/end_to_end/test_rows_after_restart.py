"""Rows can be asked for when the product is stopped, and after a restart rows and counters go on where they were.

What lives here: an orderly stop and a new start. What does not: kills (`test_drill_*.py`).
"""

import http.client
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.installation import Installation, await_that
from tests.helpers.replay import Player
from tests.helpers.sdk import answer
from tests.helpers.stack import Stack, running_stack

pytestmark = pytest.mark.timeout(300)

ASKED = b'{"model":"gpt-4o","messages":[{"role":"user","content":"Hello."}]}'
ROWS = "SELECT run_id, step_seq, tok_input, tok_output, cost_usd FROM steps ORDER BY ts"
TOKENS = {"input": 11, "output": 3}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    player = Player()
    player.script = [answer("openai") for _ in range(3)]
    with running_stack(tmp_path, player) as stack:
        yield stack


def call(stack: Stack) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", stack.product.port, timeout=60)
    try:
        connection.request("POST", "/run/R1/openai/v1/chat/completions", ASKED)
        assert connection.getresponse().read().endswith(b"}")
    finally:
        connection.close()


def attempts(product: Installation) -> Counter[str]:
    return product.counters("tacho_attempts_total", "outcome")


def test_rows_are_there_when_stopped_and_counted_once_when_started_again(stack: Stack):
    product = stack.product
    call(stack)
    assert product.stop() == 0, product.said()
    (first,) = stack.sql(ROWS)
    assert (
        first["run_id"],
        first["step_seq"],
        first["tok_input"],
        first["tok_output"],
    ) == ("R1", 1, 11, 3)
    assert first["cost_usd"] > 0
    product.start()
    assert await_that(lambda: attempts(product), "the counters") == {"completed": 1}
    for _ in range(2):
        call(stack)
    await_that(lambda: len(product.rows(ROWS)) == 3, "three rows")
    rows = stack.sql(ROWS)
    assert rows[0] == first
    assert [row["step_seq"] for row in rows] == [1, 2, 3]
    await_that(lambda: attempts(product) == {"completed": 3}, "three attempts counted")
    tokens = product.counters("tacho_tokens_total", "type")
    assert tokens == {kind: 3 * count for kind, count in TOKENS.items()}
