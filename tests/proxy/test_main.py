"""`python -m proxy` is `tacho`."""

import subprocess
import sys

from tests.helpers.processes import environ


def test_the_module_runs_the_command():
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "proxy", "--help"],
        env=environ(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0
    assert ended.stdout.startswith("usage: tacho ")
