"""The policy `tool_calls`: an answer that asks for a call which cannot work.

What lives here: what is said of such an answer. What does not: its settings (`tool_call_settings.py`), what is wrong with a call
(`call_checks.py`), stopping the answer or asking again (whoever carries it).

What is said goes to the agent, and from there into logs and prompts: the names that the request itself offers and places in its schemas, never
what the model wrote. So a name that was made up is not repeated, and arguments are not, either.
"""

from collections.abc import Collection, Sequence

from proxy.judge.call_checks import Checked, Problem
from proxy.judge.tool_call_settings import ToolCallSettings
from proxy.judge.verdict import Action, Reason, Verdict
from proxy.judge.wording import named

POLICY = "tool_calls"
_MOST_NAMED = 8
_MOST_CHARS = 64
_REASONS = {
    Problem.UNKNOWN_TOOL: Reason.UNKNOWN_TOOL,
    Problem.BAD_JSON: Reason.BAD_JSON,
    Problem.BAD_ARGUMENTS: Reason.BAD_ARGUMENTS,
}


def verdict(
    settings: ToolCallSettings,
    tools: Sequence[str],
    checked: Sequence[Checked],
    offered: Collection[str],
) -> Verdict | None:
    """Say what is done about an answer; `None` for one that passes.

    `tools` are the names of the calls, aligned with `checked`; `offered` those of the request.
    """
    wrong = [
        (tool, found)
        for tool, found in zip(tools, checked, strict=True)
        if found.problem in settings.problems
    ]
    if settings.mode == "off" or not wrong:
        return None
    tool, found = wrong[0]
    is_enforced = settings.mode == "enforce"
    return Verdict(
        Action.BLOCK if is_enforced else Action.WOULD_BLOCK,
        POLICY,
        _REASONS[found.problem],
        f"{_story(tool, found, offered)}; ask again, or change policies.{POLICY}",
        "request",
        str(len(wrong)),
        "0",
    )


def _story(tool: str, found: Checked, offered: Collection[str]) -> str:
    if found.problem is Problem.UNKNOWN_TOOL:
        return f"the answer calls a tool that the request does not offer ({_listed(offered)})"
    called = f"the answer calls {_shown(tool)} with arguments"
    if found.problem is Problem.BAD_JSON:
        return f"{called} that are no JSON"
    return f"{called} that do not fit its schema (at {_shown(found.where)})"


def _listed(offered: Collection[str]) -> str:
    if not offered:
        return "it offers none"
    first = ", ".join(_shown(each) for each in sorted(offered)[:_MOST_NAMED])
    more = len(offered) - _MOST_NAMED
    return f"it offers {first}" + (f" and {more} more" if more > 0 else "")


def _shown(name: str) -> str:
    return named(name[:_MOST_CHARS])
