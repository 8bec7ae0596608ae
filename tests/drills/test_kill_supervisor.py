"""The supervisor killed or stopped under load, and a second one on its data directory (checks D10, D11, D17).

Its children see the end of their pipe, drain and leave; a new supervisor takes the directory over while they still do.
"""

import random
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.helpers.audit import audit
from tests.helpers.installation import Installation, await_that, tacho
from tests.helpers.load import Load

COUNTS = [
    pytest.param(2, id="short"),
    pytest.param(50, id="long", marks=pytest.mark.big),
]
pytestmark = [pytest.mark.drill, pytest.mark.timeout(1200)]
Install = Callable[..., Installation]
Tell = Callable[[str], None]


@pytest.mark.parametrize("kills", COUNTS)
def test_a_killed_supervisor_loses_nothing_and_the_next_one_goes_on(
    install: Install, load: Load, tell: Tell, kills: int
) -> None:
    product, dice = install(), random.Random(load.seed)
    product.start()
    load.run(product.port)
    for _ in range(kills):
        load.wait_calls(dice.randint(5, 60))
        load.hold(streams=3)
        product.kill("supervisor")
        product.start()
        load.release()
    load.wait_calls(30)
    load.rest()
    books = audit(product, load)
    tell(books.summary("supervisor killed", kills, load.seed))
    assert [call for call in books.broken if call.id in books.arrived] == []
    assert books.lost == []
    assert books.doubled == []
    assert books.outcomes == {"completed": len(books.calls) - len(books.broken)}
    assert books.counters == books.outcomes


def test_the_children_of_a_killed_supervisor_end_by_themselves(
    install: Install, load: Load, tell: Tell
) -> None:
    product = install().start()
    load.run(product.port)
    load.wait_calls(20)
    product.kill("supervisor")
    await_that(lambda: not product.processes(), "the children to leave")
    load.rest()
    product.start()
    books = audit(product, load)
    tell(books.summary("supervisor killed, nobody follows", 1, load.seed))
    assert [call for call in books.broken if call.id in books.arrived] == []
    assert (books.lost, books.doubled) == ([], [])


@pytest.fixture
def crowd() -> Iterator[Load]:
    """A hundred agents."""
    crowd = Load(seed=100, agents=100)
    yield crowd
    crowd.close()


def test_sigterm_lets_a_hundred_streams_end(
    install: Install, crowd: Load, tell: Tell
) -> None:
    product = install(upstream=crowd.url).start()
    crowd.run(product.port)
    crowd.hold(streams=100)
    product.signal(signal.SIGTERM)
    await_that(lambda: product.status().get("status") == "stopping", "the drain")
    crowd.release()
    assert product.ended() == 0
    crowd.rest()
    product.start()
    books = audit(product, crowd)
    tell(books.summary("drained in time", 1, crowd.seed))
    assert [call for call in books.broken if call.id in books.arrived] == []
    assert (books.lost, books.doubled) == ([], [])
    assert books.counters == books.outcomes


def test_sigterm_cuts_a_hundred_streams_after_the_drain_time_and_all_are_rows(
    install: Install, crowd: Load, tell: Tell
) -> None:
    drain_seconds = 2.0
    product = install(upstream=crowd.url, timeouts={"drain_seconds": drain_seconds})
    product.start()
    crowd.run(product.port)
    crowd.hold(streams=100)
    began = time.monotonic()
    product.signal(signal.SIGTERM)
    await_that(lambda: not product.processes("proxy.worker"), "the worker's end")
    seconds = time.monotonic() - began
    assert product.ended() == 0
    crowd.rest()
    product.start()
    books = audit(product, crowd)
    tell(books.summary(f"cut after {seconds:.1f} s", 1, crowd.seed))
    cut = [call for call in books.broken if call.id in books.arrived]
    assert len(cut) == 100
    assert seconds >= drain_seconds
    assert (books.lost, books.doubled) == ([], [])
    assert books.outcomes["proxy_error"] == len(cut)
    assert books.counters == books.outcomes


def test_a_second_sigterm_ends_it_at_once_and_the_streams_are_rows_all_the_same(
    install: Install, crowd: Load, tell: Tell
) -> None:
    product = install(upstream=crowd.url, timeouts={"drain_seconds": 3600.0}).start()
    crowd.run(product.port)
    crowd.hold(streams=100)
    product.signal(signal.SIGTERM)
    await_that(lambda: product.status().get("status") == "stopping", "the drain")
    began = time.monotonic()
    product.signal(signal.SIGTERM)
    assert product.ended() == 1
    seconds = time.monotonic() - began
    crowd.rest()
    product.start()
    books = audit(product, crowd)
    tell(books.summary(f"hurried, {seconds:.1f} s", 1, crowd.seed))
    assert (books.lost, books.doubled) == ([], [])
    cut = [call for call in books.broken if call.id in books.arrived]
    assert books.outcomes["proxy_error"] + books.outcomes["proxy_crashed"] == len(cut)
    assert books.counters == books.outcomes


def test_a_second_instance_on_a_data_directory_is_refused_in_one_line(
    install: Install, load: Load
) -> None:
    first = install().start()
    second = install(data_dir=first.data_dir)
    load.run(first.port)
    load.wait_calls(10)
    refusal = tacho(second.config, "up")
    load.wait_calls(10)
    load.rest()
    books = audit(first, load)
    assert first.process is not None
    assert refusal.returncode == 3
    assert refusal.stdout == ""
    (line,) = refusal.stderr.splitlines()
    assert f"another instance (process {first.process.pid})" in line
    assert str(first.data_dir) in line
    assert (books.broken, books.lost, books.doubled) == ([], [], [])
