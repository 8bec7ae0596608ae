"""`tacho report` as text: what the policies did, and what those that observe would have done.

What lives here: from a report to lines of text, pure. What does not: asking (`report_rows.py`), printing (`report.py`).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

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
)
from proxy.cli.report_rows import BreakerRow, GateRow, Report, SaidRow, WouldRow
from proxy.cli.verdict_lines import mode_of

_LEFT = frozenset({"policy", "agent", "tenant", "reason", "upstream", "model", "run", "first in", "last in"})  # fmt: skip
_NARROWEST, _SHORTEST_ID = 8, 17
_IDS = ("first in", "last in")
_NAMES = ("agent", "upstream", "model", "tenant", *_IDS, "reason", "policy")
"""Columns that give way where it is narrow, the first of them first."""


def report_lines(
    report: Report, width: int, now: datetime, command: str, options: str
) -> Iterator[Text]:
    """Give the lines; `command` and `options` are how others are started."""
    whose = f" of the agent {printable(report.agent)}" if report.agent else ""
    yield Text(f"policies in the last {_days(report.since_seconds)}{whose} · {counted(report.calls, 'call')}", style="bold")  # fmt: skip
    yield Text("")
    yield from _would(report, width, now, command, options)
    for title, none, table in (
        ("refused", "nothing was refused", _said(report.refused, width, now)),
        ("warnings", "no limit was near", _said(report.warnings, width, now)),
        ("health breakers", "none opened", _breakers(report.breakers, width, now)),
        ("rate and quota gates", "no call found one shut", _gates(report.gates, width, now)),
    ):  # fmt: skip
        lines = list(table)
        yield Text("")
        yield Text(title if lines else f"{title}: {none}", style="bold" if lines else "")  # fmt: skip
        yield from lines


def _days(seconds: int) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _would(
    report: Report, width: int, now: datetime, command: str, options: str
) -> Iterator[Text]:
    together = report.together
    if together is None:
        yield Text("stopped, had all policies enforced: nothing")
        return
    rows = report.would_have_stopped
    yield Text("stopped, had all policies enforced, and what was spent after that", style="bold")  # fmt: skip
    usd = at_the_point([dollars(each.usd, each.mark) for each in [*rows, together]])
    lines = [_would_line(row, cost, now) for row, cost in zip(rows, usd, strict=False)]  # fmt: skip
    if len(rows) > 1:
        all_of_it = _would_line(together, usd[-1], now)
        lines.append(all_of_it | {"policy": "together", "first in": "", "#": "", "ago": ""})  # fmt: skip
    yield from _table(lines, width)
    yield from _so(report, together, command, options)


def _would_line(row: WouldRow, usd: str, now: datetime) -> dict[str, str]:
    return {
        "policy": printable(row.policy),
        "tenant": printable(row.tenant),
        "agent": printable(row.agent) or UNKNOWN if row.policy else "",
        "runs": str(row.runs or UNKNOWN),
        "calls": f"{row.calls:,}",
        "first in": printable(row.first_run) or UNKNOWN,
        "#": str(row.first_step or UNKNOWN),
        "ago": span(max(0.0, (now - row.began).total_seconds())),
        "steps": f"{row.steps:,}",
        "cost": usd,
    }


def _so(
    report: Report, together: WouldRow, command: str, options: str
) -> Iterator[Text]:
    spent = dollars(together.usd, together.mark)
    cost = "" if spent == UNKNOWN else f" and {spent}"
    yield Text(
        f"enforcing would have saved {counted(together.steps, 'step')}{cost} at most: an agent that is refused does something else instead"
    )
    said = [*money_legend(row.mark for row in [*report.would_have_stopped, together] if row.usd is not None)]  # fmt: skip
    if together.first_run:
        said.append(
            f"look at one: {command} show {printable(together.first_run)}{options}"
        )
    modes = dict.fromkeys(mode_of(row.policy) for row in report.would_have_stopped)
    said.append(f"to enforce: {', '.join(modes)}")
    yield Text(" · ".join(said), style="dim")


def _said(rows: Sequence[SaidRow], width: int, now: datetime) -> Iterator[Text]:
    yield from _table(
        [
            {
                "policy": printable(row.policy),
                "tenant": printable(row.tenant),
                "reason": printable(row.reason).replace("_", " "),
                "agent": printable(row.agent) or UNKNOWN,
                "runs": str(row.runs or UNKNOWN),
                "calls": f"{row.calls:,}",
                "last in": printable(row.last_run) or UNKNOWN,
                "ago": span(max(0.0, (now - row.ended).total_seconds())),
            }
            for row in rows
        ],
        width,
    )


def _breakers(rows: Sequence[BreakerRow], width: int, now: datetime) -> Iterator[Text]:
    yield from _table(
        [
            {
                "upstream": printable(row.upstream) or printable(row.route),
                "model": printable(row.model) or UNKNOWN,
                "opened": f"{row.openings:,}",
                "open for": duration(row.seconds),
                "longest": duration(row.longest_seconds),
                "ended": "not yet" if row.is_open else span(max(0.0, (now - row.ended).total_seconds())) + " ago",
            }
            for row in rows
        ],
        width,
    )  # fmt: skip


def _gates(rows: Sequence[GateRow], width: int, now: datetime) -> Iterator[Text]:
    yield from _table(
        [
            {
                "policy": printable(row.policy),
                "upstream": printable(row.route),
                "model": printable(row.model) or UNKNOWN,
                "refused": f"{row.refused:,}",
                "would be": f"{row.would_refuse:,}",
                "over": duration(row.seconds),
                "ago": span(max(0.0, (now - row.ended).total_seconds())),
            }
            for row in rows
        ],
        width,
    )


def _table(lines: Sequence[dict[str, str]], width: int) -> Iterator[Text]:
    """Give lines in columns as wide as they need; names are cut where it is too narrow for all."""
    if not lines:
        return
    sizes = {name: max(len(name), *(cell_len(line[name]) for line in lines)) for name in lines[0]}  # fmt: skip
    if len({line.get("tenant") for line in lines} - {"", None}) == 1:
        del sizes["tenant"]
    if _width(sizes) > width:
        sizes.pop("ago", None)
    for name in _NAMES:
        over = _width(sizes) - width
        if over > 0 and name in sizes:
            least = _SHORTEST_ID if name in _IDS else _NARROWEST
            sizes[name] = max(min(least, sizes[name]), sizes[name] - over)
    yield _row({name: name for name in sizes}, sizes, "dim")
    for line in lines:
        yield _row(line, sizes, "")


def _width(sizes: dict[str, int]) -> int:
    return sum(sizes.values()) + 2 * len(sizes)


def _row(line: dict[str, str], sizes: dict[str, int], style: str) -> Text:
    cells = [fitted(line[name], size, right=name not in _LEFT) for name, size in sizes.items()]  # fmt: skip
    return Text("  " + "  ".join(cells).rstrip(), style=style, no_wrap=True)
