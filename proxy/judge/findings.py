"""What a keeper's findings mean: verdicts, and which of several counts.

What lives here: one finding, one pattern, their order. What does not: who is asked (`bench.py`), words (`wording.py`).
"""

from collections.abc import Sequence

import msgspec

from proxy.judge import wording
from proxy.judge.caps import BACKSTOP, CAPS
from proxy.judge.case import Case
from proxy.judge.circles import Seen
from proxy.judge.claims import Finding, Level, Mode, Take
from proxy.judge.lines import Line
from proxy.judge.matching import ModeName
from proxy.judge.verdict import Action, Reason, Verdict

BUSY_SECONDS = 2
"""After so long a call that was refused for what is in flight may try again: half the calls to a model take no longer."""


def _action(mode: Mode | ModeName, *, is_warning: bool) -> Action:
    if is_warning:
        return Action.WARN
    return Action.WOULD_BLOCK if mode == Mode.OBSERVE else Action.BLOCK


def of_finding(line: Line, finding: Finding, case: Case, notes: bool) -> Verdict:
    """Say what a finding of a line means; with `notes`, also what a model may know of it."""
    rule, note = line.rule, ""
    level, value, limit = finding.level, finding.value, finding.limit
    is_warning, is_busy = level is Level.WARN, level is Level.BUSY
    action = _action(line.claim.mode, is_warning=is_warning)
    reason = Reason.IN_FLIGHT if is_busy else rule.reason
    if is_warning:
        limit = max((each for each in rule.levels if each <= value), default=limit)
        said = wording.near(rule, value, limit, case)
        note = _note(line, value) if notes else ""
    elif is_busy:
        said = wording.busy(rule, value, limit, BUSY_SECONDS)
    else:
        said = wording.over(rule, value, limit, case)
    return Verdict(
        action, rule.policy, reason, said, rule.scope, wording.decimal(rule, value), wording.decimal(rule, limit),
        BUSY_SECONDS if is_busy else 0, is_final=not is_busy, note=note,
    )  # fmt: skip


def _note(line: Line, value: int) -> str:
    """Say what a model may know of a warning: of its own run, where somebody means it."""
    rule, claim = line.rule, line.claim
    if rule.policy not in (CAPS, BACKSTOP) or claim.mode is not Mode.ENFORCE:
        return ""
    return wording.note(rule, value, claim.limit if isinstance(claim, Take) else claim.limit_us)  # fmt: skip


def of_circle(seen: Seen, case: Case, notes: bool) -> Verdict:
    """Say what a pattern means that was seen."""
    threshold = seen.threshold
    action = _action(threshold.mode, is_warning=not seen.is_over)
    limit = threshold.block if seen.is_over else threshold.warn
    said = wording.pattern(threshold.reason, threshold.policy, seen.times, seen.period, case)  # fmt: skip
    note = ""
    if notes and threshold.mode == "enforce" and not seen.is_over:
        note = wording.note_of_pattern(threshold.reason, seen.times, seen.period, threshold.block)  # fmt: skip
    return Verdict(action, threshold.policy, threshold.reason, said, "run", str(seen.times), str(limit), note=note)  # fmt: skip


def first_of(found: Sequence[Verdict]) -> Verdict | None:
    """Give the verdict that counts, with the others beside it in their order."""
    if not found:
        return None
    counts = min(found, key=_weight)  # the first of equals
    others = tuple(each for each in found if each is not counts)
    return msgspec.structs.replace(counts, others=others) if others else counts


def is_put_off(verdict: Verdict) -> bool:
    """Tell whether the same call may be sent again later."""
    return not verdict.is_final


def _weight(verdict: Verdict) -> int:
    if verdict.action is Action.BLOCK:
        return 0 if verdict.is_final else 1
    if verdict.action is Action.REPAIRED:
        return 1
    return 2 if verdict.action is Action.WOULD_BLOCK else 3
