"""What the policies said of a run, in lines: at each call of its waterfall, and in the head what stopped it.

What lives here: from verdicts to lines of text, pure. What does not: the waterfall (`waterfall.py`), asking for verdicts (`questions.py`).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from textwrap import wrap

from rich.text import Text

from proxy.cli.figures import UNKNOWN, counted, dollars, duration, fitted, printable
from proxy.cli.questions import AttemptRow, VerdictRow, mark_of

BLOCKED, WOULD_BLOCK, BLOCK, WARN = "blocked", "would_block", "block", "warn"
_DOLLARS = frozenset({"cost_limit", "spends_too_fast"})
_SECONDS = frozenset({"time_limit"})
_IN_RUNS = frozenset({"run", "turn", "session"})
_GATES = frozenset({"breaker", "rate_gate", "quota_gate"})
_TOOL_CALLS = "tool_calls"
"""Looks at one answer, so that there is no limit to compare with."""
_STYLES = {BLOCK: "red", WOULD_BLOCK: "yellow", WARN: "yellow"}
_INDENT = 4


def is_refused(row: AttemptRow) -> bool:
    """Tell whether a call was refused here: it went nowhere, cost nothing and is no step."""
    return row.outcome == BLOCKED


class Verdicts:
    """The verdicts on a run's calls. A message is given in full once, where it is first said."""

    def __init__(self, verdicts: Sequence[VerdictRow], width: int) -> None:
        self._width = width
        self._told: set[tuple[str, str, str]] = set()
        self._of: dict[tuple[str, datetime], list[VerdictRow]] = {}
        for each in verdicts:
            self._of.setdefault((each.step_id, each.began), []).append(each)

    def lines(self, row: AttemptRow) -> Iterator[Text]:
        """Give what was said of a call; a warning where it was told first."""
        for each in verdicts_of(row, self._of.get((row.step_id, row.began), ())):
            style = _STYLES[each.action]
            is_ours = each.action == BLOCK and (row.http_status or 0) >= 400
            http = f" (HTTP {row.http_status})" if is_ours else ""
            yield detail(sentence(each) + http, style, self._width)
            told = (each.policy, each.action, each.reason)
            if each.message and told not in self._told:
                self._told.add(told)
                yield from _paragraph(each.message, self._width)
        if row.breaker_state == "half_open":
            yield detail("! breaker half open: this call was a probe", "yellow", self._width)  # fmt: skip
        elif row.breaker_state == "open":
            yield detail("! breaker open", "yellow", self._width)


def verdicts_of(row: AttemptRow, told: Sequence[VerdictRow]) -> Sequence[VerdictRow]:
    """Give the verdicts on a call: those that were told, and the one in its row, of whose kind too many were told."""
    is_told = any(each.policy == row.verdict_policy and each.action == row.verdict_action for each in told)  # fmt: skip
    if is_told or row.verdict_action not in (BLOCK, WOULD_BLOCK):
        return told
    own = VerdictRow(row.began, row.step_id, "", row.verdict_policy, row.verdict_action, row.verdict_reason)  # fmt: skip
    return [own, *told]


def sentence(verdict: VerdictRow) -> str:
    """Say who said what of a call, why, and with which numbers."""
    policy = printable(verdict.policy)
    why = reason(verdict)
    if verdict.action == BLOCK:
        return f"✗ refused by {policy}: {why}"
    if verdict.action == WOULD_BLOCK:
        return f"! {policy} would have refused it: {why}"
    return f"! {policy} warns: {why}"


def reason(verdict: VerdictRow) -> str:
    """Say why, with the value and its threshold where there are any; of gates, which have none, how long to wait."""
    why = printable(verdict.reason).replace("_", " ")
    if verdict.value is None or verdict.threshold is None or verdict.policy == _TOOL_CALLS:  # fmt: skip
        return why
    if verdict.policy in _GATES:
        return f"{why}, for {duration(float(verdict.value))}"
    between = ", warning from" if verdict.action == WARN else " of"
    return f"{why}, {_figure(verdict, verdict.value)}{between} {_figure(verdict, verdict.threshold)}"


def _figure(verdict: VerdictRow, number: Decimal) -> str:
    if verdict.reason in _DOLLARS:
        return dollars(number)
    if verdict.reason in _SECONDS:
        return duration(float(number))
    return f"{number.normalize():,f}"


def mode_of(policy: str) -> str:
    """Name the setting that says whether a policy enforces."""
    kind, _, name = printable(policy).partition(":")
    return f"policies.{kind}[{name}].mode" if name else f"policies.{kind}.mode"


def stopped(
    rows: Sequence[AttemptRow],
    verdicts: Sequence[VerdictRow],
    root: str,
    command: str = "tacho",
    options: str = "",
) -> Iterator[Text]:
    """Say what stopped a run, where, what it had taken by then and what to do; or what would have, had it been enforced.

    What went out all the same, by a fallback or a repaired answer, stopped nothing.
    """
    went = {row.step_id: row.attempt for row in rows if _is_work(row)}
    for action in (BLOCK, WOULD_BLOCK):
        at = next((row for row in rows if row.verdict_action == action and went.get(row.step_id, 0) <= row.attempt), None)  # fmt: skip
        if at is None:
            continue
        told = [each for each in verdicts if (each.step_id, each.began) == (at.step_id, at.began)]  # fmt: skip
        verdict = next(each for each in verdicts_of(at, told) if (each.policy, each.action) == (at.verdict_policy, action))  # fmt: skip
        before, after = _parted(rows, at)
        steps = len({row.step_id for row in before if _is_work(row)})
        if action == BLOCK:
            yield from _is_stopped(rows, verdict, before, after, steps)
            yield Text(
                _advice(verdict, f"{command} allow {printable(root)}{options}"),
                style="red",
            )
        else:
            yield from _would_be(verdict, [at, *after], before, steps)
        return


def _is_stopped(
    rows: Sequence[AttemptRow], verdict: VerdictRow, before: Sequence[AttemptRow], after: Sequence[AttemptRow], steps: int
) -> Iterator[Text]:  # fmt: skip
    refused = sum(map(is_refused, rows))
    went_on = {row.step_id for row in after if _is_work(row)}
    what = "stopped" if not went_on else "refused for a while"
    on = f", then {counted(len(went_on), 'more step')}" if went_on else ""
    said = (
        f"{what} by {printable(verdict.policy)} at step {steps + 1}: {reason(verdict)}"
    )
    yield Text(f"{said} · until then {_taken(before)} · {counted(refused, 'call')} refused{on}", style="bold red")  # fmt: skip


def _would_be(
    verdict: VerdictRow, since: Sequence[AttemptRow], before: Sequence[AttemptRow], steps: int
) -> Iterator[Text]:  # fmt: skip
    policy = printable(verdict.policy)
    said = f"{policy} would have stopped it at step {steps + 1}: {reason(verdict)}"
    yield Text(f"{said} · until then {_taken(before)}, since then {_taken(since)} · it only observes; to enforce: {mode_of(verdict.policy)}", style="yellow")  # fmt: skip


def _advice(verdict: VerdictRow, allow: str) -> str:
    if verdict.reason == "in_flight":
        return (
            "calls under way might have used up what was left: sent again, it may pass"
        )
    if verdict.scope in _IN_RUNS or (not verdict.scope and verdict.policy not in _GATES):  # fmt: skip
        return f"to let it go on: {allow}"
    if verdict.policy in _GATES:
        return "the upstream is why: calls pass again when it does, see the step below"
    return "what to do stands at the step below"


def _parted(
    rows: Sequence[AttemptRow], at: AttemptRow
) -> tuple[list[AttemptRow], list[AttemptRow]]:
    others = [row for row in rows if row.attempt_id != at.attempt_id]
    before = [row for row in others if row.offset_seconds < at.offset_seconds]
    return before, [row for row in others if row.offset_seconds >= at.offset_seconds]


def _is_work(row: AttemptRow) -> bool:
    return row.is_step and not is_refused(row)


def _taken(rows: Sequence[AttemptRow]) -> str:
    steps = counted(len({row.step_id for row in rows if _is_work(row)}), "step")
    known = [row.usd for row in rows if row.usd is not None]
    spent = dollars(sum(known, Decimal(0)), mark_of(rows)) if known else UNKNOWN
    return steps if spent == UNKNOWN else f"{steps}, {spent}"


def together(steps: Sequence[Sequence[AttemptRow]]) -> Iterator[tuple[Sequence[AttemptRow], int, float]]:  # fmt: skip
    """Join steps that were refused alike one after the other: the first, how many followed, and when the last began."""
    for alike, group in groupby(steps, _alike):
        found = list(group)
        if alike is None:
            yield from ((each, 0, 0.0) for each in found)
        else:
            yield found[0], len(found) - 1, found[-1][0].offset_seconds


def _alike(attempts: Sequence[AttemptRow]) -> tuple[str, str] | None:
    first = attempts[0]
    if len(attempts) > 1 or not is_refused(first):
        return None
    return first.verdict_policy, first.verdict_reason


def detail(text: str, style: str, width: int) -> Text:
    """Give a line below a call's, cut to the width."""
    line = " " * _INDENT + text
    return Text(fitted(line, width).rstrip(), style=style, no_wrap=True)


def _paragraph(text: str, width: int) -> Iterator[Text]:
    room = max(20, width - _INDENT - 2)
    for each in wrap(printable(text), room, break_on_hyphens=False):
        yield detail("  " + each, "dim", width)
