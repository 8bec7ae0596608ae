"""A child: its stdio, its signals, its exit status."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.cli.child import NotStartedError, run_child
from tests.helpers.processes import environ

DRIVER = """
import sys
from proxy.cli.child import run_child
from proxy.config import environment
sys.exit(run_child([sys.executable, "-c", sys.argv[1]], environment()))
"""
SAYS_WHICH = """
import signal, sys, time
def told(number, frame):
    print(number, flush=True)
    count.append(number)
count = []
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, told)
print("up", flush=True)
deadline = time.monotonic() + 20
while not count and time.monotonic() < deadline:
    time.sleep(0.01)
time.sleep(0.3)
sys.exit(len(count))
"""


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("pass", 0),
        ("raise SystemExit(7)", 7),
        ("import os; os.kill(os.getpid(), 9)", 137),
        ("import os; os.kill(os.getpid(), 15)", 143),
    ],
    ids=["ok", "failed", "killed", "terminated"],
)
def test_the_status_is_the_one_that_a_shell_gives(script: str, status: int):
    assert run_child(python(script), environ()) == status


def test_it_has_the_environment_that_it_is_given(capfd: pytest.CaptureFixture[str]):
    script = "import os; print(os.environ['OPENAI_BASE_URL'])"
    assert run_child(python(script), environ(OPENAI_BASE_URL="http://x")) == 0
    assert capfd.readouterr().out == "http://x\n"


def test_what_cannot_be_started_says_so_as_a_shell_would(tmp_path: Path):
    plain = tmp_path / "plain"
    plain.write_text("no program")
    for command, status in (
        (str(tmp_path / "gone"), 127),
        (str(plain), 126),
        ("a\0b", 126),
    ):
        with pytest.raises(NotStartedError) as caught:
            run_child([command], environ())
        assert caught.value.status == status


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_passed_on_once(number: int):
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, SAYS_WHICH],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environ(),
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        os.kill(process.pid, number)
        assert process.stdout.read() == b"%d\n" % number
    assert process.returncode == 1


def test_ctrl_c_on_a_terminal_reaches_the_child_once():
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-c", DRIVER, SAYS_WHICH], environ())
    seen = b""
    try:
        while b"up" not in seen:
            seen += os.read(terminal, 100)
        os.write(terminal, b"\x03")
        _, status = os.waitpid(pid, 0)
    finally:
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 1


def test_what_our_parent_ignores_stays_ignored_and_handlers_come_back():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        script = "import signal; raise SystemExit(signal.getsignal(signal.SIGHUP) != signal.SIG_IGN)"
        interrupt = signal.getsignal(signal.SIGINT)
        assert run_child(python(script), environ()) == 0
        assert signal.getsignal(signal.SIGINT) is interrupt
    finally:
        signal.signal(signal.SIGHUP, before)
