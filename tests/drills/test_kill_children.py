"""Children of the supervisor killed at random moments under load (checks D01, D07, D12, D17).

A moment is a number of calls that are over, drawn from the seed, so that a fast machine and a slow one are hit alike. Each
life of the supervisor sees a few kills only: its pause before a restart doubles, which is not what is tested here.
"""

import random
import signal
from collections.abc import Callable

import pytest

from tests.helpers.audit import Audit, audit
from tests.helpers.installation import Installation
from tests.helpers.load import Load

KILLS_A_LIFE = 5
SHORT, LONG = 3, 50
COUNTS = [
    pytest.param(SHORT, id="short"),
    pytest.param(LONG, id="long", marks=pytest.mark.big),
]
pytestmark = [pytest.mark.drill, pytest.mark.timeout(1200)]
Install = Callable[..., Installation]
Tell = Callable[[str], None]


def drill(
    product: Installation, load: Load, name: str, kills: int
) -> tuple[Audit, list[tuple[float, float]]]:
    """Kill a child again and again under load; give the books, and when it was killed."""
    dice = random.Random(load.seed)
    moments: list[tuple[float, float]] = []
    product.start()
    while True:
        load.run(product.port)
        for number in range(min(KILLS_A_LIFE, kills - len(moments))):
            load.wait_calls(dice.randint(5, 60))
            if name == "w0" and number % 2:
                product.running(name)
                load.wait_gap()
            moments.append(product.kill(name))
        load.wait_calls(30)
        load.rest()
        if len(moments) == kills:
            return audit(product, load), moments
        assert product.stop() == 0
        product.start()


@pytest.mark.parametrize("kills", COUNTS)
@pytest.mark.parametrize("name", ["exporter", "store"])
def test_agents_notice_nothing_and_every_exchange_is_one_row_when_what_is_behind_the_spool_is_killed(
    install: Install, load: Load, tell: Tell, name: str, kills: int
) -> None:
    books, _ = drill(install(), load, name, kills)
    tell(books.summary(f"{name} killed", kills, load.seed))
    assert books.broken == []
    assert books.lost == []
    assert books.doubled == []
    assert books.outcomes == {"completed": len(books.calls)}
    assert books.counters == books.outcomes


@pytest.mark.parametrize("kills", COUNTS)
def test_a_killed_worker_breaks_its_calls_in_flight_and_nothing_else(
    install: Install, load: Load, tell: Tell, kills: int
) -> None:
    books, moments = drill(install(), load, "w0", kills)
    tell(books.summary("worker killed", kills, load.seed))
    assert books.refused == []
    assert books.broken_without_cause(moments) == []
    assert any(call.cut_in_gap for call in books.calls)
    assert books.lost == []
    assert books.doubled == []
    assert set(books.outcomes) <= {"completed", "proxy_crashed"}
    assert books.counters == books.outcomes


def test_a_store_that_aborts_is_started_again_and_the_status_says_so(
    install: Install, load: Load, tell: Tell
) -> None:
    product = install().start()
    load.run(product.port)
    load.wait_calls(20)
    product.kill("store", signal.SIGABRT)
    while "store" not in (seen := product.status()).get("degraded", ()):
        load.wait_calls(1)
    # Whether the exporter has missed it by then is chance.
    assert {*seen["degraded"]} <= {"store", "exporter: clickhouse"}
    assert seen["status"] == "degraded"
    while not (words := product.facts("store")["last_exit"]):
        load.wait_calls(1)
    assert words == "killed by SIGABRT"
    product.running("store")
    load.rest()
    books = audit(product, load)
    tell(books.summary("store aborted", 1, load.seed))
    assert product.facts("store")["restarts"] == 1
    assert (books.broken, books.lost, books.doubled) == ([], [], [])


@pytest.mark.big
def test_a_store_that_hangs_is_killed_and_started_again(
    install: Install, load: Load, tell: Tell
) -> None:
    product = install().start()
    load.run(product.port)
    load.wait_calls(20)
    product.kill("store", signal.SIGSTOP)
    while not product.facts("store")["restarts"]:
        load.wait_calls(1)
    assert product.facts("store")["last_exit"] == "killed by SIGKILL"
    product.running("store")
    load.rest()
    books = audit(product, load)
    tell(books.summary("store hung", 1, load.seed))
    assert (books.broken, books.lost, books.doubled) == ([], [], [])
