"""Where a command writes: answers to stdout, complaints to stderr, one line each.

What lives here: the two streams. What does not: what is written (the commands), logs (`proxy/log.py`).
"""

import sys


def say(text: str) -> None:
    """Write a line of the answer; a reader that has left is not our trouble."""
    _write_all(text + "\n")


def say_exactly(text: str) -> None:
    """Write text that has its own line ends."""
    _write_all(text)


def complain(text: str) -> None:
    """Write one line about what went wrong and what to do."""
    sys.stderr.write(f"tacho: {' '.join(text.split())}\n")
    sys.stderr.flush()


def _write_all(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
