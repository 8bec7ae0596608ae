"""The command line: which commands there are, and what their failures look like.

What lives here: the table of commands and `main`, which turns errors into one line and an exit status: 0 ok, 1 failed, 2 usage or
settings, 3 cannot start. What does not: the commands, one a file beside this one. Nothing heavy is imported before a
command is chosen.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Protocol

from proxy.cli.output import ReaderLeftError, complain, drop_the_rest
from proxy.errors import SettingsError, StartError, TachoError

EXAMPLES = """examples:
  tacho up                                    run everything; OPENAI_BASE_URL=http://127.0.0.1:4141/openai/v1
  tacho run -- python agent.py                the same for one command, as a run with a name
  tacho runs                                  the latest runs; tacho show RUN for one of them
  tacho status                                what is running, and how it fares
  tacho sql "SELECT * FROM steps LIMIT 10"    ask the store
"""
SUMMARIES = {
    "up": "run the proxy, the exporter and the embedded store",
    "proxy": "run the proxy alone; its records wait in the data directory",
    "export": "run the exporter and the embedded store alone, for a proxy that shares the data directory",
    "check": "check the settings and say what they would do",
    "status": "say what is running, and how it fares",
    "run": "run a command as one run: its calls pass here, its exit status is the outcome",
    "runs": "list the latest runs, what they took and how they went",
    "show": "show one run as a waterfall of its steps and attempts",
    "report": "say what the policies stopped, and what those that observe would have stopped",
    "allow": "let a run go on that a limit or the pattern of a loop has stopped",
    "whatif": "say which runs other caps would have stopped, and what that would have saved",
    "sql": "ask the store, running or not",
    "prices": "say what models cost here, or fetch newer prices",
}


class Command(Protocol):
    """What the module of a command has."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add description, options and example."""
        ...

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it; give the exit status."""
        ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run `tacho ARGV…`; give the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    name = next((word for word in words if word in SUMMARIES), "")
    command = _command(name)
    arguments = _parser(name, command).parse_args(words)
    if command is None:
        return 2
    try:
        return command.run(arguments)
    except SettingsError as error:
        complain(str(error))
        return 2
    except StartError as error:
        complain(str(error))
        return 3
    except TachoError as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    except ReaderLeftError:
        drop_the_rest()
        return 141


def _parser(chosen: str, command: Command | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tacho",
        description="Tachograph meters, traces and guards the LLM and tool calls of agents, who change only their base URL.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in SUMMARIES.items():
        below = commands.add_parser(
            name,
            help=summary,
            description=summary,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == chosen and command is not None:
            command.configure(below)
    return parser


def _command(name: str) -> Command | None:
    return _serving(name) or _asking(name)


def _serving(name: str) -> Command | None:
    """Give what runs until it is stopped, or until its own child ends."""
    match name:
        case "up":
            from proxy.cli import up

            return up
        case "proxy":
            from proxy.cli import proxy

            return proxy
        case "export":
            from proxy.cli import export

            return export
        case "run":
            from proxy.cli import run

            return run
        case _:
            return None


def _asking(name: str) -> Command | None:
    """Give what answers and ends."""
    match name:
        case "check":
            from proxy.cli import check

            return check
        case "status":
            from proxy.cli import status

            return status
        case "runs":
            from proxy.cli import runs

            return runs
        case "show":
            from proxy.cli import show

            return show
        case "report":
            from proxy.cli import report

            return report
        case "allow":
            from proxy.cli import allow

            return allow
        case "whatif":
            from proxy.cli import whatif

            return whatif
        case "sql":
            from proxy.cli import sql

            return sql
        case "prices":
            from proxy.cli import prices

            return prices
        case _:
            return None
