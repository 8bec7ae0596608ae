"""A child with our stdio that gets our signals, and its exit status as a shell would give it.

What lives here: starting, passing signals on, waiting. What does not: the child's environment (`base_urls.py`), what its status means
(`run.py`).
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
FROM_THE_KEYBOARD = frozenset({signal.SIGINT, signal.SIGQUIT})
"""A terminal sends these to every process of its foreground group: the child has them already."""
NOT_FOUND, NOT_EXECUTABLE = 127, 126


class NotStartedError(Exception):
    """The command cannot be started; `status` is what a shell would give."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def run_child(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a command to its end; give its exit status, 128 + n where signal n ended it. Raise `NotStartedError`."""
    child: list[subprocess.Popen[bytes]] = []
    early: list[int] = []

    def pass_on(number: int, _: FrameType | None) -> None:
        if number in FROM_THE_KEYBOARD and _keyboard_reaches_us():
            return
        if child:
            child[0].send_signal(number)
        else:
            early.append(number)

    with _handling(pass_on):
        child.append(_start(command, environ))
        for number in early:
            child[0].send_signal(number)
        status = child[0].wait()
    return 128 - status if status < 0 else status


def _start(
    command: Sequence[str], environ: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(list(command), env=dict(environ))
    except FileNotFoundError as error:
        message = f"{command[0]}: there is no such command; correct what follows --"
        raise NotStartedError(message, NOT_FOUND) from error
    except OSError as error:
        message = f"{command[0]} cannot be started: {error.strerror}"
        raise NotStartedError(message, NOT_EXECUTABLE) from error
    except ValueError as error:
        raise NotStartedError(
            f"the command cannot be started: {error}", NOT_EXECUTABLE
        ) from error


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle the signals that are passed on; one that our own parent had us ignore stays ignored, here and in the child."""
    before = {number: signal.getsignal(number) for number in PASSED_ON}
    ours = [number for number in PASSED_ON if before[number] is not signal.SIG_IGN]
    for number in ours:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])


def _keyboard_reaches_us() -> bool:
    """Tell whether we are in the foreground of a terminal; then Ctrl-C was typed at the child, too."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        try:
            if os.tcgetpgrp(stream.fileno()) == os.getpgrp():
                return True
        except (OSError, ValueError, AttributeError):
            continue
    return False
