"""What every child process of the supervisor does alike: signals, the parent's death, the line `ready`.

What lives here: `run`, the whole life of a child process, `run_child`, the same inside a running loop, and `Child`, what the
child's own code gets to see. What does not: what a child serves, its control socket (`control.py`), the parent's side
(`supervise/`).

How a child uses it (`proxy/worker.py`, `exporters/worker.py`, `exporters/clickhouse/embedded.py`)::

    async def serve(child: Child) -> None:
        child.on_reload(reload_settings)     # called in the loop on SIGHUP; optional
        ...                                  # lock, open, listen, start the ControlServer
        child.announce_ready()               # the one line on stdout
        await child.stopping.wait()          # SIGTERM, SIGINT, or the supervisor is gone
        ...                                  # stop accepting, drain, flush, close

    if __name__ == "__main__":
        sys.exit(run("w0", serve))

The exit status is 0 when `serve` returns, 2 for `SettingsError` and 3 for `StartError` (each printed as one line on stderr),
1 when a second signal cut the drain short. `serve` is cancelled by a second signal; if it has not ended a second later the
process leaves without it. Any other exception passes through with its traceback: that is a bug.

`SIGHUP` before `run_child` has begun would end the process; the supervisor sends it only to children that are ready.
"""

import asyncio
import os
import signal
import stat
import sys
from collections.abc import Awaitable, Callable

from proxy.errors import SettingsError, StartError
from proxy.log import setup

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_SETTINGS = 2
EXIT_START = 3
LAST_GRACE_SECONDS = 1.0

Serve = Callable[["Child"], Awaitable[None]]


class Child:
    """One child process as its own code sees it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stopping = asyncio.Event()
        """Set once: stop accepting, drain, flush, and return from `serve`."""
        self._reload: Callable[[], None] | None = None
        self._announced = False

    def on_reload(self, callback: Callable[[], None]) -> None:
        """Have `callback()` run in the loop on each SIGHUP; without one SIGHUP does nothing."""
        self._reload = callback

    def announce_ready(self) -> None:
        """Tell the supervisor that this process serves. Further calls do nothing."""
        if self._announced:
            return
        self._announced = True
        try:
            os.write(sys.__stdout__.fileno() if sys.__stdout__ else 1, b"ready\n")
        except OSError:  # nobody listens: the end of stdin says so, too
            return

    def reload(self) -> None:
        """React to SIGHUP."""
        if self._reload is not None:
            self._reload()


def run(name: str, serve: Serve) -> int:
    """Run a whole child process on the fastest event loop at hand, its log set up; give its exit status."""
    setup(name)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(run_child(name, serve))


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Make a uvloop where it is installed, else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def run_child(name: str, serve: Serve) -> int:
    """Run `serve` until it returns; signals and the end of stdin become `child.stopping`. Give the exit status."""
    child = Child(name)
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(_guarded(child, serve), name=f"child-{name}")

        signals: list[int] = []

        def stop(number: int) -> None:
            # The end of stdin is no signal: a supervisor that stops may close it and send SIGTERM.
            signals.append(number)
            if len(signals) > 1:
                task.cancel()
                loop.call_later(LAST_GRACE_SECONDS, os._exit, EXIT_FAILED)
            child.stopping.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop, number)
        loop.add_signal_handler(signal.SIGHUP, child.reload)
        watched = watch_parent(child.stopping.set)
        task.add_done_callback(lambda _: loop.remove_reader(0) if watched else None)
    return EXIT_FAILED if task.cancelled() else task.result()


async def _guarded(child: Child, serve: Serve) -> int:
    try:
        await serve(child)
    except SettingsError as error:
        sys.stderr.write(f"tacho {child.name}: {error}\n")
        return EXIT_SETTINGS
    except StartError as error:
        sys.stderr.write(f"tacho {child.name}: {error}\n")
        return EXIT_START
    return EXIT_OK


def watch_parent(gone: Callable[[], None]) -> bool:
    """Call `gone()` once stdin ends, where stdin is a pipe (a terminal or /dev/null says nothing about a parent)."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return False
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return False
    loop = asyncio.get_running_loop()

    def readable() -> None:
        try:
            ended = os.read(0, 4096) == b""
        except BlockingIOError:
            return
        except OSError:
            ended = True
        if ended:
            loop.remove_reader(0)
            gone()

    loop.add_reader(0, readable)
    return True
