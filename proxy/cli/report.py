"""`tacho report`: what the policies did, and what those that only observe would have done, whether the product runs or not."""

import argparse
from typing import TYPE_CHECKING

from proxy.cli.options import add_config, add_json, as_given, as_started, load_settings
from proxy.cli.output import complain
from proxy.cli.runs import since

if TYPE_CHECKING:
    from proxy.cli.report_rows import Report

WIDE = 1000
"""For programs nothing is cut."""
EXAMPLE = """example:
  tacho report
  tacho report --since 24h --agent researcher
  tacho report --json | jq '.together | {runs, steps, usd}'
exit status: 0 answered (also with nothing to tell), 1 refused or failed
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_config(parser)
    parser.add_argument(
        "--since",
        type=since,
        default="7d",
        metavar="SPAN",
        help="what happened in this time: 90s, 30m, 1h, 7d, 4w (default: 7d)",
    )
    parser.add_argument("--agent", default="", metavar="A", help="of this agent only")
    add_json(parser)
    parser.epilog = EXAMPLE


def run(arguments: argparse.Namespace) -> int:
    """Ask, and print text or JSON."""
    from proxy.cli import questions
    from proxy.cli.open_store import open_store
    from proxy.cli.report_rows import report

    try:
        with open_store(load_settings(arguments)) as store:
            found = report(store, arguments.since, arguments.agent)
    except questions.NoAnswerError:
        return 1
    if arguments.json:
        from proxy.cli.rendering import say_json

        say_json(found)
    elif found.calls or found.breakers:
        _print(found, as_started(), as_given(arguments))
    else:
        of = f" of the agent {arguments.agent}" if arguments.agent else ""
        complain(
            f"no call{of} in this time, so that no policy had anything to say; make one with: "
            f"{as_started()} run{as_given(arguments)} -- python agent.py, or look further back with --since 4w"
        )
    return 0


def _print(found: "Report", command: str, options: str) -> None:
    from datetime import UTC, datetime

    from proxy.cli.rendering import Terminal
    from proxy.cli.report_text import report_lines

    terminal = Terminal()
    now = datetime.now(UTC)  # noqa: TID251  # what a person reads is relative to now
    width = WIDE if terminal.is_read_by_a_program else terminal.width
    terminal.print(report_lines(found, width, now, command, options))
