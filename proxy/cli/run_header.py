"""What one run was as a whole, in a few lines.

What lives here: from a run and its attempts to lines of text, pure. What does not: its steps (`waterfall.py`), asking (`questions.py`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rich.text import Text

from proxy.cli.figures import counted, dollars, duration, printable, tokens
from proxy.cli.questions import AttemptRow, RunRow
from proxy.cli.verdict_lines import is_refused

_NAMED = {
    "path": "named in the URL",
    "header": "named in a header",
    "client_key": "named by the client key",
    "user_agent": "named by the User-Agent",
    "env": "named by TACHO_AGENT",
    "prompt": "named by prompt and tools",
    "run": "named as its run",
}
_STYLES = {"success": "green", "failure": "red", "capped": "red"}
_MAX_LISTED = 5


def header(run: RunRow, rows: Sequence[AttemptRow]) -> Iterator[Text]:
    """Give the lines."""
    agents = list(dict.fromkeys(printable(row.agent) for row in rows if row.agent))
    agent = _listed(agents, " → ") or printable(run.agent) or "no agent named"
    source = f" ({_NAMED.get(run.agent_source, run.agent_source)})" if run.agent_source else ""  # fmt: skip
    yield Text.assemble(
        ("run ", "dim"),
        (printable(run.run), "bold"),
        f" · {agent}",
        (source, "dim"),
        " · ",
        (run.outcome, _STYLES.get(run.outcome, "yellow")),
        f" ({', '.join(_why(run))})",
    )
    work = [counted(run.steps, "step"), counted(run.attempts, "attempt")]
    if run.tool_calls:
        work.append(counted(run.tool_calls, "tool call"))
    if run.refused:
        work.append(f"{counted(run.refused, 'call')} refused")
    yield Text(
        f"{', '.join(work)} · {duration(run.seconds)} · {_tokens(run)} · {dollars(run.usd, run.mark)}"
    )
    said = [f"began {run.started:%Y-%m-%d %H:%M:%S} UTC"]
    went = [row for row in rows if not is_refused(row)]
    models = _counted(row.model for row in went)
    said += [f"models {models}"] if models else []
    steps = {row.step_id: row.source for row in reversed(went) if row.is_step}
    joined = _counted(reversed(steps.values()))
    said.append(f"steps joined by {joined}" if joined else "no step")
    yield Text(" · ".join(said), style="dim")
    related = list(_related(run))
    if related:
        yield Text(" · ".join(related), style="dim")


def _tokens(run: RunRow) -> str:
    if run.input_tokens is None:
        return "no tokens known"
    cached = f" ({tokens(run.cached_tokens)} cached)" if run.cached_tokens else ""
    return (
        f"{tokens(run.input_tokens)} tokens in{cached}, {tokens(run.output_tokens)} out"
    )


def _why(run: RunRow) -> Iterator[str]:
    yield run.outcome_source
    if run.outcome_reason:
        yield printable(run.outcome_reason)
    if run.outcome_value is not None:
        yield f"value {run.outcome_value.normalize():f}"
    if run.outcome == "open" and run.last_error:
        yield f"the last call failed: {printable(run.last_error)}"


def _counted(names: Iterable[str]) -> str:
    found = Counter(printable(name) for name in names if name)
    return ", ".join(f"{name} ({n})" for name, n in found.most_common())


def _listed(names: Sequence[str], between: str = ", ") -> str:
    more = len(names) - _MAX_LISTED
    return between.join(names[:_MAX_LISTED]) + (f" and {more} more" if more > 0 else "")


def _related(run: RunRow) -> Iterator[str]:
    if run.session:
        yield f"session {printable(run.session)}"
    if run.parent:
        yield f"begun by run {printable(run.parent)}"
    if run.root not in ("", run.run, run.parent):
        yield f"root run {printable(run.root)}"
    if run.children:
        yield f"began {counted(len(run.children), 'run')}: {_listed([printable(each) for each in run.children])}"
