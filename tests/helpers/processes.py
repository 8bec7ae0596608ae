"""Watching processes from a test.

What lives here: polls with a deadline, and the command line of a fake child. What does not: the fake itself (`fake_child.py`).
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).parents[2]
FAKE_CHILD = Path(__file__).with_name("fake_child.py")
PATIENCE_SECONDS = 60.0
"""A guard against hangs, which a busy machine never reaches."""

Value = TypeVar("Value")


def environ(**extra: str) -> dict[str, str]:
    """Give this environment without TACHO_*, and with this checkout importable."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TACHO_")
    }
    return {**kept, "PYTHONPATH": str(ROOT), **extra}


def fake_argv(name: str, data_dir: Path, *options: str) -> tuple[str, ...]:
    """Give the command line of a fake child."""
    return (
        sys.executable,
        "-P",
        str(FAKE_CHILD),
        name,
        "--data-dir",
        str(data_dir),
        *options,
    )


def notes(data_dir: Path, name: str = "all") -> list[str]:
    """Give what a fake child (or all of them) went through."""
    try:
        return (data_dir / f"{name}.log").read_text().splitlines()
    except FileNotFoundError:
        return []


def wait_for(probe: Callable[[], Value], what: str) -> Value:
    """Poll until `probe` gives something true, and give that."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        if found := probe():
            return found
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)


async def until(probe: Callable[[], Value], what: str) -> Value:
    """Poll until `probe` gives something true, and give that; other tasks run meanwhile."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_SECONDS
    while True:
        if found := await asyncio.to_thread(probe):
            return found
        assert loop.time() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(0.01)
