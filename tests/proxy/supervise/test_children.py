"""A child is kept running, watched, reloaded and stopped."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.control_client import ControlClient
from proxy.errors import StartError
from proxy.supervise.backoff import Backoff
from proxy.supervise.children import ChildProcess, first_ready
from proxy.supervise.spec import ChildSpec, State, Watch
from tests.helpers.processes import environ, fake_argv, notes, until

OFTEN = Watch(every_seconds=0.02, answer_within_seconds=60.0, misses=2)
"""Asked often; a busy machine is no reason to take a child for hung."""


class Trusting(ControlClient):
    """Where `trusts` is set, takes the child for healthy without asking it."""

    trusts = False

    async def health(self, timeout_seconds: float) -> tuple[bool, tuple[str, ...]]:
        return (True, ()) if self.trusts else await super().health(timeout_seconds)


class Running:
    """A child under a task of its own, and what was logged about it."""

    def __init__(
        self,
        child: ChildProcess,
        control: Trusting,
        data_dir: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        self.child = child
        self.data_dir = data_dir
        self.control = control
        self._caplog = caplog

    def logged(self) -> list[tuple[str, dict[str, Any]]]:
        return [
            (record.message, vars(record)["detail"]) for record in self._caplog.records
        ]

    async def notes(self) -> list[str]:
        return await asyncio.to_thread(notes, self.data_dir, "fake")

    async def noted(self, word: str) -> None:
        await until(lambda: word in " ".join(notes(self.data_dir, "fake")), word)

    async def state(self, state: State) -> None:
        await until(lambda: self.child.state is state, f"state {state}")


Start = Callable[..., Any]


@pytest.fixture
def start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Start:
    @asynccontextmanager
    async def run(
        *options: str, argv: tuple[str, ...] = (), **spec: Any
    ) -> AsyncIterator[Running]:
        wanted = {"watch": OFTEN, "stop_within_seconds": 60.0, **spec}
        control = Trusting(tmp_path, "fake")
        child = ChildProcess(
            ChildSpec("fake", argv or fake_argv("fake", tmp_path, *options), **wanted),
            environ(),
            control,
            Backoff(lambda: 0.0, first_seconds=0.02),
        )
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(child.run())
            yield Running(child, control, tmp_path, caplog)
            await child.hurry(1.0)
            await task

    return run


async def test_a_child_runs_once_it_says_ready(start: Start):
    async with start() as running:
        assert running.child.state in (State.WAITING, State.STARTING)
        await first_ready(running.child)
        assert running.child.state is State.RUNNING
        assert running.child.pid is not None
        assert running.child.healthy
    await running.state(State.STOPPED)
    assert running.child.pid is None


async def test_a_killed_child_comes_back_and_its_end_is_told(start: Start):
    async with start() as running:
        await first_ready(running.child)
        first = running.child.pid
        os.kill(first, signal.SIGKILL)
        await until(lambda: running.child.pid not in (None, first), "another process")
        await running.state(State.RUNNING)
        assert running.child.restarts == 1
        assert running.child.last_exit == "killed by SIGKILL"
        assert running.logged()[0][0] == "child_died"


async def test_a_child_that_crashes_at_its_start_is_tried_again_and_again(start: Start):
    async with start("--crash") as running:
        await until(lambda: running.child.restarts >= 2, "two restarts")
        with pytest.raises(StartError, match=r"fake did not start .killed by SIGABRT"):
            await first_ready(running.child)


async def test_a_child_that_refuses_to_start_gives_its_exit_status(start: Start):
    async with start("--refuse") as running:
        await running.child.died.wait()
        assert running.child.exit_status == 3
        assert running.child.last_exit == "exit status 3"


async def test_a_program_that_is_not_there_is_an_end_like_others(start: Start):
    async with start(argv=("/nowhere/at/all",)) as running:
        await running.child.died.wait()
        assert (
            running.child.last_exit == "could not be started: No such file or directory"
        )


async def test_a_child_that_never_gets_ready_is_killed(start: Start):
    async with start("--never-ready", ready_within_seconds=1.5) as running:
        await running.child.died.wait()
        assert running.child.last_exit == "killed by SIGKILL"
        assert running.logged()[0] == ("not_ready", {"child": "fake", "seconds": 1.5})


async def test_a_stopped_process_counts_as_hung_and_is_replaced(start: Start):
    async with start(watch=Watch(0.02, 0.2, 2)) as running:
        running.control.trusts = True
        await first_ready(running.child)
        first = running.child.pid
        os.kill(first, signal.SIGSTOP)
        running.control.trusts = False
        await until(lambda: running.child.pid not in (None, first), "another process")
        assert running.logged()[0][0] == "child_hangs"
        assert not running.child.healthy or running.child.state is State.RUNNING


async def test_a_child_without_control_socket_counts_as_hung_only_after_the_whole_silence(
    start: Start,
):
    async with start("--mute", watch=Watch(0.01, 0.5, 2)) as running:
        await first_ready(running.child)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await running.child.died.wait()
        assert loop.time() - began >= 0.9


async def test_an_unhealthy_child_is_known_and_left_alone(start: Start):
    async with start("--unhealthy") as running:
        await first_ready(running.child)
        await until(lambda: not running.child.healthy, "the verdict")
        assert running.child.answers
        assert running.child.state is State.RUNNING


async def test_stop_lets_the_child_drain(start: Start):
    async with start("--busy-seconds", "0.3") as running:
        await first_ready(running.child)
        await running.child.stop()
        await running.state(State.STOPPED)
        assert (await running.notes())[-2:] == ["fake stopping", "fake ended"]
        assert running.child.last_exit == "exit status 0"


async def test_stop_kills_what_takes_too_long(start: Start):
    async with start("--stubborn", stop_within_seconds=0.3) as running:
        await first_ready(running.child)
        await running.child.stop()
        assert running.logged()[-1] == (
            "killed",
            {"child": "fake", "after_seconds": 0.3},
        )
    assert running.child.last_exit == "killed by SIGKILL"


async def test_stop_while_starting_ends_the_child(start: Start):
    async with start("--never-ready") as running:
        await running.noted("started")
        await running.child.stop()
    assert running.child.state is State.STOPPED


async def test_stop_while_waiting_for_the_next_life_ends_at_once(start: Start):
    async with start(argv=("/nowhere/at/all",)) as running:
        await running.child.died.wait()
        await running.child.stop()
        await running.state(State.STOPPED)


async def test_hurry_cuts_a_drain_short(start: Start):
    async with start("--busy-seconds", "3600", stop_within_seconds=3600) as running:
        await first_ready(running.child)
        async with asyncio.TaskGroup() as tasks:
            stopping = tasks.create_task(running.child.stop())
            await running.noted("fake stopping")
            await running.child.hurry(60.0)
            await stopping
        assert (await running.notes())[-1] == "fake cut short"
        assert running.child.last_exit == "exit status 1"


async def test_sighup_is_passed_on(start: Start):
    async with start() as running:
        await first_ready(running.child)
        running.child.reload()
        await running.noted("fake reloaded")


async def test_sighup_is_kept_from_children_that_do_not_take_it(start: Start):
    async with start(takes_reload=False) as running:
        await first_ready(running.child)
        running.child.reload()
        await running.child.stop()
        assert "fake reloaded" not in await running.notes()


async def test_a_child_that_prints_too_much_never_blocks(start: Start):
    async with start("--noisy") as running:
        await first_ready(running.child)
        await running.noted("fake printed")
