"""`python -m proxy.simulate` is the command."""

import subprocess
import sys


def test_the_module_runs_the_command():
    said = subprocess.run(
        [sys.executable, "-m", "proxy.simulate", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--fault-rate" in said.stdout
