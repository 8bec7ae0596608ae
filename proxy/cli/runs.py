"""`tacho runs`: lists the latest runs, whether the product runs or not."""

import argparse
import re
from typing import TYPE_CHECKING

from proxy.cli.options import add_config, add_json, as_given, as_started, load_settings
from proxy.cli.output import complain

if TYPE_CHECKING:
    from proxy.cli.questions import RunRow

EXAMPLE = """example:
  tacho runs
  tacho runs --since 1h --agent researcher
  tacho runs --json | jq '.[] | select(.outcome == "failure") | .run'
exit status: 0 answered (also with no run to list), 1 refused or failed
"""
_SPAN = re.compile(r"([0-9]{1,6})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_config(parser)
    parser.add_argument(
        "--since",
        type=since,
        default="7d",
        metavar="SPAN",
        help="runs with a call in this time: 90s, 30m, 1h, 7d, 4w (default: 7d)",
    )
    parser.add_argument("--agent", default="", metavar="A", help="of this agent only")
    parser.add_argument(
        "--session",
        default="",
        metavar="S",
        help="of this session only (tacho show RUN says which a run is in)",
    )
    parser.add_argument(
        "--limit",
        type=limit,
        default=20,
        metavar="N",
        help="as many runs at most (default: 20)",
    )
    add_json(parser)
    parser.epilog = EXAMPLE


def since(text: str) -> int:
    """Read a span of time as seconds."""
    found = _SPAN.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no span of time; write one such as 90s, 30m, 1h, 7d or 4w"
        )
    return min(int(found[1]) * _SECONDS[found[2]], 2**32 - 1)


def limit(text: str) -> int:
    """Read a number of runs."""
    if not (text.isdecimal() and 0 < int(text) <= 10_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 10000")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Ask, and print a table or JSON."""
    from proxy.cli import questions
    from proxy.cli.open_store import open_store

    try:
        with open_store(load_settings(arguments)) as store:
            rows = questions.runs(
                store,
                since_seconds=arguments.since,
                agent=arguments.agent,
                session=arguments.session,
                max_runs=arguments.limit,
            )
            is_whole = not (arguments.agent or arguments.session)
            strays = questions.strays(store, arguments.since) if is_whole else 0
    except questions.NoAnswerError:
        return 1
    if strays:
        from proxy.cli.figures import counted

        complain(f"{counted(strays, 'call is', 'calls are')} in no run")
    if arguments.json:
        from proxy.cli.rendering import say_json

        say_json(rows)
    elif rows:
        _print(rows)
    else:
        of = f" of the agent {arguments.agent}" if arguments.agent else ""
        of += f" in the session {arguments.session}" if arguments.session else ""
        complain(
            f"no run{of} in this time; make one with: {as_started()} run{as_given(arguments)} -- python agent.py, or look further back with --since 4w"
        )
    return 0


def _print(rows: "list[RunRow]") -> None:
    from datetime import UTC, datetime

    from proxy.cli.rendering import Terminal
    from proxy.cli.runs_table import table

    terminal = Terminal()
    now = datetime.now(UTC)  # noqa: TID251  # what a person reads is relative to now
    whole = terminal.is_read_by_a_program
    terminal.print(table(rows, terminal.width, now, whole_ids=whole))
