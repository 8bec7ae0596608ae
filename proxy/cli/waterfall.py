"""One run as a waterfall: a line for each step, its attempts below it where there are several, all on one time axis.

What lives here: from rows to lines of text, pure. What does not: what the run was as a whole (`run_header.py`), asking for the rows
(`questions.py`), printing (`show.py`).
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from rich.cells import cell_len
from rich.text import Text

from proxy.cli.figures import (
    AT_LEAST,
    ESTIMATED,
    dollars,
    fitted,
    money_legend,
    printable,
    span,
    tokens,
)
from proxy.cli.questions import AttemptRow

WAITING, WORKING, UNCOUNTED = "░", "█", "?"
_SHORT = {
    "client_abort": "left",
    "upstream_abort": "cut",
    "proxy_error": "fault",
    "proxy_crashed": "crashed",
}
"""Outcomes in eight cells; the line below says the whole."""
_PRICED = ("llm", "embedding")
"""Kinds of calls that have prices."""
_NEVER_ANSWERED = ("connect", "tls", "dns", "connect_timeout", "ttfb_timeout")
"""Errors at which the upstream had no status to give: what the agent got was the proxy's own."""
_WITH_MODEL = 100
_NARROWEST = 72


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
    cost: int = 10

    @classmethod
    def within(cls, width: int) -> "Columns":
        """Share out a terminal's width."""
        if width < _WITH_MODEL:
            left = max(width, _NARROWEST) - 55
            return cls(left - left // 3, 0, left // 3)
        left = width - 56
        name, model = min(40, left * 7 // 20), min(32, left * 3 // 10)
        return cls(name, model, left - name - model)


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


def waterfall(rows: Sequence[AttemptRow], width: int) -> Iterator[Text]:
    """Give the lines of a run's attempts, in their order."""
    columns = Columns.within(width)
    total = max((row.end_seconds for row in rows), default=0.0)
    yield _headings(columns)
    before = None
    for attempts in _steps(rows):
        first = attempts[0]
        yield from _parted(before, first, width)
        before = first
        number = str(first.step_seq or UNCOUNTED) if first.is_step else ""
        if len(attempts) == 1:
            yield _cut(_of_attempt(first, number, _name(first)), columns, total)
            yield from _details(first, width)
            continue
        yield _cut(_of_step(attempts, number), columns, total)
        for row in attempts:
            name = f"  attempt {row.attempt}"
            layer = f", {row.retry_layer}" if row.retry_layer else ""
            name += layer if len(name + layer) <= columns.name else ""
            yield _cut(_of_attempt(row, "", name), columns, total)
            yield from _details(row, width)
    yield from _legend(rows)


def _parted(before: AttemptRow | None, row: AttemptRow, width: int) -> Iterator[Text]:
    """Say where the user spoke again, and where another agent took over."""
    if before is None:
        return
    said = []
    if before.turn_seq and row.turn_seq and row.turn_seq > before.turn_seq:
        said.append(f"turn {row.turn_seq}")
    if row.agent not in ("", before.agent):
        said.append(printable(row.agent))
    if said:
        line = f"    {' · '.join(said)} "
        yield Text(fitted(line + "─" * (width - cell_len(line)), width), style="dim", no_wrap=True)  # fmt: skip


def _steps(rows: Sequence[AttemptRow]) -> list[list[AttemptRow]]:
    steps: dict[str, list[AttemptRow]] = {}
    for row in rows:
        steps.setdefault(row.step_id or row.attempt_id, []).append(row)
    return list(steps.values())


def _of_attempt(row: AttemptRow, number: str, name: str) -> Line:
    return Line(
        number,
        name,
        printable(row.model),
        _status(row),
        row.offset_seconds,
        None if row.seconds is None else row.end_seconds,
        row.first_token_seconds,
        row.input_tokens,
        row.output_tokens,
        _cost([row]),
        "" if row.outcome == "completed" else "red",
    )


def _of_step(attempts: Sequence[AttemptRow], number: str) -> Line:
    """Sum up a step of several attempts; the last is what the agent saw."""
    last = attempts[-1]
    return Line(
        number,
        _name(attempts[0]),
        printable(last.model),
        _status(last),
        attempts[0].offset_seconds,
        max(row.end_seconds for row in attempts),
        None,
        _sum([row.input_tokens for row in attempts]),
        _sum([row.output_tokens for row in attempts]),
        _cost(attempts),
        "yellow" if last.outcome == "completed" else "red",
    )


def _name(row: AttemptRow) -> str:
    return printable(row.step_name or row.route or row.kind)


def _status(row: AttemptRow) -> str:
    if row.outcome == "completed":
        return "ok"
    if row.outcome in ("rejected", "upstream_error"):
        if row.error_type in _NEVER_ANSWERED or row.http_status is None:
            return row.error_type
        return str(row.http_status) if row.http_status >= 400 else "failed"
    return _SHORT.get(row.outcome, row.outcome)


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _cost(rows: Sequence[AttemptRow]) -> str:
    known = [row.usd for row in rows if row.usd is not None]
    if not known:
        return "unpriced" if any(r.cost_source == "unpriced" for r in rows) else "-"
    return dollars(sum(known, Decimal(0)), _mark(rows))


def _mark(rows: Sequence[AttemptRow]) -> str:
    """Say how sure dollars are, as `RunRow.mark` does."""
    if any(row.cost_source == "unpriced" and row.kind in _PRICED for row in rows):
        return AT_LEAST
    guessed = any(row.usage_source in ("partial", "estimated") for row in rows)
    return ESTIMATED if guessed or any(row.cost_source == "assumed" for row in rows) else ""  # fmt: skip


def _headings(columns: Columns) -> Text:
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


def _cut(line: Line, columns: Columns, total: float) -> Text:
    """Bring a line into its columns."""
    took = None if line.end is None else line.end - line.start
    text = Text(no_wrap=True)
    text.append(fitted(line.number, columns.number, right=True) + " ", "dim")
    text.append(fitted(line.name, columns.name) + " ")
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


def _details(row: AttemptRow, width: int) -> Iterator[Text]:
    """Say in a line of its own what the columns have no room for."""
    if row.outcome != "completed":
        is_ours = row.error_type in _NEVER_ANSWERED
        http = f", HTTP {row.http_status}" + " from here" * is_ours
        http = "" if row.http_status is None else http
        kind = f": {row.error_type}" if row.error_type else ""
        yield _detail(f"✗ {row.outcome}{kind}{http}", "red", width)
    if row.verdict_policy:
        said = f"{row.verdict_action} by {row.verdict_policy}: {row.verdict_reason}"
        yield _detail(f"! {said}", "yellow", width)
    if row.asked_tools:
        tools = Counter(printable(tool) for tool in row.asked_tools)
        named = [f"{tool} ({n})" if n > 1 else tool for tool, n in tools.items()]
        yield _detail(f"→ asks for {', '.join(named)}", "dim", width)


def _detail(text: str, style: str, width: int) -> Text:
    return Text(fitted("    " + text, width).rstrip(), style=style, no_wrap=True)


def _legend(rows: Sequence[AttemptRow]) -> Iterator[Text]:
    said = []
    if any(row.first_token_seconds is not None for row in rows):
        said.append(f"{WAITING} before the first token")
    shown = [*([row] for row in rows), *_steps(rows), rows]
    priced = [each for each in shown if any(row.usd is not None for row in each)]
    said.extend(money_legend(map(_mark, priced)))
    if any(row.is_step and not row.step_seq for row in rows):
        said.append(f"{UNCOUNTED} came while the state could not be asked")
    if any(not row.is_step for row in rows):
        said.append("without a number: not work (model lists, token counts)")
    if said:
        yield Text(" · ".join(said), style="dim")
