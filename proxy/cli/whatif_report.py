"""What a replay found, as lines of text.

What lives here: the summary, the table of policies and that of runs, pure. What does not: the figures (`whatif_found.py`), printing (`whatif.py`).
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from rich.cells import cell_len
from rich.text import Text

from proxy.cli.figures import UNKNOWN, counted, dollars, fitted, printable, tokens
from proxy.cli.runs_table import short_ids
from proxy.cli.whatif_found import ByPolicy, Found, Saving, StoppedRun

_SHORTEST_ID, _LONGEST_AGENT, _LONGEST_WHY = 17, 20, 48
_LEFT = frozenset({"run", "agent", "outcome", "why", "policy"})
_PARENT = "its parent had stopped: "
_Cells = dict[str, str]


def report(found: Found, width: int, limit: int) -> Iterator[Text]:
    """Give the lines; the runs are cut at `limit`."""
    yield from _summary(found)
    if found.by_policy:
        yield Text("")
        yield from _table([_policy_cells(each) for each in found.by_policy])
    if found.stopped:
        yield Text("")
        yield from _runs(found.stopped[:limit], width)
        hidden = len(found.stopped) - limit
        if hidden > 0:
            yield _note(f"{counted(hidden, 'run')} more; see them with --limit {len(found.stopped)} or --json")  # fmt: skip
    yield from _remarks(found)


def _summary(found: Found) -> Iterator[Text]:
    when = f"{found.since:%Y-%m-%d %H:%M} UTC"
    yield Text(f"since {when}: {counted(found.runs, 'run')}, {_took(found.calls)}")
    if not (found.stopped or found.by_policy):
        largest = f"the largest took {counted(found.longest_steps, 'step')}, the dearest {dollars(found.dearest_usd)}"
        yield Text(f"none would have been stopped; {largest}: try less, as in --caps steps=N,cost_usd=N")  # fmt: skip
        return
    share = _share(found.saved.usd, found.calls.usd)
    yield Text(
        f"{len(found.stopped):,} of them would have been stopped, which saves at most {dollars(found.saved.usd)}{share}: {_took(found.saved, with_usd=False)}",
        "bold",
    )
    if found.successes:
        style = "red" if found.successes_stopped else ""
        yield Text(f"{counted(found.successes, 'run')} reported a success, of which {found.successes_stopped:,} would have been cut", style)  # fmt: skip
    else:
        yield Text("no run was reported a success, so that nobody knows whether good ones would have been cut", "dim")  # fmt: skip


def _took(sums: Saving, *, with_usd: bool = True) -> str:
    said = f"{counted(sums.calls, 'call')}, {tokens(sums.tokens)} tokens"
    return f"{said}, {dollars(sums.usd)}" if with_usd else said


def _share(part: Decimal, whole: Decimal) -> str:
    return f" ({100 * part / whole:.0f} %)" if whole else ""


def _policy_cells(each: ByPolicy) -> _Cells:
    cells = {"policy": printable(each.policy), "runs": f"{each.runs:,}", "saved": dollars(each.saved.usd)}  # fmt: skip
    cells["calls"] = f"{each.saved.calls:,}"
    cells["refused outside runs"] = f"{each.stray_calls:,}" if each.stray_calls else UNKNOWN  # fmt: skip
    return cells


def _runs(rows: Sequence[StoppedRun], width: int) -> Iterator[Text]:
    cells = [_run_cells(each) for each in rows]
    taken = sum(_width(cells, name) + 1 for name in cells[0] if name != "run")
    room = max(_SHORTEST_ID, width - taken)
    shown = short_ids([each["run"] for each in cells], room, max(room, _longest(cells)))
    for each, run in zip(cells, shown, strict=True):
        each["run"] = run
    yield from _table(cells)


def _longest(cells: Sequence[_Cells]) -> int:
    return max(cell_len(each["run"]) for each in cells)


def _run_cells(row: StoppedRun) -> _Cells:
    outcome = (row.outcome or UNKNOWN) + ("?" if row.outcome and not row.is_reported else "")  # fmt: skip
    return {
        "run": printable(row.run),
        "agent": fitted(printable(row.agent) or UNKNOWN, _LONGEST_AGENT).rstrip(),
        "outcome": outcome,
        "at step": f"{row.step:,}",
        "why": fitted(_why(row), _LONGEST_WHY).rstrip(),
        "spent": dollars(row.spent.usd),
        "saved": dollars(row.saved.usd),
        "calls": f"{row.saved.calls:,}",
    }


def _why(row: StoppedRun) -> str:
    scope = "" if row.scope == "run" else f" ({printable(row.scope)})"
    figures = f" {_number(row.value)} of {_number(row.threshold)}" if row.threshold else ""  # fmt: skip
    before = _PARENT if row.with_parent else ""
    return f"{before}{printable(row.policy)} {row.reason}{figures}{scope}"


def _number(text: str) -> str:
    number = Decimal(text)
    return text if number == number.to_integral_value() else f"{number:.2f}" if number >= 1 else f"{number:.4f}"  # fmt: skip


def _table(cells: Sequence[_Cells]) -> Iterator[Text]:
    widths = {name: _width(cells, name) for name in cells[0]}
    head = [fitted(name, size, right=name not in _LEFT) for name, size in widths.items()]  # fmt: skip
    yield Text(" ".join(head).rstrip(), style="dim", no_wrap=True)
    for each in cells:
        line = [fitted(each[name], size, right=name not in _LEFT) for name, size in widths.items()]  # fmt: skip
        yield Text(" ".join(line).rstrip(), no_wrap=True)


def _width(cells: Sequence[_Cells], name: str) -> int:
    return max(cell_len(name), *(cell_len(each[name]) for each in cells))


def _remarks(found: Found) -> Iterator[Text]:
    if found.stopped or found.by_policy:
        yield _note("at most: a refused agent may do something else instead, and calls under way would have gone on")  # fmt: skip
    if any(row.outcome and not row.is_reported for row in found.stopped):
        yield _note("? inferred, since nobody reported")
    if found.unknown:
        yield _note(f"{counted(found.unknown, 'run')}: too many to ask how each went")
    if found.waits:
        yield _note(f"{counted(found.waits, 'call')} put off for others under way, and taken as made")  # fmt: skip
    if found.refused_before:
        yield _note(f"{counted(found.refused_before, 'run')} ended in a refusal then: how that would have gone on nobody knows")  # fmt: skip
    if found.not_replayed:
        yield _note(f"not replayed, since rows have no bodies, results, headers and limits of requests: {', '.join(found.not_replayed)}")  # fmt: skip


def _note(text: str) -> Text:
    return Text(text, style="dim")
