"""One child process and its next lives: start, readiness, restart with backoff, detection of hangs, stop.

What lives here: `ChildProcess`, which keeps one child running. What does not: what is to be run (`spec.py`), which children
there are and in which order (`supervisor.py`), the child's own side of the contract (`child.py`).
"""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Mapping

from proxy.control_client import ControlClient, UnreachableError
from proxy.errors import StartError
from proxy.supervise.backoff import Backoff
from proxy.supervise.spec import ChildSpec, State

READY_LINE = b"ready\n"
logger = logging.getLogger("tacho.supervise")


class ChildProcess:
    """Keeps one child running until told to stop; `run` is its task, all else may be called from the same loop."""

    def __init__(
        self,
        spec: ChildSpec,
        environ: Mapping[str, str],
        control: ControlClient,
        backoff: Backoff,
    ) -> None:
        self.spec = spec
        self.state = State.WAITING
        self.pid: int | None = None
        self.restarts = 0
        self.last_exit = ""
        """How the last life ended, in words; empty before the first death."""
        self.exit_status: int | None = None
        self.healthy = False
        self.complaints: tuple[str, ...] = ()
        """What the process itself named as degraded when it was last asked."""
        """What the child last said of itself, or false where it said nothing."""
        self.answers = False
        """Whether it answered when last asked."""
        self.ready = asyncio.Event()
        """Set while the child runs."""
        self.died = asyncio.Event()
        """Set for good by the first death."""
        self._control = control
        self._environ = environ
        self._backoff = backoff
        self._stopping = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._since = _now()

    @property
    def name(self) -> str:
        """The name of its socket and in each metric."""
        return self.spec.name

    def since_seconds(self) -> float:
        """For how long it has been in its state."""
        return _now() - self._since

    async def run(self) -> None:
        """Start the child again and again until `stop`."""
        while not self._stopping.is_set():
            served_seconds = await self._live()
            if self._stopping.is_set():
                break
            wait_seconds = self._backoff.after(served_seconds)
            self._log(
                "child_died", exit=self.last_exit, wait_seconds=round(wait_seconds, 3)
            )
            self._enter(State.BACKING_OFF)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait_seconds)
            self.restarts += 1
        self._enter(State.STOPPED)

    def reload(self) -> None:
        """Pass SIGHUP on, where there is a child that can take it."""
        if self.state is State.RUNNING and self.spec.takes_reload:
            self._signal(signal.SIGHUP)

    async def stop(self) -> None:
        """Ask the child to drain, wait, and kill it when it takes too long; `run` ends thereafter."""
        self._stopping.set()
        if self._process is None or self.state is State.STOPPED:
            return
        self._enter(State.STOPPING)
        self._signal(signal.SIGTERM)
        await self._gone_within(self.spec.stop_within_seconds)

    async def hurry(self, grace_seconds: float) -> None:
        """Ask a second time, which means at once, and kill what is left after `grace_seconds`."""
        self._stopping.set()
        if self._process is None or self.state is State.STOPPED:
            return
        self._signal(signal.SIGTERM)
        if self.state is not State.STOPPING:
            self._enter(State.STOPPING)
            self._signal(signal.SIGTERM)
        await self._gone_within(grace_seconds)

    async def _live(self) -> float:
        """One life; give the seconds for which it served."""
        self._enter(State.STARTING)
        try:
            process = await asyncio.create_subprocess_exec(
                *self.spec.argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                pass_fds=self.spec.pass_fds,
                env=dict(self._environ),
                start_new_session=True,  # Ctrl-C in a terminal is for the supervisor, which stops the others in order
            )
        except OSError as error:
            self._buried(None, f"could not be started: {error.strerror}")
            return 0.0
        self._process, self.pid = process, process.pid
        ready_at: float | None = None
        try:
            if (
                self._stopping.is_set()
            ):  # `stop` came while there was no process to tell
                self._signal(signal.SIGTERM)
            if await self._wait_ready(process):
                ready_at = _now()
                await self._serve(process)
            await process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            self._process, self.pid = None, None
            self.ready.clear()
            self.healthy = self.answers = False
            self.complaints = ()
        self._buried(process.returncode, _exit_words(process.returncode or 0))
        return 0.0 if ready_at is None else _now() - ready_at

    async def _wait_ready(self, process: asyncio.subprocess.Process) -> bool:
        """Await the line `ready`; kill the child where it does not come in time."""
        assert process.stdout is not None
        try:
            async with asyncio.timeout(self.spec.ready_within_seconds):
                while line := await process.stdout.readline():
                    if line == READY_LINE:
                        return True
                    self._log("unexpected_output")
        except TimeoutError:
            self._log("not_ready", seconds=self.spec.ready_within_seconds)
            self._signal(signal.SIGKILL)
        return False

    async def _serve(self, process: asyncio.subprocess.Process) -> None:
        if not self._stopping.is_set():
            self._enter(State.RUNNING)
            self.healthy = self.answers = True
            self.ready.set()
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._watch(), name=f"watch-{self.name}")
            await _drain(process)
            await process.wait()
            watching.cancel()

    async def _watch(self) -> None:
        """Ask for its health; kill it once it has been silent for too long."""
        watch, misses, heard = self.spec.watch, 0, _now()
        while True:
            await asyncio.sleep(watch.every_seconds)
            try:
                self.healthy, self.complaints = await self._control.health(
                    watch.answer_within_seconds
                )
                misses, heard, self.answers = 0, _now(), True
            except UnreachableError:
                misses, self.answers, self.healthy = misses + 1, False, False
            if (
                misses >= watch.misses
                and _now() - heard >= watch.silence_seconds
                and not self._stopping.is_set()
            ):
                self._log("child_hangs", silent_seconds=round(_now() - heard))
                self._signal(signal.SIGKILL)

    async def _gone_within(self, seconds: float) -> None:
        process = self._process
        if process is None:
            return
        try:
            async with asyncio.timeout(seconds):
                await process.wait()
        except TimeoutError:
            self._log("killed", after_seconds=seconds)
            self._signal(signal.SIGKILL)
            await process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def _log(self, event: str, **detail: str | float) -> None:
        logger.warning(event, extra={"detail": {"child": self.name, **detail}})

    def _buried(self, status: int | None, words: str) -> None:
        self.exit_status, self.last_exit = status, words
        self.died.set()

    def _enter(self, state: State) -> None:
        self.state, self._since = state, _now()


async def first_ready(child: ChildProcess) -> None:
    """Wait for a child's first readiness; raise `StartError` where it dies instead."""
    async with asyncio.TaskGroup() as tasks:
        waits = [
            tasks.create_task(child.ready.wait()),
            tasks.create_task(child.died.wait()),
        ]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
    if child.died.is_set():
        raise StartError(
            f"{child.name} did not start ({child.last_exit}); see what it says above"
        )


async def _drain(process: asyncio.subprocess.Process) -> None:
    """Read on, so that a child that prints after all never blocks on a full pipe."""
    assert process.stdout is not None
    while await process.stdout.read(4096):
        pass


def _exit_words(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-status).name}"
    return f"killed by signal {-status}"


def _now() -> float:
    return asyncio.get_running_loop().time()
