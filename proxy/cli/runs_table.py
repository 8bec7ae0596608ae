"""The list of runs as a table.

What lives here: from rows to lines of text, pure. What does not: asking for the rows (`questions.py`), printing (`runs.py`).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.cells import cell_len
from rich.text import Text

from proxy.cli.figures import (
    counted,
    dollars,
    duration,
    fitted,
    printable,
    span,
    tokens,
)
from proxy.cli.questions import RunRow

_FIXED = (("outcome", 10), ("ago", 6), ("took", 6), ("steps", 6), ("in", 6), ("out", 6), ("cost", 9))  # fmt: skip
_WIDE = (("tools", 5), ("joined by", 12))
"""Shown where there is room."""
_ROOM = 110
_LEFT = frozenset({"run", "agent", "outcome", "joined by"})
_STYLES = {"success": "green", "failure": "red", "capped": "red", "open": "cyan"}


def table(rows: Sequence[RunRow], width: int, now: datetime) -> Iterator[Text]:
    """Give the lines, newest first as the rows are."""
    fixed = (*_FIXED, *(_WIDE if width >= _ROOM else ()))
    left = max(20, width - sum(size + 1 for _, size in fixed) - 1)
    ids, agents = [printable(row.run) for row in rows], [row.agent for row in rows]
    for_agents = min(max(map(cell_len, agents)), left * 2 // 5)
    ids = short_ids(ids, left - max(for_agents, len("agent")))
    run_width = max(len("run"), *map(cell_len, ids))
    columns = (("run", run_width), ("agent", left - run_width), *fixed)
    names = [fitted(name, size, right=name not in _LEFT) for name, size in columns]
    yield Text(" ".join(names).rstrip(), style="dim", no_wrap=True)
    for row, shown in zip(rows, ids, strict=True):
        cells = _cells(row, shown, now)
        text = Text(no_wrap=True)
        for name, size in columns:
            style = _STYLES.get(row.outcome, "") if name == "outcome" else ""
            cell = fitted(cells[name], size, right=name not in _LEFT)
            text.append(cell + " ", style)
        text.rstrip()
        yield text
    yield from _legend(rows)


def short_ids(ids: Sequence[str], room: int) -> list[str]:
    """Cut ids to the room that there is; what is cut ends in an ellipsis, which `tacho show` passes over."""
    return [fitted(each, room).rstrip() for each in ids]


def _cells(row: RunRow, shown: str, now: datetime) -> dict[str, str]:
    retries = row.attempts - row.steps
    called = bool(row.source)
    reported = "" if row.outcome_source == "reported" or row.outcome == "open" else "?"
    return {
        "run": shown,
        "agent": printable(row.agent) or "-",
        "outcome": row.outcome + reported,
        "ago": span(max(0.0, (now - row.started).total_seconds())),
        "took": span(row.seconds),
        "steps": f"{row.steps}+{retries}" if retries > 0 else str(row.steps),
        "tools": str(row.tool_calls),
        "in": tokens(row.input_tokens) if called else "-",
        "out": tokens(row.output_tokens) if called else "-",
        "cost": dollars(row.usd, is_exact=row.is_exact),
        "joined by": row.source or "-",
    }


def _legend(rows: Sequence[RunRow]) -> Iterator[Text]:
    said = []
    if any(row.outcome_source == "inferred" and row.outcome != "open" for row in rows):
        said.append("? inferred, since nobody reported")
    if any(row.attempts > row.steps for row in rows):
        said.append("steps+retries")
    if any(row.usd is not None and not row.is_exact for row in rows):
        said.append("~ estimated, or at an assumed price")
    if said:
        yield Text(" · ".join(said), style="dim")


def summary(row: RunRow, seconds: float) -> str:
    """Say in one line what a run took; `seconds` is how long its command ran."""
    retries = row.attempts - row.steps
    again = f" + {counted(retries, 'retry', 'retries')}" if retries > 0 else ""
    return (
        f"{counted(row.steps, 'step')}{again}, {tokens(row.input_tokens)} tokens in, {tokens(row.output_tokens)} out, "
        f"{dollars(row.usd, is_exact=row.is_exact)}, {duration(seconds)}"
    )
