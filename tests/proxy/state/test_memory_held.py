"""What a live run takes of a worker's memory, asked where nothing else measures: in a process of its own.

What a run keeps is bounded: after some twenty steps it has all that it will have, so that longer runs would only take longer to make.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
PROMISED_BYTES = 20 << 10
MARGIN = 0.9


@pytest.mark.timeout(300)
def test_a_live_run_takes_less_than_twenty_kilobytes():
    words = ("--runs", "60", "--shortest", "24", "--longest", "30", "--traced")
    environ = {name: text for name, text in os.environ.items() if not name.startswith("COV")}  # fmt: skip
    said = subprocess.run(
        [sys.executable, "-P", "-m", "bench.remembering", *words],
        capture_output=True, text=True, check=True, timeout=280, env=environ | {"PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    found = json.loads(said.stdout)
    assert found["runs"] == 60
    assert found["traced_bytes"] < MARGIN * PROMISED_BYTES
