"""One run as a waterfall: a line for each step, its attempts below it where there are several, all on one time axis.

What lives here: from rows to lines of text, pure. What does not: their columns (`waterfall_columns.py`), what policies said
(`verdict_lines.py`), what the run was as a whole (`run_header.py`), asking for the rows (`questions.py`), printing (`show.py`).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal

from rich.cells import cell_len
from rich.text import Text

from proxy.cli.figures import (
    UNKNOWN,
    at_the_point,
    counted,
    dollars,
    fitted,
    money_legend,
    printable,
    span,
)
from proxy.cli.questions import AttemptRow, VerdictRow, mark_of
from proxy.cli.verdict_lines import Verdicts, detail, is_refused, together
from proxy.cli.waterfall_columns import WAITING, Columns, Line, cut, headings

UNCOUNTED = "?"
_SHORT = {
    "client_abort": "left",
    "upstream_abort": "cut",
    "proxy_error": "fault",
    "proxy_crashed": "crashed",
}
"""Outcomes in eight cells; the line below says the whole."""
_NEVER_ANSWERED = ("connect", "tls", "dns", "connect_timeout", "ttfb_timeout")
"""Errors at which the upstream had no status to give: what the agent got was the proxy's own."""


def waterfall(
    rows: Sequence[AttemptRow], width: int, verdicts: Sequence[VerdictRow] = ()
) -> Iterator[Text]:
    """Give the lines of a run's attempts, in their order, with what policies said of them."""
    lines = list(_lines(rows, width, Verdicts(verdicts, width)))
    known = [each for each in lines if isinstance(each, Line)]
    costs = iter(at_the_point([each.cost for each in known]))
    shown = [
        replace(each, cost=next(costs)) if isinstance(each, Line) else each
        for each in lines
    ]
    columns = Columns.within(
        width,
        max((len(each.cost) for each in shown if isinstance(each, Line)), default=0),
    )
    total = max((row.end_seconds for row in rows), default=0.0)
    yield headings(columns)
    for each in shown:
        yield cut(each, columns, total) if isinstance(each, Line) else each
    yield from _legend(rows)


def _lines(
    rows: Sequence[AttemptRow], width: int, verdicts: Verdicts
) -> Iterator[Line | Text]:
    before = None
    for attempts, more, last in together(_steps(rows)):
        first = attempts[0]
        yield from _parted(before, first, width)
        before = first
        number = _number(attempts)
        if len(attempts) == 1:
            yield _of_attempt(first, number, _name(first))
            yield from _details(first, width, verdicts)
        else:
            yield _of_step(attempts, number)
            for row in attempts:
                yield _try(row)
                yield from _details(row, width, verdicts)
        if more:
            said = f"… and {counted(more, 'more call')} refused alike, the last at {span(last)}"
            yield detail(said, "red", width)


def _number(attempts: Sequence[AttemptRow]) -> str:
    """Give a step's number; one that was refused first may have gone out after all, elsewhere or asked again."""
    row = next((row for row in attempts if not is_refused(row)), attempts[0])
    if not row.is_step:
        return ""
    return UNKNOWN if is_refused(row) else str(row.step_seq or UNCOUNTED)


def _try(row: AttemptRow) -> Line:
    """Name an attempt, and who made it where there is room for that."""
    short = f"  attempt {row.attempt}"
    layer = f", {row.retry_layer}" if row.retry_layer else ""
    return replace(_of_attempt(row, "", short + layer), short=short)


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
    return dollars(sum(known, Decimal(0)), mark_of(rows))


def _details(row: AttemptRow, width: int, verdicts: Verdicts) -> Iterator[Text]:
    """Say in lines of their own what the columns have no room for."""
    is_told = is_refused(row) and row.verdict_policy
    if row.outcome != "completed" and not is_told:
        is_ours = row.error_type in _NEVER_ANSWERED
        http = f", HTTP {row.http_status}" + " from here" * is_ours
        http = "" if row.http_status is None else http
        kind = f": {row.error_type}" if row.error_type else ""
        yield detail(f"✗ {row.outcome}{kind}{http}", "red", width)
    yield from verdicts.lines(row)
    if row.asked_tools:
        tools = Counter(printable(tool) for tool in row.asked_tools)
        named = [f"{tool} ({n})" if n > 1 else tool for tool, n in tools.items()]
        yield detail(f"→ asks for {', '.join(named)}", "dim", width)


def _legend(rows: Sequence[AttemptRow]) -> Iterator[Text]:
    said = []
    if any(row.first_token_seconds is not None for row in rows):
        said.append(f"{WAITING} before the first token")
    shown = [*([row] for row in rows), *_steps(rows), rows]
    priced = [each for each in shown if any(row.usd is not None for row in each)]
    said.extend(money_legend(map(mark_of, priced)))
    if any(row.is_step and not row.step_seq and not is_refused(row) for row in rows):
        said.append(
            f"{UNCOUNTED} not counted: its first attempt was refused, or the state could not be asked"
        )
    if any(_number(attempts) == UNKNOWN for attempts in _steps(rows)):
        said.append(f"{UNKNOWN} refused here: no step")
    if any(not row.is_step for row in rows):
        said.append("without a number: not work (model lists, token counts)")
    if said:
        yield Text(" · ".join(said), style="dim")
