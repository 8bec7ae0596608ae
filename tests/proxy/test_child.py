"""A child process ends with its signals and with its parent, and says once that it is ready."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.processes import (
    PATIENCE_SECONDS,
    environ,
    fake_argv,
    notes,
    wait_for,
)

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def run(*options: str, stdin: int = subprocess.PIPE) -> "subprocess.Popen[bytes]":
        argv = fake_argv("fake", tmp_path, *options)
        pipe = subprocess.PIPE
        started.append(
            subprocess.Popen(argv, stdin=stdin, stdout=pipe, stderr=pipe, env=environ())
        )
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def ready(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name
)
def test_a_signal_drains_and_ends_with_0(
    start: Start, tmp_path: Path, number: signal.Signals
):
    process = start()
    ready(process)
    process.send_signal(number)
    assert process.wait(PATIENCE_SECONDS) == 0
    assert notes(tmp_path)[-2:] == ["fake stopping", "fake ended"]


def test_a_second_signal_cuts_the_drain_short_and_ends_with_1(
    start: Start, tmp_path: Path
):
    process = start("--busy-seconds", "3600")
    ready(process)
    process.terminate()
    wait_for(lambda: "fake stopping" in notes(tmp_path), "the drain")
    process.terminate()
    assert process.wait(PATIENCE_SECONDS) == 1
    assert notes(tmp_path)[-1] == "fake cut short"


def test_the_end_of_stdin_means_that_the_parent_is_gone(start: Start, tmp_path: Path):
    process = start()
    ready(process)
    assert process.stdin is not None
    process.stdin.write(b"ignored")
    process.stdin.close()
    process.stdin = None
    assert process.wait(PATIENCE_SECONDS) == 0
    assert notes(tmp_path)[-1] == "fake ended"


def test_dev_null_as_stdin_says_nothing_about_a_parent(start: Start, tmp_path: Path):
    process = start(stdin=subprocess.DEVNULL)
    ready(process)
    process.send_signal(signal.SIGHUP)
    wait_for(lambda: "fake reloaded" in notes(tmp_path), "the reload")
    assert process.poll() is None


def test_a_start_error_is_one_line_and_status_3(start: Start):
    process = start("--refuse")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 3
    assert said == b"tacho fake: the fake cannot start; give it no --refuse\n"


def test_settings_that_cannot_be_used_are_one_line_and_status_2():
    script = (
        "import sys; from proxy.child import run; from proxy.errors import SettingsError\n"
        "async def serve(child): raise SettingsError('tenant: is bad')\n"
        "sys.exit(run('fake', serve))"
    )
    ended = subprocess.run(
        [sys.executable, "-P", "-c", script],
        env=environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (2, b"tacho fake: tenant: is bad\n")


def test_ready_into_a_closed_pipe_is_no_failure():
    script = (
        "import sys; from proxy.child import run\n"
        "async def serve(child):\n"
        "    child.reload()\n"
        "    child.announce_ready()\n"
        "    child.announce_ready()\n"
        "sys.exit(run('fake', serve))"
    )
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-P", "-c", script],
        env=environ(),
        stdin=subprocess.DEVNULL,
        stdout=writing,
        timeout=60,
    )
    os.close(writing)
    assert ended.returncode == 0


def test_the_loop_is_asyncios_own_where_there_is_no_uvloop():
    script = (
        "import sys; sys.modules['uvloop'] = None\n"
        "from proxy.child import new_event_loop\n"
        "loop = new_event_loop(); print(type(loop).__module__.split('.')[0]); loop.close()"
    )
    ended = subprocess.run(
        [sys.executable, "-P", "-c", script],
        env=environ(),
        capture_output=True,
        timeout=60,
    )
    assert ended.stdout == b"asyncio\n"
