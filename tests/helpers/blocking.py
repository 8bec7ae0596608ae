"""Fails a test in which the event loop is blocked."""

from collections.abc import Iterator
from contextlib import contextmanager

from blockbuster import blockbuster_ctx

COVERAGE = ("coverage/collector.py", "lock_data")
"""Coverage's own lock: whoever holds it has it for microseconds, and the product knows nothing of it."""
ENDING_A_LOOP = ("asyncio/runners.py", "close")
"""The test is over; whether the last thread has ended by then is chance, and its end is waited for."""
MAKING_A_WORKER = ("proxy/worker.py", "__init__")
"""In its own process nothing waits for that yet."""


@contextmanager
def forbidden(*allowed: tuple[str, str]) -> Iterator[None]:
    """Fail on blocking calls, but in these functions: (end of the file's name, function)."""
    with blockbuster_ctx() as guard:
        for function in guard.functions.values():
            for file, name in (COVERAGE, ENDING_A_LOOP, *allowed):
                function.can_block_in(file, name)
        yield
