"""`tacho sql`: asks the store, whether the product runs or not."""

import argparse
import asyncio
import sys
from pathlib import Path

from proxy.cli.options import add_config, load_settings
from proxy.cli.output import complain

EXAMPLE = """example:
  tacho sql "SELECT agent, sum(cost_usd) FROM steps GROUP BY agent"
  tacho sql "SELECT * FROM steps ORDER BY ts DESC LIMIT 3" --format Vertical
  tacho sql --file report.sql --json > report.json
exit status: 0 answered, 1 refused or failed
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_config(parser)
    parser.add_argument("statement", nargs="?", help="one statement that reads")
    parser.add_argument(
        "--file", metavar="F", help="read the statement from a file; - is stdin"
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
    from proxy.cli.store import Store, running_store
    from proxy.cli.store_alone import store_alone

    statement = _statement(arguments)
    if statement is None:
        return 2
    if not statement.strip():
        complain(
            'nothing to ask; give a statement, as in: tacho sql "SELECT count() FROM steps"'
        )
        return 2
    loaded = load_settings(arguments)
    clickhouse = loaded.settings.exporters.clickhouse
    if clickhouse.url == "":
        complain(
            "exporters.clickhouse.url is empty, so that there is no store to ask; set it to: embedded"
        )
        return 1
    if clickhouse.url != "embedded":
        store = Store(
            clickhouse.url,
            clickhouse.user,
            clickhouse.password,
            clickhouse.database,
            clickhouse.ca_file,
        )
        return store.ask(statement, arguments.format, sys.stdout.buffer)
    address = asyncio.run(running_store(Path(loaded.settings.data_dir).absolute()))
    if address:
        store = Store.embedded(loaded.settings, address)
        return store.ask(statement, arguments.format, sys.stdout.buffer)
    with store_alone(loaded) as store:
        return store.ask(statement, arguments.format, sys.stdout.buffer)


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
