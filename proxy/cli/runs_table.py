"""The list of runs as a table.

What lives here: from rows to lines of text, pure. What does not: asking for the rows (`questions.py`), printing (`runs.py`).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise, starmap, takewhile

from rich.cells import cell_len
from rich.text import Text

from proxy.cli.figures import (
    UNKNOWN,
    at_the_point,
    counted,
    dollars,
    duration,
    fitted,
    money_legend,
    printable,
    span,
    tokens,
)
from proxy.cli.questions import RunRow

_OUTCOME = (("outcome", 10), ("ago", 6), ("took", 6), ("steps", 6))
_TOKENS = (("in", 6), ("out", 6))
_COST = 10
_REFUSED = (("refused", 7),)
_WIDE = (("tools", 5), ("joined by", 12))
_ROOM_FOR_TOKENS, _ROOM = 96, 110
"""Widths from which on these columns are shown; a name that can be read is worth more than a count of tokens."""
_SHORTEST_ID, _SHORTEST_AGENT = 17, 8
"""Of an id of ours the first twelve digits are a millisecond, which parallel runs share."""
_CHILD = "\N{DOWNWARDS ARROW WITH TIP RIGHTWARDS} "
_LEFT = frozenset({"run", "agent", "outcome", "joined by"})
_STYLES = {"success": "green", "failure": "red", "capped": "red", "open": "cyan"}


def table(
    rows: Sequence[RunRow], width: int, now: datetime, *, whole_ids: bool = False
) -> Iterator[Text]:
    """Give the lines, newest first as the rows are; with whole ids, which programs take from a pipe, lines may be wider."""
    counts = _TOKENS if width >= _ROOM_FOR_TOKENS else ()
    refused = _REFUSED if any(row.refused or row.would_refuse for row in rows) else ()
    costs = at_the_point([dollars(row.usd, row.mark) for row in rows])
    cost = max(_COST, *map(len, costs))
    fixed = (
        *_OUTCOME,
        *refused,
        *counts,
        ("cost", cost),
        *(_WIDE if width >= _ROOM else ()),
    )
    left = max(20, width - sum(size + 1 for _, size in fixed) - 1)
    for_agents = max(len("agent"), *(cell_len(_agent(row)) for row in rows))
    ids = [printable(row.run) for row in rows]
    if not whole_ids:
        ids = short_ids(ids, left - for_agents, left - _SHORTEST_AGENT)
    run_width = max(len("run"), *map(cell_len, ids))
    left = max(left, run_width + _SHORTEST_AGENT)
    agent_width = min(left - run_width, for_agents)
    columns = (("run", run_width), ("agent", agent_width), *fixed)
    names = [fitted(name, size, right=name not in _LEFT) for name, size in columns]
    yield Text(" ".join(names).rstrip(), style="dim", no_wrap=True)
    for row, shown, usd in zip(rows, ids, costs, strict=True):
        cells = _cells(row, shown, usd, now)
        text = Text(no_wrap=True)
        for name, size in columns:
            style = _style(row) if name == "outcome" else ""
            cell = fitted(cells[name], size, right=name not in _LEFT)
            text.append(cell + " ", style)
        text.rstrip()
        yield text
    yield from _legend(rows)


def short_ids(ids: Sequence[str], room: int, most: int) -> list[str]:
    """Cut ids to the room that there is, or to more (`most` at most) where two would look the same.

    What is cut ends in an ellipsis, which `tacho show` passes over.
    """
    same = max(starmap(_same, pairwise(sorted(set(ids)))), default=0)
    size = min(max(room, _SHORTEST_ID, same + 2), most)
    return [fitted(each, size).rstrip() for each in ids]


def _same(one: str, other: str) -> int:
    """Count the characters with which both begin."""
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))))  # fmt: skip


def _agent(row: RunRow) -> str:
    more = f" +{row.agents - 1}" if row.agents > 1 else ""
    return (_CHILD if row.parent else "") + (printable(row.agent) or UNKNOWN) + more


def _cells(row: RunRow, shown: str, usd: str, now: datetime) -> dict[str, str]:
    retries = row.attempts - row.steps
    return {
        "run": shown,
        "agent": _agent(row),
        "outcome": row.outcome + _mark(row),
        "ago": span(max(0.0, (now - row.started).total_seconds())),
        "took": span(row.seconds),
        "steps": f"{row.steps}+{retries}" if retries > 0 else str(row.steps),
        "tools": str(row.tool_calls or UNKNOWN),
        "in": tokens(row.input_tokens),
        "out": tokens(row.output_tokens),
        "cost": usd,
        "refused": _refused(row),
        "joined by": row.source or UNKNOWN,
    }


def _refused(row: RunRow) -> str:
    would = f"({row.would_refuse})" if row.would_refuse else ""
    return " ".join(filter(None, [str(row.refused or ""), would])) or UNKNOWN


def _style(row: RunRow) -> str:
    return "yellow" if _mark(row) == "!" else _STYLES.get(row.outcome, "")


def _mark(row: RunRow) -> str:
    if row.outcome == "open":
        return "!" if row.last_error else ""
    return "" if row.outcome_source == "reported" else "?"


def _legend(rows: Sequence[RunRow]) -> Iterator[Text]:
    said = []
    if any(row.outcome_source == "inferred" and row.outcome != "open" for row in rows):
        said.append("? inferred, since nobody reported")
    if any(_mark(row) == "!" for row in rows):
        said.append("! its last call failed")
    if any(row.parent for row in rows):
        said.append(f"{_CHILD}begun by another run")
    if any(row.agents > 1 for row in rows):
        said.append("+ more agents took over")
    retried = next((row for row in rows if row.attempts > row.steps), None)
    if retried is not None:
        shown = f"{retried.steps}+{retried.attempts - retried.steps}"
        said.append(f"{shown}: {_work(retried)}".replace(" + ", ", "))
    would = next((row for row in rows if row.would_refuse), None)
    if would is not None:
        said.append(
            f"({would.would_refuse}): would have been refused, if what observes enforced"
        )
    said.extend(money_legend(row.mark for row in rows if row.usd is not None))
    if said:
        yield Text(" · ".join(said), style="dim")


def _work(row: RunRow) -> str:
    retries = row.attempts - row.steps
    again = f" + {counted(retries, 'retry', 'retries')}" if retries > 0 else ""
    return counted(row.steps, "step") + again


def summary(row: RunRow, seconds: float) -> str:
    """Say in one line what a run took, as far as that is known; `seconds` is how long its command ran."""
    said = [_work(row)] if row.source else []
    if row.refused:
        said.append(f"{counted(row.refused, 'call')} refused")
    if row.input_tokens is not None:
        said.append(f"{tokens(row.input_tokens)} tokens in, {tokens(row.output_tokens)} out")  # fmt: skip
    if row.usd is not None:
        said.append(dollars(row.usd, row.mark))
    return ", ".join([*said, f"command {duration(seconds)}"])
