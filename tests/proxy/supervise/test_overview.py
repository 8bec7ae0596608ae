"""Health, readiness and status of the whole."""

from dataclasses import dataclass
from typing import Any, cast

import pytest

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
