"""Lines of text on the terminal, or into a pipe; and rows as JSON.

What lives here: the width, colours where a person reads, plain characters where the terminal has no others. What does not: the lines.
"""

import re
from collections.abc import Iterable

import msgspec
from rich.console import Console
from rich.text import Text

from proxy.cli.output import say, say_exactly

_BLANKS_AT_ENDS = re.compile(r" +((?:\x1b\[[0-9;]*m)*)$", re.MULTILINE)
_PLAIN = str.maketrans("░█✗→↳─·…≥\N{REPLACEMENT CHARACTER}", ".#x>>-|~>?")


class Terminal:
    """Where stdout goes."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self.width = self._console.width
        self.is_read_by_a_program = not self._console.is_terminal

    def print(self, lines: Iterable[Text]) -> None:
        """Write lines; `ReaderLeftError` where nobody reads any more."""
        with self._console.capture() as captured:
            for line in lines:
                self._console.print(line, soft_wrap=bool(line.no_wrap))
        text = _BLANKS_AT_ENDS.sub(r"\1", captured.get())
        if not self._console.encoding.lower().startswith("utf"):
            text = text.translate(_PLAIN)
        say_exactly(text)


def say_json(rows: object) -> None:
    """Write rows as JSON, with money as numbers."""
    encoder = msgspec.json.Encoder(decimal_format="number")
    say(msgspec.json.format(encoder.encode(rows)).decode())
