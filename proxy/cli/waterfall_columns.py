"""One line of a waterfall: its columns, and its bar on the run's time axis.

What lives here: from what a line says to text of a width, pure. What does not: which lines there are (`waterfall.py`).
"""

import math
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from proxy.cli.figures import fitted, span, tokens

WAITING, WORKING = "░", "█"
_WITH_MODEL = 100
_NARROWEST = 72
_COST = 10


@dataclass(frozen=True, slots=True)
class Columns:
    """Widths in cells; a column of none is not shown."""

    name: int
    model: int
    bar: int
    number: int = 3
    status: int = 8
    time: int = 7
    tokens: int = 6
    cost: int = _COST

    @classmethod
    def within(cls, width: int, cost: int = _COST) -> "Columns":
        """Share out a terminal's width; `cost` is what dollars need."""
        cost = max(cost, _COST)
        if width < _WITH_MODEL:
            left = max(width, _NARROWEST) - 45 - cost
            return cls(left - left // 3, 0, left // 3, cost=cost)
        left = width - 46 - cost
        name, model = min(40, left * 7 // 20), min(32, left * 3 // 10)
        return cls(name, model, left - name - model, cost=cost)


@dataclass(frozen=True, slots=True)
class Line:
    """What one line says, before it is cut to columns."""

    number: str
    name: str
    model: str
    status: str
    start: float
    end: float | None
    first_token: float | None
    input_tokens: int | None
    output_tokens: int | None
    cost: str
    style: str = ""
    short: str = ""
    """A name for where the other one does not fit."""


def headings(columns: Columns) -> Text:
    """Give the line above all others."""
    words = [
        fitted("#", columns.number, right=True),
        fitted("step", columns.name),
        *([fitted("model", columns.model)] if columns.model else []),
        fitted("status", columns.status),
        fitted("start", columns.time, right=True),
        fitted("", columns.bar),
        fitted("took", columns.time, right=True),
        fitted("in", columns.tokens, right=True),
        fitted("out", columns.tokens, right=True),
        fitted("cost", columns.cost, right=True),
    ]
    return Text(" ".join(words), style="dim", no_wrap=True)


def cut(line: Line, columns: Columns, total: float) -> Text:
    """Bring a line into its columns."""
    took = None if line.end is None else line.end - line.start
    text = Text(no_wrap=True)
    text.append(fitted(line.number, columns.number, right=True) + " ", "dim")
    fits = cell_len(line.name) <= columns.name or not line.short
    text.append(fitted(line.name if fits else line.short, columns.name) + " ")
    if columns.model:
        text.append(fitted(line.model, columns.model) + " ", "dim")
    text.append(fitted(line.status, columns.status) + " ", line.style)
    text.append(fitted(span(line.start), columns.time, right=True) + " ", "dim")
    text.append(bar(line, columns.bar, total) + " ", line.style or "cyan")
    text.append(fitted(span(took), columns.time, right=True) + " ")
    for count in (line.input_tokens, line.output_tokens):
        text.append(fitted(tokens(count), columns.tokens, right=True) + " ")
    text.append(fitted(line.cost, columns.cost, right=True))
    return text


def bar(line: Line, width: int, total: float) -> str:
    """Draw a span on the run's time axis, one cell at least, with the time before the first token apart."""
    if total <= 0:
        return WORKING + " " * (width - 1)
    end = line.start if line.end is None else line.end
    left = min(math.floor(line.start / total * width), width - 1)
    right = min(max(math.ceil(end / total * width), left + 1), width)
    waited = 0
    if line.first_token is not None and end > line.start:
        share = min(1.0, line.first_token / (end - line.start))
        waited = min(round(share * (right - left)), right - left - 1)
    drawn = WAITING * waited + WORKING * (right - left - waited)
    return " " * left + drawn + " " * (width - right)
