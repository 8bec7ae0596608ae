"""Health, readiness and status of the whole."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from proxy.allowance import Said
from proxy.control_client import ControlClient, UnreachableError
from proxy.supervise.children import ChildProcess
from proxy.supervise.metrics import MetricsOfAll
from proxy.supervise.overview import Overview
from proxy.supervise.spec import ChildSpec, State


@dataclass
class Child:
    """As much of a `ChildProcess` as the overview looks at; workers are vital."""

    name: str
    state: State = State.RUNNING
    healthy: bool = True
    answers: bool = True
    complaints: tuple[str, ...] = ()
    pid: int | None = None
    restarts: int = 0
    last_exit: str = ""

    @property
    def spec(self) -> ChildSpec:
        return ChildSpec(self.name, (), is_vital=self.name.startswith("w"))

    def since_seconds(self) -> float:
        return 1.0


@dataclass
class Client:
    """Answers `/status`, or not."""

    said: dict[str, Any] | None
    allows: tuple[int, dict[str, Any]] | None = None
    wishes: list[dict[str, Any]] = field(default_factory=list)

    async def exchange(
        self, method: str, path: str, timeout_seconds: float, body: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        assert (method, path) == ("POST", "/allow")
        self.wishes.append(body)
        if self.allows is None:
            raise UnreachableError("silent")
        return self.allows

    async def status(self, timeout_seconds: float) -> dict[str, Any]:
        assert timeout_seconds <= 1.0
        if self.said is None:
            raise UnreachableError("silent")
        return self.said


class Metrics:
    """Gives fixed totals."""

    async def totals(self) -> dict[str, Any]:
        return {"inflight": 3.0}


def overview(*children: Child, said: dict[str, Any] | None = None) -> Overview:
    return Overview(
        [cast("ChildProcess", child) for child in children],
        {child.name: cast("ControlClient", Client(said)) for child in children},
        cast("MetricsOfAll", Metrics()),
        {"version": "1"},
    )


@pytest.mark.parametrize(
    "exporter", [Child("exporter", State.BACKING_OFF), Child("exporter", healthy=False)]
)
def test_a_dead_exporter_degrades_and_no_more(exporter: Child):
    whole = overview(Child("w0"), exporter)
    assert whole.health() == (True, {"status": "degraded", "degraded": ["exporter"]})
    assert whole.ready() == (True, {"ready": True, "degraded": ["exporter"]})


def test_what_a_child_names_as_failing_is_named_without_what_others_said():
    exporter = Child(
        "exporter", complaints=("jsonl: No space left on /var/x", "dead letters")
    )
    whole = overview(Child("w0", complaints=("spool: disk_full",)), exporter)
    assert whole.health() == (
        True,
        {
            "status": "degraded",
            "degraded": ["w0: spool", "exporter: jsonl", "exporter: dead letters"],
        },
    )


def test_a_dead_worker_is_unhealthy_and_not_ready():
    whole = overview(Child("w0", State.BACKING_OFF), Child("exporter"))
    assert whole.health() == (False, {"status": "unhealthy", "degraded": ["w0"]})
    assert whole.ready()[0] is False


def test_one_worker_of_several_is_enough_and_each_that_fails_is_named():
    dead = Child("w1", State.BACKING_OFF)
    whole = overview(Child("w0"), dead, Child("exporter"))
    assert whole.health() == (True, {"status": "degraded", "degraded": ["w1"]})
    assert whole.ready()[0] is True
    whole = overview(Child("w0", healthy=False), dead, Child("exporter"))
    assert whole.health()[1] == {"status": "unhealthy", "degraded": ["w0", "w1"]}


def test_a_drain_is_healthy_and_not_ready():
    whole = overview(Child("w0", State.STOPPING))
    whole.stopping = True
    assert (whole.health()[0], whole.ready()[0]) == (True, False)


async def test_status_puts_all_together():
    status = await overview(
        Child("w0", restarts=2, last_exit="killed by SIGKILL"), said={"inflight": 3}
    ).status()
    assert status["version"] == "1"
    assert status["inflight"] == 3.0
    assert status["processes"]["w0"] == {
        "state": "running",
        "healthy": True,
        "pid": None,
        "restarts": 2,
        "last_exit": "killed by SIGKILL",
        "since_seconds": 1.0,
        "resident_bytes": None,
        "cpu_seconds": None,
        "says": {"inflight": 3},
    }


@pytest.mark.parametrize(
    "child", [Child("w0"), Child("w0", answers=False), Child("w0", State.STARTING)]
)
async def test_who_says_nothing_is_shown_without_words(child: Child):
    assert (await overview(child).status())["processes"]["w0"]["says"] is None


async def test_a_drain_shows_in_the_status():
    whole = overview(Child("w0", State.STOPPING))
    whole.stopping = True
    assert (await whole.status())["status"] == "stopping"


def allowing(clients: list[Client], *states: State) -> Overview:
    children = [Child(f"w{at}", each) for at, each in enumerate(states)]
    whole = overview(*children, Child("store"))
    whole.clients = {each.name: cast("ControlClient", client) for each, client in zip(children, clients, strict=True)}  # fmt: skip
    return whole


RUNS, WAITS = State.RUNNING, State.BACKING_OFF
DONE: Said = (200, {"allowed": True})
AWAY: Said = (503, {"error": {}})
UNKNOWN: Said = (404, {"error": {}})


@pytest.mark.parametrize(
    ("said", "states", "status", "asked"),
    [
        ([DONE, DONE], [RUNS, RUNS], 200, [1, 0]),
        ([None, DONE], [RUNS, RUNS], 200, [1, 1]),
        ([AWAY, DONE], [RUNS, RUNS], 200, [1, 1]),
        ([AWAY, None], [RUNS, RUNS], 503, [1, 1]),
        ([UNKNOWN, DONE], [RUNS, RUNS], 404, [1, 0]),
        ([DONE, DONE], [WAITS, RUNS], 200, [0, 1]),
        ([None], [RUNS], 503, [1]),
        ([], [], 503, []),
    ],
)
async def test_a_wish_goes_to_a_worker_that_can_fulfil_it(said: list[Any], states: list[State], status: int, asked: list[int]):  # fmt: skip
    clients = [Client(None, each) for each in said]
    found = await allowing(clients, *states).allow(b'{"run":"r1"}')
    assert found[0] == status
    assert [len(each.wishes) for each in clients] == asked
    wishes = [wish for each in clients for wish in each.wishes]
    assert len({wish["id"] for wish in wishes}) <= 1  # one wish, whoever is asked
    assert all(wish["run"] == "r1" and wish["id"] for wish in wishes)


async def test_a_wish_with_a_name_keeps_it_and_one_that_is_none_goes_nowhere():
    client = Client(None, DONE)
    whole = allowing([client], RUNS)
    assert await whole.allow(b'{"run":"r1","id":"mine","session":true}') == DONE
    assert client.wishes == [{"run": "r1", "id": "mine", "session": True}]
    assert (await whole.allow(b"{}"))[0] == 400
    assert len(client.wishes) == 1
