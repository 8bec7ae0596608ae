"""`tacho sql`: asks the store, whether the product runs or not."""

import argparse
import sys
from pathlib import Path

from proxy.cli.options import add_config, load_settings
from proxy.cli.output import complain

EXAMPLE = """example:
  tacho sql "SELECT agent, sum(cost_usd) FROM steps GROUP BY agent"
  tacho sql "SELECT * FROM steps ORDER BY ts DESC LIMIT 3" --format Vertical
  tacho sql --file report.sql --json > report.json
  tacho sql "SELECT count() FROM steps WHERE agent = {a:String}" --param a=booker
exit status: 0 answered, 1 refused or failed
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_config(parser)
    parser.add_argument("statement", nargs="?", help="one statement that reads")
    parser.add_argument(
        "--file", metavar="F", help="read the statement from a file; - is stdin"
    )
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        type=_parameter,
        metavar="NAME=VALUE",
        help="value of {NAME:Type} in the statement; may be given several times",
    )
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument(
        "--format",
        default="PrettyCompact",
        help="any output format of ClickHouse (default: PrettyCompact)",
    )
    shape.add_argument(
        "--json",
        dest="format",
        action="store_const",
        const="JSON",
        help="the same as --format JSON",
    )
    parser.epilog = EXAMPLE


def run(arguments: argparse.Namespace) -> int:
    """Send the statement and copy the answer."""
    from proxy.cli.open_store import open_store

    statement = _statement(arguments)
    if statement is None:
        return 2
    if not statement.strip():
        complain(
            'nothing to ask; give a statement, as in: tacho sql "SELECT count() FROM steps"'
        )
        return 2
    with open_store(load_settings(arguments)) as store:
        return store.ask(
            statement, arguments.format, sys.stdout.buffer, dict(arguments.param)
        )


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _statement(arguments: argparse.Namespace) -> str | None:
    if arguments.file is None:
        return arguments.statement or ""
    if arguments.file == "-":
        return sys.stdin.read()
    try:
        return Path(arguments.file).read_text(encoding="utf-8")
    except OSError as error:
        complain(f"cannot read {arguments.file}: {error.strerror}; correct --file")
    except UnicodeDecodeError:
        complain(f"cannot read {arguments.file}: it is not UTF-8 text; save it as such")
    return None
