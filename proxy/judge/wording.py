"""What a verdict says, in words that no client takes for something else.

What lives here: the message of each reason, and how numbers are written. What does not: shapes, statuses and headers of a refusal (`refusals.py`).

Clients and frameworks read texts: LiteLLM takes `429` or "rate limit" for a reason to retry, CrewAI summarises and goes on at words about
the context, Claude Code shortens its prompt. So a message has none of "rate", "context", "tokens allowed", "quota" and "429", also where a name
that was given has them. All news is in one line, since some clients show nothing else.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from proxy.judge.case import Case
from proxy.judge.lines import NANO_PER_USD, US_PER_SECOND, Rule
from proxy.judge.periods import period_end_us
from proxy.judge.verdict import Reason

TRAPS = re.compile(r"429|\brates?\b|rate[ _-]?limit|context|quota|tokens?[ _-]allowed|token[ _-]?limit|too[ _-]many|too[ _-]long|thinking", re.IGNORECASE)  # fmt: skip
_NUMBER = re.compile(r"\b429\b")
_NOUNS = {
    Reason.STEPS: "step limit",
    Reason.TOOL_CALLS: "limit of tool calls",
    Reason.ATTEMPTS: "limit of attempts",
    Reason.COST: "cost limit",
    Reason.TOKENS: "limit on tokens",
    Reason.WALL_TIME: "time limit",
}
_USED = {
    Reason.STEPS: "steps",
    Reason.TOOL_CALLS: "tool calls",
    Reason.ATTEMPTS: "attempts",
    Reason.COST: "money",
    Reason.TOKENS: "tokens",
    Reason.WALL_TIME: "time",
}
_DOLLARS = frozenset({Reason.COST, Reason.TOO_FAST})
_IN_RUNS = frozenset({"run", "turn", "session"})


def decimal(rule: Rule, number: int) -> str:
    """Write a value as a plain decimal number in dollars, seconds or pieces."""
    if _is_money(rule):
        return _fraction(number, NANO_PER_USD)
    if rule.reason is Reason.WALL_TIME:
        return _fraction(number, US_PER_SECOND)
    return str(number)


def over(rule: Rule, value: int, limit: int, case: Case) -> str:
    """Say that a limit is reached, and what to do."""
    figures = _figures(rule, value, limit)
    if rule.reason is Reason.BUDGET:
        ends = _moment(period_end_us(rule.vary, case.now_us))
        said = f"budget {_whose(rule)} is spent ({figures}) and begins anew at {ends}; to change it: {_setting(rule)}"
    elif rule.reason is Reason.TOO_FAST:
        said = f"agent {named(rule.name)} of this caller spends too fast ({figures} within {rule.window_seconds} seconds); find out why, or change {_setting(rule)}"
    elif rule.reason is Reason.SAME_REQUEST:
        said = f"agent {named(rule.name)} of this caller sent the same request more than {limit} times within {rule.window_seconds} seconds; find out why, or change {_setting(rule)}"
    else:
        said = f"{rule.scope} exceeded its {_NOUNS[rule.reason]} ({figures}); {_next(rule, case, limit)}"
    return _safe(said)


def busy(rule: Rule, value: int, limit: int, seconds: int) -> str:
    """Say that calls under way may use up what is left."""
    who = f"budget {_whose(rule)}" if rule.reason is Reason.BUDGET else _possessor(rule)
    figures = _figures(rule, value, limit)
    return _safe(
        f"calls under way may use up what is left to this {who} ({figures} spent or reserved); send it again in {seconds} seconds"
    )


def near(rule: Rule, value: int, level: int, case: Case) -> str:
    """Say that a limit is near."""
    figures = f"{_shown(rule, value)}, warning from {_shown(rule, level)} on"
    who = f"budget {_whose(rule)}" if rule.reason is Reason.BUDGET else _possessor(rule)
    about = f"; {_next(rule, case)}" if rule.scope in _IN_RUNS else f"; to change it: {_setting(rule)}"  # fmt: skip
    return _safe(f"{who} is near its limit ({figures}){about}")


def note(rule: Rule, value: int, limit: int) -> str:
    """Tell a model that a limit of its run is near."""
    what = _USED[rule.reason]
    return f"this {rule.scope} has used {100 * value // limit} % of its {what} ({_grouped(rule, value)} of {_grouped(rule, limit)})"


def note_of_pattern(reason: Reason, times: int, period: int, block: int | None) -> str:
    """Tell a model that it goes in circles."""
    end = "" if block is None else f"; the run is stopped at {block}"
    return f"this run goes in circles: {_PATTERNS[reason](times, period)}{end}"


def window(percent: int, limit_percent: int) -> str:
    """Say that a request leaves no room for an answer."""
    return _safe(
        f"request fills {percent} % of what the model can read (at most {limit_percent} %); begin anew with a summary, or change policies.caps.window_share"
    )


def pattern(reason: Reason, policy: str, times: int, period: int, case: Case) -> str:
    """Say what a loop looks like."""
    saw = _PATTERNS[reason](times, period)
    return _safe(f"run goes in circles: {saw}; {_going_on(case)}, or change policies.{policy}")  # fmt: skip


def fault() -> str:
    """Say that nothing was judged."""
    return "the policies could not be asked, and policies.on_error is block; try again, or look into the log of the proxy"


def named(name: str) -> str:
    """Give a name as a message may show it."""
    return name if name and _is_plain(name) else "(not named)"


@lru_cache(maxsize=4096)
def _is_plain(name: str) -> bool:
    return name.isprintable() and not TRAPS.search(name)


_PATTERNS: dict[Reason, Callable[[int, int], str]] = {
    Reason.REPEAT: lambda times, _: f"the same call with the same arguments {times} times in a row",
    Reason.CYCLE: lambda times, period: f"the same {period} calls in the same order {times} times around",
    Reason.SAME_ERROR: lambda times, _: f"the same error {times} times with no success in between",
    Reason.NO_PROGRESS: lambda times, _: f"nothing new in the results of {times} steps in a row",
}  # fmt: skip


def _is_money(rule: Rule) -> bool:
    return rule.reason in _DOLLARS or rule.setting.endswith(".cost_usd")


def _figures(rule: Rule, value: int, limit: int) -> str:
    return f"{_shown(rule, value)} of {_shown(rule, limit)}"


def _shown(rule: Rule, number: int) -> str:
    if _is_money(rule):
        is_small = 0 < number < NANO_PER_USD // 10
        return f"${number / NANO_PER_USD:.6f}" if is_small else f"${number / NANO_PER_USD:.2f}"  # fmt: skip
    if rule.reason is Reason.WALL_TIME:
        return f"{number // US_PER_SECOND} s"
    return str(number)


def _grouped(rule: Rule, number: int) -> str:
    """Write a number as people do who read it once."""
    if _is_money(rule):
        return _shown(rule, number)
    if rule.reason is Reason.WALL_TIME:
        return f"{number // US_PER_SECOND:,} s"
    return f"{number:,}"


def _possessor(rule: Rule) -> str:
    return rule.scope if rule.scope in _IN_RUNS else f"agent {named(rule.name)} of this caller"  # fmt: skip


def _whose(rule: Rule) -> str:
    name = named(rule.policy.partition(":")[2])
    return f"{name} of this caller" if rule.scope == "caller" else f"{name} of {rule.scope} {named(rule.name)}"  # fmt: skip


def _setting(rule: Rule) -> str:
    """Name the key; that of `spend_rate` is cut, since it has a word in it that clients misread, as a budget's name may."""
    if rule.reason in (Reason.TOO_FAST, Reason.SAME_REQUEST):
        return rule.setting
    return f"policies.{rule.setting}" if _is_plain(rule.setting) else "policies.budgets"


def _next(rule: Rule, case: Case, limit: int = 1) -> str:
    """Say how it goes on; nothing allows a run to use more than nothing."""
    if not limit:
        return f"to change it: {_setting(rule)}"
    return f"{_going_on(case, rule.scope)}, or change {_setting(rule)}"


def _going_on(case: Case, scope: str = "run") -> str:
    if scope == "session" and case.session_id and _is_plain(case.session_id):
        # None of its runs may live: each is refused at its begin.
        return f"to let it go on: `tacho allow {case.session_id} --session`"
    if not case.run_id or not _is_plain(case.run_id):
        return "to let the run in x-tacho-run go on: `tacho allow RUN`"
    return f"to let it go on: `tacho allow {case.run_id}`"


def _moment(at_us: int) -> str:
    moment = datetime.fromtimestamp(at_us // US_PER_SECOND, UTC)
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _fraction(number: int, unit: int) -> str:
    whole, part = divmod(number, unit)
    digits = len(str(unit)) - 1
    return f"{whole}.{part:0{digits}d}".rstrip("0").rstrip(".")


def _safe(message: str) -> str:
    """Write the one number that clients take for a status in another way."""
    return _NUMBER.sub("428+1", message) if "429" in message else message
