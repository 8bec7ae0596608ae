"""Where a command writes: answers to stdout, complaints to stderr, one line each.

What lives here: the two streams. What does not: what is written (the commands), logs (`proxy/log.py`).
"""

import os
import sys


class ReaderLeftError(Exception):
    """Who read our output has closed it."""


def say(text: str) -> None:
    """Write a line of the answer; `ReaderLeftError` where nobody reads any more."""
    _write_all(text + "\n")


def say_exactly(text: str) -> None:
    """Write text that has its own line ends."""
    _write_all(text)


def complain(text: str) -> None:
    """Write one line about what went wrong and what to do."""
    sys.stderr.write(f"tacho: {' '.join(text.split())}\n")
    sys.stderr.flush()


def _write_all(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise ReaderLeftError from error


def drop_the_rest() -> None:
    """Send what stdout still holds nowhere, so that the end of the process does not stumble over it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
